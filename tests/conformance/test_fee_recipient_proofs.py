"""Proofs of a body's fee recipient and graffiti, made by the consensus specification in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from duty_requests import block_body

from signer.api.wire_eth2 import decode_sign_request
from signer.errors import MalformedRequestError
from signer.eth2.block_proofs import FEE_RECIPIENT_INDICES, GRAFFITI_INDICES
from signer.eth2.builtin_networks import find_network
from signer.eth2.duties import BlockDuty
from signer.eth2.forks import Fork
from signer.units import PublicKey

ROOT = Path(__file__).resolve().parents[2]
ORACLE_PYTHON = ROOT / ".venv-consensus-specs" / "bin" / "python"
ORACLE = ROOT / "tests" / "oracles" / "fee_recipient_proofs.py"
SEED = 801


@pytest.fixture(scope="module", params=["minimal", "mainnet"])
def proofs(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    if not ORACLE_PYTHON.exists():
        reason = f"no consensus specification at {ORACLE_PYTHON.parent.parent}; run `make oracles`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    command = [str(ORACLE_PYTHON), str(ORACLE), request.param, str(SEED)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def read(version: str, body_root: str, *proofs: dict[str, Any]) -> BlockDuty:
    """The duty of a header with these proofs, as a client sends it."""
    body = block_body(5)
    body["beacon_block"]["version"] = version
    body["beacon_block"]["block_header"]["body_root"] = body_root
    body["proofs"] = list(proofs)
    network = find_network("mainnet")
    assert network is not None
    duty = decode_sign_request(json.dumps(body).encode(), PublicKey(bytes(48)), network).duty
    assert isinstance(duty, BlockDuty)
    return duty


def test_every_forks_proof_fits_its_own_fee_recipient_and_no_other(proofs: list[dict[str, Any]]) -> None:
    assert {Fork[one["fork"].upper()]: one["index"] for one in proofs} == FEE_RECIPIENT_INDICES
    for one in proofs:
        other = {"index": 18, "proof": ["0x" + "00" * 32]}
        sent = {"index": str(one["index"]), "proof": one["branch"]}
        proof = read(one["fork"].upper(), one["body_root"], other, sent).fee_recipient_proof
        assert proof is not None
        fee_recipient = bytes.fromhex(one["fee_recipient"][2:])
        assert proof.fits(fee_recipient)
        assert not proof.fits(bytes(20))
        assert not proof.fits(fee_recipient[:-1] + bytes([fee_recipient[-1] ^ 1]))


def test_every_forks_proof_fits_its_own_graffiti_and_no_other(proofs: list[dict[str, Any]]) -> None:
    assert {Fork[one["fork"].upper()]: one["graffiti_index"] for one in proofs} == GRAFFITI_INDICES
    for one in proofs:
        fees = {"index": one["index"], "proof": one["branch"]}
        sent = {"index": str(one["graffiti_index"]), "proof": one["graffiti_branch"]}
        duty = read(one["fork"].upper(), one["body_root"], fees, sent)
        assert duty.graffiti_proof is not None
        assert duty.fee_recipient_proof is not None
        graffiti = bytes.fromhex(one["graffiti"][2:])
        assert duty.graffiti_proof.fits(graffiti)
        assert not duty.graffiti_proof.fits(bytes(32))
        assert not duty.graffiti_proof.fits(graffiti[:-1] + bytes([graffiti[-1] ^ 1]))


def test_a_proof_that_does_not_belong_to_the_body_fits_nothing(proofs: list[dict[str, Any]]) -> None:
    for one in proofs:
        fee_recipient, branch = bytes.fromhex(one["fee_recipient"][2:]), one["branch"]
        for wrong in ([], branch[:-1], [*branch, branch[-1]], ["0x" + "00" * 32, *branch[1:]], branch[::-1]):
            sent = {"index": one["index"], "proof": wrong}
            proof = read(one["fork"].upper(), one["body_root"], sent).fee_recipient_proof
            assert proof is not None
            assert not proof.fits(fee_recipient)


@pytest.mark.parametrize("version", ["DENEB", "GLOAS"])
def test_a_header_without_such_a_proof_proves_nothing(version: str) -> None:
    assert read(version, "0x" + "11" * 32).fee_recipient_proof is None
    assert read(version, "0x" + "11" * 32, {"index": 18, "proof": []}).fee_recipient_proof is None


@pytest.mark.parametrize(
    "wrong",
    [{"index": 801}, {"index": 801, "proof": ["0x12"]}, {"proof": []}, {"index": 801, "proof": ["00" * 32] * 65}],
)
def test_what_is_no_proof_is_refused_with_its_path(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedRequestError) as caught:
        read("DENEB", "0x" + "11" * 32, wrong)
    assert str(caught.value.evidence["path"]).startswith("proofs[0]")
