"""The compatibility matrix client x type x fork as a document, from what was seen on the wire."""

from collections.abc import Iterable, Mapping

from client_manner import Client
from spec_duties import FORKS

SIGNED, NOT_SENT, FAILED = "yes", "·", "NO"

HEADER = """# Compatibility

What each client sends, and whether Holdfast signed it: every cell marked `yes` is a request in that client's own
manner (HTTP version, headers, spelling of the body) over a real socket, answered with the one signature that the
consensus specification's own signing root calls for. `·` means that the client does not send this type at this fork.

This page is written by the tests in `tests/clients`; a test fails when it is out of step. To write it again:
`HOLDFAST_WRITE_DOCS=1 make test` (or run `tests/clients/test_compatibility.py` alone).
"""

MANNERS = """
## Manners

| client | read from | connection | `Accept` | takes as answer |
|---|---|---|---|---|
"""


def seen_table(client: Client, seen: Mapping[tuple[str, str], bool]) -> str:
    """The matrix of one client; `seen` says for each (type, fork) sent whether the right signature came."""
    lines = [f"\n## {client.name}\n", "| type | " + " | ".join(fork.capitalize() for fork in FORKS) + " |"]
    lines.append("|---|" + "---|" * len(FORKS))
    for duty_type in client.sends:
        cells = [
            NOT_SENT if (duty_type, fork) not in seen else SIGNED if seen[duty_type, fork] else FAILED for fork in FORKS
        ]
        own = client.names.get(duty_type)
        name = f"`{duty_type}`" + (f" (as `{own}`)" if own else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def manners_table(clients: Iterable[Client]) -> str:
    """How each client connects and what it takes."""
    lines = []
    for client in clients:
        accept = next((f"`{value}`" for name, value in client.headers if name.lower() == "accept"), "none")
        how = "HTTP/1.1, keep-alive" + ("; TLS 1.2 only" if client.tls.__name__ == "tls_1_2_only" else "")
        takes = client.read_signature.__doc__.split(": ", 1)[1].rstrip(".")
        lines.append(f"| {client.name} | {client.version} | {how} | {accept} | {takes} |")
    return MANNERS + "\n".join(lines) + "\n"


def document(seen: Mapping[str, Mapping[tuple[str, str], bool]], clients: Iterable[Client]) -> str:
    """The whole page."""
    clients = tuple(clients)
    return HEADER + manners_table(clients) + "".join(seen_table(client, seen[client.name]) for client in clients)
