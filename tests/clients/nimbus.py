"""Nimbus: no signing root, `fork_info` everywhere, block proofs when verifying; asks again after 404, 412 and 500.

Source: status-im/nimbus-eth2 beacon_chain (05c5eb4, 2024).
"""

from typing import Any

from client_manner import Client, by_content_type, common_body
from spec_duties import Duty, common_types

RETRIES = 2
"""How often it asks again, after 10 and 100 milliseconds."""

RETRIED_STATUSES = {404, 412, 500}


def body(duty: Duty) -> dict[str, Any]:
    """The body; a block header carries the proofs of the verifying mode, which a signer may ignore."""
    made = common_body(duty, fork_info=duty.fork_info)
    del made["signingRoot"]
    if duty.type == "BLOCK_V2" and "block_header" in made["beacon_block"]:
        made["beacon_block"]["proofs"] = [{"index": "401", "proof": ["0x" + "11" * 32]}]
    return made


NIMBUS = Client(
    name="Nimbus",
    version="05c5eb4 (24.x)",
    sends=common_types(last="FULU"),
    headers=(
        ("host", "HOST"),
        ("content-length", "LENGTH"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", "nimbus"),
        ("connection", "keep-alive"),
    ),
    body=body,
    read_signature=by_content_type,
)
