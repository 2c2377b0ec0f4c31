"""Lighthouse: reqwest over HTTP/1.1; every type under the first name, Electra's aggregates too; Gloas types unwrapped.

Source: sigp/lighthouse validator_client/signing_method/src (00c1b56, 2026).
"""

from typing import Any

from client_manner import Client, common_body, json_only
from spec_duties import FORKS, Duty, common_types

GLOAS_MEMBER = {"PAYLOAD_ATTESTATION_MESSAGE": "payload_attestation_data", "BUILDER_REQUEST_AUTH": "request_auth"}


def body(duty: Duty) -> dict[str, Any]:
    """The body; the object is bare always, and two Gloas members have names of Lighthouse's own."""
    if duty.type not in GLOAS_MEMBER:
        return common_body(duty)
    made = common_body(duty)
    del made[duty.type.lower()]
    return made | {GLOAS_MEMBER[duty.type]: duty.object}


LIGHTHOUSE = Client(
    name="Lighthouse",
    version="00c1b56 (2026)",
    sends=common_types()
    | {
        "DEPOSIT": FORKS,
        "EXECUTION_PAYLOAD_ENVELOPE": ("GLOAS",),
        "PAYLOAD_ATTESTATION_MESSAGE": ("GLOAS",),
        "PROPOSER_PREFERENCES": ("GLOAS",),
        "BUILDER_REQUEST_AUTH": ("GLOAS",),
    },
    headers=(
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("host", "HOST"),
        ("content-length", "LENGTH"),
    ),
    body=body,
    read_signature=json_only,
    names={"PAYLOAD_ATTESTATION_MESSAGE": "PAYLOAD_ATTESTATION", "BUILDER_REQUEST_AUTH": "REQUEST_AUTH"},
)
