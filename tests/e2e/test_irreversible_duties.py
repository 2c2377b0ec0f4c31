"""Exits and deposits against a running signer, as in `production`: refused until a grant names key, client and type."""

from pathlib import Path

from duty_requests import NO_GUARD, fork_info, line_to
from running import interop_secret, merged, running_signer

EXIT = {"type": "VOLUNTARY_EXIT", "fork_info": fork_info(), "voluntary_exit": {"epoch": "1", "validator_index": "7"}}
RANDAO = {"type": "RANDAO_REVEAL", "fork_info": fork_info(), "randao_reveal": {"epoch": "3"}}


def test_an_exit_is_signed_with_the_granted_key_alone(tmp_path: Path) -> None:
    with running_signer(tmp_path / "open", secrets=[interop_secret(0), interop_secret(1)], sections=NO_GUARD) as signer:
        keys = signer.public_keys()
        with line_to(signer.port) as line:
            assert line.sign(keys[0], EXIT).verdict == "signed", "the preset test asks for no grant"
    policy = {
        "irreversible_duties": "granted",
        "irreversible_grants": [{"duty": "VOLUNTARY_EXIT", "principal": "anonymous", "keys": [keys[1]]}],
    }
    sections = merged(NO_GUARD, {"policy": policy})
    with (
        running_signer(tmp_path / "asked", secrets=[interop_secret(0), interop_secret(1)], sections=sections) as signer,
        line_to(signer.port) as line,
    ):
        refused = line.sign(keys[0], EXIT)
        assert refused.verdict == "412 IRREVERSIBLE_NOT_GRANTED"
        assert b"policy.irreversible_grants" in refused.body
        assert line.sign(keys[1], EXIT).verdict == "signed"
        assert line.sign(keys[0], RANDAO).verdict == "signed"
        said = signer.holdfast("audit", "show", "--key", keys[0], "--json")
        assert "IRREVERSIBLE_NOT_GRANTED" in said.stdout
