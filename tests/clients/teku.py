"""Teku: the JDK's HTTP client pinned to HTTP/1.1 and TLS 1.2, no Accept; credentials only after a 401 that asks.

Source: Consensys/teku validator/client (90ed09b, 2026).
"""

import ssl

from client_manner import Client, common_body, json_or_exact_hex
from prysm import BEFORE_GLOAS
from spec_duties import since


def tls_1_2_only() -> ssl.SSLContext:
    """`SSLContext.getInstance("TLSv1.2")` offers nothing newer."""
    context = ssl.create_default_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


TEKU = Client(
    name="Teku",
    version="90ed09b (26.8)",
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
        ("Content-Length", "LENGTH"),
        ("Host", "HOST"),
        ("User-Agent", "Java-http-client/21.0.4"),
        ("Content-Type", "application/json"),
    ),
    body=common_body,
    read_signature=json_or_exact_hex,
    tls=tls_1_2_only,
)
