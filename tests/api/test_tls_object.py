"""pyOpenSSL behind the standard library's interface, handshaken in memory with the standard library's own client."""

import ssl

import pytest
from certificate_twins import client_context, make

from signer.api.known_clients import describe_certificate
from signer.api.tls_openssl import KnownClientsContext, OpenSslObject
from signer.config.tls_files import ServerIdentity


class Careless(KnownClientsContext):
    """A context whose callback lets everybody through."""

    def _on_certificate(self, *_):
        return True


class Pair:
    """A server's object and a client's, with their wires crossed."""

    def __init__(self, directory, *, kind=KnownClientsContext, listed=True, version=None):
        self.server_made = make(directory, "localhost")
        self.client_made = make(directory, "client")
        context = kind(
            ServerIdentity((self.server_made.certificate,), self.server_made.key),
            known_clients=frozenset({describe_certificate(self.client_made.certificate)} if listed else ()),
            authorities=(),
            minimum_version=ssl.TLSVersion.TLSv1_2,
        )
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = context.wrap_bio(to_server, to_client)
        self.client = client_context(self.server_made, shows=self.client_made, version=version).wrap_bio(
            to_client, to_server, server_hostname="localhost"
        )

    def shake_hands(self) -> "Pair":
        done = set()
        for _ in range(20):
            for side in (self.client, self.server):
                if side in done:
                    continue
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                done.add(side)
            if len(done) == 2:
                return self
        raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_bytes_go_both_ways_and_the_object_tells_what_was_agreed(tmp_path, version):
    pair = Pair(tmp_path, version=version).shake_hands()
    server: OpenSslObject = pair.server
    assert server.version() == pair.client.version()
    assert server.cipher()[0]
    assert server.compression() is None
    assert server.getpeercert() == {}
    assert describe_certificate(pair.client_made.certificate).common_name == "client"
    assert pair.server.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(
        pair.client_made.certificate_file.read_text()
    )
    pair.client.write(b"ping")
    assert server.read(2) == b"pi"
    assert server.pending() == 2
    buffer = bytearray(10)
    assert server.read(10, buffer) == 2
    assert buffer[:2] == b"ng"
    with pytest.raises(ssl.SSLWantReadError):
        server.read()
    assert server.pending() == 0
    assert server.write(memoryview(b"pong")) == 4
    assert pair.client.read() == b"pong"


def test_what_came_with_the_end_of_the_handshake_counts_as_pending(tmp_path):
    pair = Pair(tmp_path, version=ssl.TLSVersion.TLSv1_3)
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.do_handshake()
    with pytest.raises(ssl.SSLWantReadError):
        pair.server.do_handshake()
    pair.client.do_handshake()
    pair.client.write(b"early bird")  # in the same flight as the client's Finished
    pair.server.do_handshake()
    assert pair.server.pending() > 0
    assert pair.server.read() == b"early bird"


def test_a_close_is_an_empty_read_and_is_answered(tmp_path):
    pair = Pair(tmp_path).shake_hands()
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.unwrap()
    assert pair.server.read() == b""
    pair.server.unwrap()
    pair.client.unwrap()


def test_our_close_waits_for_the_peers(tmp_path):
    pair = Pair(tmp_path).shake_hands()
    with pytest.raises(ssl.SSLWantReadError):
        pair.server.unwrap()


def test_a_client_that_the_callback_let_through_by_mistake_is_refused_after_the_handshake(tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError):
        Pair(tmp_path, kind=Careless, listed=False).shake_hands()


def test_a_listed_client_passes_where_the_callback_says_nothing(tmp_path):
    Pair(tmp_path, kind=Careless).shake_hands()
