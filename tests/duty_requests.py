"""Votes and blocks as clients send them, and connections to send them on: for tests that drive a running signer.

Every body is told apart by a mark: the same mark is the same message with the same root, another mark another one.
"""

import contextlib
import json
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from signer.api.wire_eth2 import decode_sign_request
from signer.eth2.builtin_networks import find_network
from signer.eth2.signing_root import signing_root
from signer.units import PublicKey

SLOTS_PER_EPOCH = 32
MAINNET_ROOT = "0x4b363db94e286120d76eb905340fdd4e54bfe9f06bf33ff6cf5ad27f511bfe95"
NO_GUARD = {"clock": {"far_future_epochs": None}}
"""Configuration of a test signer whose epochs are not compared with the clock."""

ANSWER_SECONDS = 60.0


def fork_info(genesis_validators_root: str = MAINNET_ROOT) -> dict[str, Any]:
    """Mainnet's first fork, for all epochs: what the domain is made of stays the same in all tests."""
    fork = {"previous_version": "0x00000000", "current_version": "0x00000000", "epoch": "0"}
    return {"fork": fork, "genesis_validators_root": genesis_validators_root}


def vote_body(source: int, target: int, mark: object = "", *, network: str = MAINNET_ROOT) -> dict[str, Any]:
    """An ATTESTATION; different marks are different votes for the same epochs."""
    attestation = {
        "slot": str(target * SLOTS_PER_EPOCH % 2**64),
        "index": "0",
        "beacon_block_root": _root("head", mark),
        "source": {"epoch": str(source), "root": _root("source")},
        "target": {"epoch": str(target), "root": _root("target")},
    }
    return {"type": "ATTESTATION", "fork_info": fork_info(network), "attestation": attestation}


def block_body(slot: int, mark: object = "", *, network: str = MAINNET_ROOT) -> dict[str, Any]:
    """A BLOCK_V2; different marks are different blocks for the same slot."""
    header = {
        "slot": str(slot),
        "proposer_index": "1",
        "parent_root": _root("parent"),
        "state_root": _root("state", mark),
        "body_root": _root("body"),
    }
    block = {"version": "BELLATRIX", "block_header": header}
    return {"type": "BLOCK_V2", "fork_info": fork_info(network), "beacon_block": block}


def root_of(body: dict[str, Any], network: str = "mainnet") -> bytes:
    """The signing root of a body, 32 bytes."""
    chosen = find_network(network)
    assert chosen is not None
    intent = decode_sign_request(json.dumps(body).encode(), PublicKey(bytes(48)), chosen)
    return bytes(signing_root(intent.duty, intent.fork_info, chosen))


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer of the signer."""

    status: int
    body: bytes

    @property
    def signature(self) -> str | None:
        """The signature, or None where there is none."""
        if self.status != 200:
            return None
        found = json.loads(self.body)["signature"]
        assert len(found) == 194
        return found

    @property
    def code(self) -> str:
        """The stable code of a problem; empty for a signature."""
        return "" if self.status == 200 else json.loads(self.body)["code"]

    @property
    def verdict(self) -> str:
        """`signed`, or status and code."""
        return "signed" if self.signature else f"{self.status} {self.code}"


def sign_request(public_key: str, body: dict[str, Any]) -> bytes:
    """A whole sign request."""
    return _request("POST", f"/api/v1/eth2/sign/{public_key}", json.dumps(body, separators=(",", ":")).encode())


def batch_request(items: Iterable[tuple[str, dict[str, Any]]]) -> bytes:
    """A whole request of the batch route, for (public key, body) pairs."""
    entries = [{**body, "identifier": public_key} for public_key, body in items]
    return _request("POST", "/api/v1/eth2/sign", json.dumps(entries, separators=(",", ":")).encode())


class Line:
    """One keep-alive connection. Owned by one thread of one test."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")

    def send(self, request: bytes) -> None:
        """Write one whole request."""
        self._socket.sendall(request)

    def read(self) -> Answered:
        """Read one whole answer. Raises OSError when the signer hung up, also in the middle."""
        line = self._reader.readline()
        length = 0
        while (header := self._reader.readline()) not in (b"\r\n", b""):
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        body = self._reader.read(length)
        if header == b"" or len(body) != length or not line.endswith(b"\r\n"):
            raise ConnectionResetError("the signer hung up")
        return Answered(int(line.split()[1]), body)

    def ask(self, request: bytes) -> Answered:
        """Send one request and read its answer."""
        self.send(request)
        return self.read()

    def sign(self, public_key: str, body: dict[str, Any]) -> Answered:
        """Ask for one signature."""
        return self.ask(sign_request(public_key, body))

    def sign_all(self, items: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
        """The batch route: for each item its signature, or its problem's status and code."""
        answer = self.ask(batch_request(items))
        assert answer.status == 200, answer
        entries = json.loads(answer.body)
        assert len(entries) == len(items)
        return [entry.get("signature") or f"{entry['status']} {entry['code']}" for entry in entries]

    def get(self, path: str) -> Answered:
        """A plain GET."""
        return self.ask(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())

    @property
    def port(self) -> int:
        """Our end's port."""
        return int(self._socket.getsockname()[1])

    def close(self) -> None:
        """Hang up."""
        self._reader.close()
        self._socket.close()


@contextlib.contextmanager
def line_to(port: int) -> Iterator[Line]:
    """A connection, closed on leaving."""
    with contextlib.closing(Line(port)) as line:
        yield line


@contextlib.contextmanager
def lines_to(port: int, count: int) -> Iterator[list[Line]]:
    """Many connections, all open before the first is used."""
    with contextlib.ExitStack() as opened:
        yield [opened.enter_context(contextlib.closing(Line(port))) for _ in range(count)]


def all_at_once(port: int, requests: Sequence[bytes]) -> list[Answered]:
    """The answers of requests sent at once, each on a connection of its own."""
    with lines_to(port, len(requests)) as lines:
        for line, request in zip(lines, requests, strict=True):
            line.send(request)
        return [line.read() for line in lines]


def _request(method: str, path: str, body: bytes) -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"accept: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _root(*parts: object) -> str:
    return "0x" + sha256(repr(parts).encode()).hexdigest()


def network_of_age(directory: Path, epochs: float) -> dict[str, Any]:
    """The configuration of a chain that began so many epochs ago: its guard against the far future can be tested.

    A later start of the same signer with a greater age is a signer after some time has passed.
    """
    file = directory / "network.yaml"
    settings = {
        "PRESET_BASE": "mainnet",
        "SLOT_DURATION_MS": 12000,
        "GENESIS_FORK_VERSION": "0x00000000",
        "ALTAIR_FORK_VERSION": "0x01000000",
        "ALTAIR_FORK_EPOCH": 2**64 - 1,
        "BELLATRIX_FORK_VERSION": "0x02000000",
        "BELLATRIX_FORK_EPOCH": 2**64 - 1,
    }
    file.write_text(json.dumps(settings))  # JSON is YAML
    return {
        "network": {
            "config_file": str(file),
            "genesis_validators_root": MAINNET_ROOT,
            "genesis_time": int(time.time() - epochs * SLOTS_PER_EPOCH * 12),
        }
    }
