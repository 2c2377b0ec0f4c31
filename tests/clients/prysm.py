"""Prysm: Go's net/http, no Accept, a double slash when the configured URL ends with one, aggregates always as V2.

Source: OffchainLabs/prysm validator/keymanager/remote-web3signer (c40b59a, 2026).
"""

from typing import Any

from client_manner import Client, common_body, json_or_exact_hex, versioned
from spec_duties import Duty, since

BEFORE_GLOAS = ("PHASE0", "ALTAIR", "BELLATRIX", "CAPELLA", "DENEB", "ELECTRA", "FULU")


def body(duty: Duty) -> dict[str, Any]:
    """The body; a phase0 block goes bare under the deprecated type."""
    if duty.type == "BLOCK_V2" and duty.fork == "PHASE0":
        made = common_body(duty)
        del made["beacon_block"]
        return made | {"type": "BLOCK", "block": duty.object}
    if duty.type == "AGGREGATE_AND_PROOF":
        return common_body(duty, aggregate_and_proof=versioned(duty)) | {"type": "AGGREGATE_AND_PROOF_V2"}
    return common_body(duty)


PRYSM = Client(
    name="Prysm",
    version="c40b59a (7.x)",
    sends={
        "BLOCK_V2": BEFORE_GLOAS,
        "ATTESTATION": BEFORE_GLOAS,
        "AGGREGATE_AND_PROOF": BEFORE_GLOAS,
        "AGGREGATION_SLOT": BEFORE_GLOAS,
        "RANDAO_REVEAL": BEFORE_GLOAS,
        "VOLUNTARY_EXIT": BEFORE_GLOAS,
        "SYNC_COMMITTEE_MESSAGE": tuple(fork for fork in since("ALTAIR") if fork != "GLOAS"),
        "SYNC_COMMITTEE_SELECTION_PROOF": tuple(fork for fork in since("ALTAIR") if fork != "GLOAS"),
        "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF": tuple(fork for fork in since("ALTAIR") if fork != "GLOAS"),
        "VALIDATOR_REGISTRATION": tuple(fork for fork in since("BELLATRIX") if fork != "GLOAS"),
    },
    headers=(
        ("Host", "HOST"),
        ("User-Agent", "Go-http-client/1.1"),
        ("Content-Length", "LENGTH"),
        ("Content-Type", "application/json"),
        ("Accept-Encoding", "gzip"),
    ),
    body=body,
    read_signature=json_or_exact_hex,
    path="//api/v1/eth2/sign/",
)
