"""The first start in production: with its history a key signs at once, without it it waits, and other duties go on."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import pytest
from duty_requests import MAINNET_ROOT, Answered, fork_info, line_to, vote_body
from running import RunningSigner, holdfast, set_up, write_configuration, write_raw_keys

from signer.crypto import bls
from signer.crypto.bls import SecretKey
from signer.eth2.builtin_networks import find_network


def current_epoch() -> int:
    network = find_network("mainnet")
    assert network is not None
    epoch = network.epoch_at(time.time())
    assert epoch is not None
    return epoch


def history(key: str, target: int) -> dict[str, Any]:
    votes = [{"source_epoch": str(target - 1), "target_epoch": str(target)}]
    return {
        "metadata": {"interchange_format_version": "5", "genesis_validators_root": MAINNET_ROOT},
        "data": [{"pubkey": key, "signed_blocks": [], "signed_attestations": votes}],
    }


def ask(signer: RunningSigner, key: str, body: dict[str, Any]) -> Answered:
    with line_to(signer.port) as line:
        return line.sign(key, body)


@pytest.mark.parametrize("comes_with_history", [True, False])
def test_history_decides_whether_the_first_vote_is_signed(tmp_path: Path, comes_with_history: bool) -> None:
    secret, epoch = secrets.randbits(250) + 1, current_epoch()
    key = "0x" + bls.load().public_key(SecretKey.from_bytes(secret.to_bytes(32))).hex()
    config_file = write_configuration(tmp_path, {"preset": "production", "clock": {"source": "trusted"}})
    write_raw_keys(tmp_path / "keys", [secret])
    set_up(config_file)
    if comes_with_history:
        (tmp_path / "history.json").write_text(json.dumps(history(key, epoch - 9)))
        assert holdfast(config_file, "slashing", "import", tmp_path / "history.json", "--yes").returncode == 0
    signer = RunningSigner(config_file)
    try:
        signer.wait_until_ready()
        answer = ask(signer, key, vote_body(epoch - 1, epoch))
        reveal = {"type": "RANDAO_REVEAL", "fork_info": fork_info(), "randao_reveal": {"epoch": str(epoch)}}
        assert ask(signer, key, reveal).verdict == "signed"
        if comes_with_history:
            assert answer.verdict == "signed"
            assert "quarantine" not in signer.log
            return
        assert answer.verdict == "412 KEY_QUARANTINED"
        problem = json.loads(answer.body)
        assert problem["quarantined_until_epoch"] in {epoch + 3, epoch + 4}
        assert problem["quarantined_until"].endswith("+00:00")
        assert "in quarantine" in signer.log
        (tmp_path / "history.json").write_text(json.dumps(history(key, epoch - 9)))
        assert signer.holdfast("slashing", "import", tmp_path / "history.json", "--yes").returncode == 0
        assert ask(signer, key, vote_body(epoch - 1, epoch)).verdict == "signed", "an import ends the wait"
    finally:
        assert signer.stop() == 0
