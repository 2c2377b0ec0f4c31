"""Every duty that each of the six clients sends, at every fork, in that client's manner over one keep-alive socket."""

import os
from pathlib import Path

import pytest
from client_manner import Answer, Client
from compatibility import document
from running import RunningSigner
from signatures import public_key, signature
from six_clients import CLIENTS
from spec_duties import FORKS, Duty, duties

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "compatibility.md"


def duties_of(client: Client) -> list[Duty]:
    """What this client sends, fork by fork, with its own key."""
    known = duties(public_key(CLIENTS.index(client)))
    return [known[key, fork] for fork in FORKS for key, forks in client.sends.items() if fork in forks]


def is_right(client: Client, duty: Duty, answer: Answer) -> bool:
    """Whether this client would take this answer, and it is the signature over the specification's root."""
    if answer.status != 200:
        return False
    return client.read_signature(answer) == signature(CLIENTS.index(client), duty.signing_root)


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_every_duty_at_every_fork_is_signed_in_the_clients_manner(client: Client, signer: RunningSigner, connect):
    connection = connect(signer.port)
    for duty in duties_of(client):
        answer = connection.ask(client.request(duty, signer.port))
        assert is_right(client, duty, answer), (duty.type, duty.fork, answer)


def test_the_compatibility_page_tells_what_is_seen(signer: RunningSigner, connect):
    seen: dict[str, dict[tuple[str, str], bool]] = {}
    for client in CLIENTS:
        connection = connect(signer.port)
        seen[client.name] = {
            (duty.type, duty.fork): is_right(client, duty, connection.ask(client.request(duty, signer.port)))
            for duty in duties_of(client)
        }
    page = document(seen, CLIENTS)
    if os.environ.get("HOLDFAST_WRITE_DOCS"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page
