"""Teku: the JDK's HTTP client pinned to HTTP/1.1 and TLS 1.2, no Accept; credentials only after a 401 that asks.

Source: Consensys/teku validator/client (90ed09b, 2026).
"""

import ssl

from client_manner import Client, common_body, json_or_exact_hex
from spec_duties import common_types


def tls_1_2_only() -> ssl.SSLContext:
    """`SSLContext.getInstance("TLSv1.2")` offers nothing newer."""
    context = ssl.create_default_context()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


TEKU = Client(
    name="Teku",
    version="90ed09b (26.8)",
    sends=common_types(last="FULU"),
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
