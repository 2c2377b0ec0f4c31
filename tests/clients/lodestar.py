"""Lodestar: Node's fetch; `fork.epoch` is the duty's own epoch, an exit after Deneb comes under Capella's fork.

Source: ChainSafe/lodestar packages/validator/src/util/externalSignerClient.ts (0054395, 2026).
"""

from typing import Any

from client_manner import Client, common_body, fork_info, json_only, versioned
from spec_duties import FORKS, Duty, common_types, since

GLOAS_MEMBER = {"PAYLOAD_ATTESTATION_MESSAGE": "payload_attestation"}


def body(duty: Duty) -> dict[str, Any]:
    """The body, with Lodestar's idea of the fork."""
    made = common_body(duty)
    if "fork_info" in made:
        fork = "CAPELLA" if duty.type == "VOLUNTARY_EXIT" and duty.fork in since("DENEB") else duty.fork
        made["fork_info"] = fork_info(fork, duty.epoch)
    if duty.type == "AGGREGATE_AND_PROOF" and duty.fork in since("ELECTRA"):
        return made | {"type": "AGGREGATE_AND_PROOF_V2", "aggregate_and_proof": versioned(duty)}
    if duty.type in GLOAS_MEMBER:
        del made[duty.type.lower()]
        return made | {GLOAS_MEMBER[duty.type]: duty.object}
    return made


LODESTAR = Client(
    name="Lodestar",
    version="0054395 (2026)",
    sends=common_types()
    | {
        "DEPOSIT": FORKS,
        "BLS_TO_EXECUTION_CHANGE": since("CAPELLA"),
        "EXECUTION_PAYLOAD_ENVELOPE": ("GLOAS",),
        "PAYLOAD_ATTESTATION_MESSAGE": ("GLOAS",),
    },
    headers=(
        ("host", "HOST"),
        ("connection", "keep-alive"),
        ("Accept", "application/json"),
        ("Content-Type", "application/json"),
        ("accept-language", "*"),
        ("sec-fetch-mode", "cors"),
        ("user-agent", "node"),
        ("accept-encoding", "gzip, deflate"),
        ("content-length", "LENGTH"),
    ),
    body=body,
    read_signature=json_only,
    names={"PAYLOAD_ATTESTATION_MESSAGE": "PAYLOAD_ATTESTATION"},
)
