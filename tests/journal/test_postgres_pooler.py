"""What stands between a signer and PostgreSQL, and takes the settings away that a connection begins with."""

import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from journal.shared_record import open_shared

from signer.errors import StartupError

SSL_REQUEST = 80877103
"""PostgreSQL manual, 55.7: the code in the place of a protocol version."""


def error_response(code: str, message: str) -> bytes:
    fields = b"".join(
        kind + text.encode() + b"\0" for kind, text in ((b"S", "FATAL"), (b"V", "FATAL"), (b"C", code), (b"M", message))
    )
    return b"E" + struct.pack(">I", len(fields) + 5) + fields + b"\0"


class Refusing:
    """Speaks PostgreSQL's protocol up to the first error. Owned by one test."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            with client, client.makefile("rb") as reader:
                while (length := reader.read(4)) and (body := reader.read(struct.unpack(">I", length)[0] - 4)):
                    if struct.unpack(">I", body[:4])[0] != SSL_REQUEST:
                        client.sendall(self._answer)
                        break
                    client.sendall(b"N")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(
    params=[
        ("08P01", "unsupported startup parameter: jit", "pooler"),
        ("42704", 'unrecognized configuration parameter "client_connection_check_interval"', "older than 15"),
    ]
)
def refusing(request: pytest.FixtureRequest) -> Iterator[tuple[Refusing, str]]:
    code, message, told = request.param
    server = Refusing(error_response(code, message))
    yield server, told
    server.close()


def test_who_takes_our_settings_away_is_told_for_what_it_is(refusing: tuple[Refusing, str], tmp_path: Path) -> None:
    """PgBouncer 1.18 answers like this in every mode; with `ignore_startup_parameters` its process id gives it away."""
    server, told = refusing
    with pytest.raises(StartupError, match=told) as caught:
        open_shared(f"postgresql://u@127.0.0.1:{server.port}/x", tmp_path)
    assert caught.value.remedy
    assert not (tmp_path / "instance").exists()
