"""Prysm: Go's net/http, no Accept, a double slash when the configured URL ends with one, aggregates always as V2.

Source: OffchainLabs/prysm validator/keymanager/remote-web3signer (c40b59a, 2026).
"""

from typing import Any

from client_manner import Client, common_body, json_or_exact_hex, versioned
from spec_duties import Duty, common_types


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
    sends=common_types(last="FULU"),
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
