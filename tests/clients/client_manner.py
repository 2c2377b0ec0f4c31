"""What it means to be one of the six clients: what it writes, on what connection, and what it takes as answer."""

import json
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spec_duties import Duty, fork_info

ANSWER_SECONDS = 10.0

MEMBER = {
    "BLOCK_V2": "beacon_block",
    "ATTESTATION": "attestation",
    "AGGREGATE_AND_PROOF": "aggregate_and_proof",
    "AGGREGATION_SLOT": "aggregation_slot",
    "RANDAO_REVEAL": "randao_reveal",
    "VOLUNTARY_EXIT": "voluntary_exit",
    "DEPOSIT": "deposit",
    "SYNC_COMMITTEE_MESSAGE": "sync_committee_message",
    "SYNC_COMMITTEE_SELECTION_PROOF": "sync_aggregator_selection_data",
    "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF": "contribution_and_proof",
    "VALIDATOR_REGISTRATION": "validator_registration",
    "BLS_TO_EXECUTION_CHANGE": "BLS_TO_EXECUTION_CHANGE",
    "EXECUTION_PAYLOAD_ENVELOPE": "execution_payload_envelope",
    "PAYLOAD_ATTESTATION_MESSAGE": "payload_attestation_message",
    "PROPOSER_PREFERENCES": "proposer_preferences",
    "BUILDER_REQUEST_AUTH": "builder_request_auth",
}
"""The remote signing API's member for each type."""

WITHOUT_FORK_INFO = {"DEPOSIT", "VALIDATOR_REGISTRATION", "BUILDER_REQUEST_AUTH"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read to its last byte."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""

    body: bytes

    @property
    def media_type(self) -> str:
        """The content type without its parameters; empty when there is none."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()


class Connection:
    """One keep-alive connection, owned by one test."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = tls.wrap_socket(plain, server_hostname="localhost") if tls else plain
        self.reader = self.socket.makefile("rb")

    def send(self, request: bytes) -> None:
        """Write one whole request."""
        self.socket.sendall(request)

    def read_answer(self) -> Answer:
        """Read one whole answer. Raises ConnectionResetError when the server hung up."""
        status_line = self.reader.readline()
        if not status_line:
            raise ConnectionResetError("the server closed the connection")
        headers: dict[str, str] = {}
        while (line := self.reader.readline().rstrip(b"\r\n")) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        body = self.reader.read(int(headers.get("content-length", 0)))
        return Answer(int(status_line.split()[1]), headers, body)

    def ask(self, request: bytes) -> Answer:
        """Send one request and read its answer."""
        self.send(request)
        return self.read_answer()

    def close(self) -> None:
        """Hang up."""
        self.reader.close()
        self.socket.close()


def json_only(answer: Answer) -> str:
    """Lighthouse and Lodestar: JSON or nothing."""
    if answer.media_type != "application/json":
        raise ValueError(f"not JSON but {answer.media_type!r}")
    return json.loads(answer.body)["signature"]


def json_or_exact_hex(answer: Answer) -> str:
    """Prysm and Teku: JSON if the content type begins so, else hex to the last byte."""
    if answer.headers.get("content-type", "").startswith("application/json"):
        return json.loads(answer.body)["signature"]
    text = answer.body.decode()
    if not text.startswith("0x") or len(text) != 194:
        raise ValueError(f"not an exact hex string: {text!r}")
    return text


def by_content_type(answer: Answer) -> str:
    """Nimbus: no content type is an error; text is hex, anything else JSON."""
    if not answer.media_type:
        raise ValueError("no content type")
    return json_or_exact_hex(answer) if answer.media_type == "text/plain" else json.loads(answer.body)["signature"]


def exact_text(answer: Answer) -> str:
    """Vero: the body as it is."""
    return answer.body.decode()


def common_body(duty: Duty, **members: Any) -> dict[str, Any]:
    """The body most clients send: type, fork_info where the type has one, the root, and the object."""
    body: dict[str, Any] = {"type": duty.type}
    if duty.type not in WITHOUT_FORK_INFO:
        body["fork_info"] = duty.fork_info
    body["signingRoot"] = "0x" + duty.signing_root.hex()
    return body | {MEMBER[duty.type]: spelled(duty)} | members


def spelled(duty: Duty) -> Any:
    """The object under its member, where the remote signing API wraps what the specification has bare."""
    match duty.type:
        case "AGGREGATION_SLOT":
            return {"slot": duty.object}
        case "RANDAO_REVEAL":
            return {"epoch": duty.object}
        case "SYNC_COMMITTEE_MESSAGE":
            slot = (duty.epoch * 32) + 5
            return {"beacon_block_root": duty.object, "slot": str(slot)}
        case "BLOCK_V2":
            member = "block" if duty.fork in {"PHASE0", "ALTAIR"} else "block_header"
            return {"version": duty.fork, member: duty.object}
        case "DEPOSIT":
            return {**duty.object, "genesis_fork_version": "0x00000099"}
        case _:
            return duty.object


def versioned(duty: Duty) -> dict[str, Any]:
    """`{version, data}` around the object."""
    return {"version": duty.fork, "data": duty.object}


Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Client:
    """One client's manner. `sends` holds, for each type of the specification, the forks at which it sends it."""

    name: str
    version: str
    """The release or commit whose source these facts were read from."""

    sends: Mapping[str, tuple[str, ...]]
    headers: Headers
    """In its order and spelling; HOST and LENGTH stand for the values of the request."""

    body: Callable[[Duty], dict[str, Any]]
    read_signature: Callable[[Answer], str]
    path: str = "/api/v1/eth2/sign/"
    tls: Callable[[], ssl.SSLContext] = ssl.create_default_context
    names: Mapping[str, str] = field(default_factory=dict)
    """Its own name for a type, where it differs from the specification's."""

    def request(self, duty: Duty, port: int) -> bytes:
        """The bytes it puts on the wire."""
        body = self.body(duty)
        if duty.type in self.names:
            body["type"] = self.names[duty.type]
        return self.post(self.path + duty.public_key, json.dumps(body, separators=(",", ":")).encode(), port=port)

    def post(self, path: str, body: bytes, *, port: int) -> bytes:
        """A POST with this client's headers."""
        values = {"HOST": f"127.0.0.1:{port}", "LENGTH": str(len(body))}
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {values.get(value, value)}" for name, value in self.headers)]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


__all__ = [
    "Answer", "Client", "Connection", "by_content_type", "common_body", "exact_text", "fork_info",
    "json_only", "json_or_exact_hex", "versioned",
]  # fmt: skip
