"""Vero: aiohttp, text answers, no signing root, aggregates always as V2; asks /healthcheck each second.

Source: serenita-org/vero src/providers/remote_signer.py and src/schemas/remote_signer.py (71a6176, 2026).
"""

from typing import Any

from client_manner import Client, common_body, exact_text, versioned
from spec_duties import Duty, common_types


def body(duty: Duty) -> dict[str, Any]:
    """The body, without a root to compare."""
    made = common_body(duty)
    del made["signingRoot"]
    if duty.type == "AGGREGATE_AND_PROOF":
        return made | {"type": "AGGREGATE_AND_PROOF_V2", "aggregate_and_proof": versioned(duty)}
    return made


VERO = Client(
    name="Vero",
    version="71a6176 (2026)",
    sends=common_types(first="DENEB")
    | {
        "EXECUTION_PAYLOAD_ENVELOPE": ("GLOAS",),
        "PROPOSER_PREFERENCES": ("GLOAS",),
        "BUILDER_REQUEST_AUTH": ("GLOAS",),
    },
    headers=(
        ("Host", "HOST"),
        ("Accept", "text/plain"),
        ("Content-Type", "application/json"),
        ("User-Agent", "vero/1.3.0"),
        ("Accept-Encoding", "gzip, deflate"),
        ("Content-Length", "LENGTH"),
    ),
    body=body,
    read_signature=exact_text,
)
