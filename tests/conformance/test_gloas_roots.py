"""Gloas and Heze against the consensus specification itself, run as a program in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from signer.api.wire_eth2 import decode_sign_request
from signer.eth2.builtin_networks import find_network
from signer.eth2.signing_root import signing_root
from signer.units import PublicKey

ROOT = Path(__file__).resolve().parents[2]
ORACLE_PYTHON = ROOT / ".venv-consensus-specs" / "bin" / "python"
ORACLE = ROOT / "tests" / "oracles" / "gloas_roots.py"
CASES_PER_TYPE = 42
SEED = 20260

REQUESTS = {
    "AttestationData": (("ATTESTATION", "attestation", False),),
    "BeaconBlockHeader": (("BLOCK_V2", "beacon_block", False),),
    "AggregateAndProof": (
        ("AGGREGATE_AND_PROOF", "aggregate_and_proof", False),
        ("AGGREGATE_AND_PROOF_V2", "aggregate_and_proof", True),
    ),
    "ContributionAndProof": (("SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF", "contribution_and_proof", False),),
    "ExecutionPayloadBid": (("EXECUTION_PAYLOAD_BID", "execution_payload_bid", True),),
    "ExecutionPayloadEnvelope": (
        ("EXECUTION_PAYLOAD_ENVELOPE", "execution_payload_envelope", True),
        ("EXECUTION_PAYLOAD_ENVELOPE", "execution_payload_envelope", False),
    ),
    "PayloadAttestationData": (
        ("PAYLOAD_ATTESTATION_MESSAGE", "payload_attestation_message", True),
        ("PAYLOAD_ATTESTATION", "payload_attestation", False),
        ("PAYLOAD_ATTESTATION", "payload_attestation_data", False),
    ),
    "ProposerPreferences": (("PROPOSER_PREFERENCES", "proposer_preferences", True),),
    "BuilderRequestAuth": (
        ("BUILDER_REQUEST_AUTH", "builder_request_auth", True),
        ("REQUEST_AUTH", "request_auth", False),
    ),
    "InclusionList": (("INCLUSION_LIST", "inclusion_list", False),),
}
"""Specification's container -> the types, members and shapes (wrapped or bare) it is sent in."""


@pytest.fixture(scope="module", params=["minimal", "mainnet"])
def samples(request):
    if not ORACLE_PYTHON.exists():
        reason = f"no consensus specification at {ORACLE_PYTHON.parent.parent}; run `make oracles`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    command = [str(ORACLE_PYTHON), str(ORACLE), request.param, str(SEED), str(CASES_PER_TYPE)]
    finished = subprocess.run(command, capture_output=True, check=True, text=True)
    return request.param, json.loads(finished.stdout)


def test_every_gloas_and_heze_object_has_the_specifications_signing_root(samples):
    preset, cases = samples
    network = find_network(preset)
    checked = set()
    for case in cases:
        for request in _requests(case):
            intent = decode_sign_request(json.dumps(request).encode(), PublicKey(bytes(48)), network)
            root = signing_root(intent.duty, intent.fork_info, network)
            assert "0x" + root.hex() == case["signing_root"], (case["type"], case["fork"], case["mode"])
            checked.add((case["fork"], case["type"]))
    assert {name for _, name in checked} == set(REQUESTS)
    assert len(cases) == CASES_PER_TYPE * len(checked)


def _requests(case):
    fork_info = {
        "fork": {"previous_version": case["version"], "current_version": case["version"], "epoch": "0"},
        "genesis_validators_root": case["genesis_validators_root"],
    }
    for type_name, member, wrapped in REQUESTS[case["type"]]:
        body = {"version": case["fork"].upper(), "data": case["value"]} if wrapped else case["value"]
        if type_name == "BLOCK_V2":
            body = {"version": case["fork"].upper(), "block_header": case["value"]}
        yield {"type": type_name, "fork_info": fork_info, member: body}
