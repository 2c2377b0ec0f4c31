"""TLS by pyOpenSSL, for known-clients files: the standard library cannot accept a certificate that it cannot verify.

asyncio, uvloop and aiohttp ask of an SSLContext only `wrap_bio`, and of what that returns a handful of methods over two
memory BIOs. The rule for a client certificate is judged at the last certificate of the chain, so that a stranger gets a
TLS alert, and again when the handshake is over, whatever order OpenSSL called us in: it fails closed.
"""

import ssl
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto

from signer.api.known_clients import KnownClients, describe_certificate
from signer.config.tls_files import ServerIdentity

HTTP_1 = b"http/1.1"
"""The only protocol offered by ALPN: nothing here speaks HTTP/2."""

CIPHERS_1_2 = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has nothing weaker."""

_RECORD_BYTES = 16_384
"""The most that one TLS record carries (RFC 8446, 5.1)."""

_UNVERIFIABLE = frozenset({18, 19, 20, 21, 26})
"""X509_V_ERR_* (openssl-verify(1)): self-signed, self-signed in the chain, no issuer, leaf not verifiable, not made for
clients. A listed leaf may have these: its fingerprint is what is trusted. Never others, such as 10: has expired."""


class KnownClientsContext:
    """The server side of TLS with a list of clients. Immutable once built; shared by all connections."""

    def __init__(
        self,
        identity: ServerIdentity,
        *,
        known_clients: KnownClients,
        authorities: tuple[x509.Certificate, ...],
        minimum_version: ssl.TLSVersion,
    ) -> None:
        """`authorities` may issue client certificates beside the listed ones; empty: the list alone decides."""
        self._known = known_clients
        self._trusts_authorities = bool(authorities)
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(int(minimum_version))
        context.set_cipher_list(CIPHERS_1_2)
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
        context.set_session_id(b"holdfast")
        context.use_certificate(identity.chain[0])
        for certificate in identity.chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(identity.key)  # type: ignore[arg-type]  # a key that fits a certificate: checked
        store = context.get_cert_store()
        for authority in authorities:
            if store is not None:
                store.add_cert(crypto.X509.from_cryptography(authority))
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._on_certificate)
        context.set_alpn_select_callback(_select_http_1)
        self._context = context

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> "OpenSslObject":
        """One connection's TLS state."""
        connection = SSL.Connection(self._context, None)
        connection.set_accept_state()
        faults: list[int] = []
        connection.set_app_data(faults)
        return OpenSslObject(connection, self, incoming, outgoing)

    def admits(self, leaf: x509.Certificate, faults: list[int]) -> bool:
        """True for a listed certificate without any fault but an unknown issuer, or one from a trusted authority."""
        if describe_certificate(leaf) in self._known:
            return _UNVERIFIABLE.issuperset(faults)
        return self._trusts_authorities and not faults

    def _on_certificate(
        self,
        connection: SSL.Connection,
        certificate: crypto.X509,
        fault: int,
        depth: int,
        _ok: int,
    ) -> bool:
        """OpenSSL calls this for each certificate and each fault, the client's own certificate (depth 0) last."""
        faults: list[int] = connection.get_app_data()
        if fault:
            faults.append(fault)
        if depth > 0:
            return True
        try:
            return self.admits(certificate.to_cryptography(), faults)
        except ValueError:  # a certificate that cannot be read
            return False


class OpenSslObject:
    """What `ssl.SSLObject` is to the standard library's context. Lives as long as its connection."""

    def __init__(
        self,
        connection: SSL.Connection,
        context: KnownClientsContext,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
    ) -> None:
        self._connection = connection
        self._context = context
        self._incoming = incoming
        self._outgoing = outgoing
        self._fed = False
        """OpenSSL was given bytes since it last asked for more."""

    def do_handshake(self) -> None:
        """Raises SSLWantReadError until the peer has sent enough, SSLError for a peer that is not admitted."""
        self._run(self._connection.do_handshake)
        leaf = self._leaf()
        # A resumed session was verified when it began, by this same context: no callback ran and no fault is known.
        if leaf is None or not self._context.admits(leaf, self._connection.get_app_data()):
            raise ssl.SSLCertVerificationError("the client certificate is not admitted")

    def read(self, length: int = _RECORD_BYTES, buffer: Any = None) -> Any:
        """Up to one record; `b""` (or 0, with a buffer) after the peer's close. Raises SSLWantReadError."""
        try:
            data = self._run(lambda: self._connection.recv(min(length, _RECORD_BYTES)))
        except ssl.SSLZeroReturnError:
            data = b""
        if buffer is None:
            return data
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        """Bytes taken. Raises SSLWantReadError."""
        return int(self._run(lambda: self._connection.send(bytes(data))))

    def unwrap(self) -> None:
        """Send our close, and wait for the peer's. Raises SSLWantReadError until it is there."""
        if not self._run(self._connection.shutdown):
            raise ssl.SSLWantReadError

    def pending(self) -> int:
        """At least 1 if `read` may return something at once.

        uvloop reads no further at 0, and OpenSSL counts only what it has decrypted: a request that came in one
        segment with the end of the handshake waits in its input, where neither would look.
        """
        return self._connection.pending() or int(self._fed)

    def getpeercert(self, binary_form: bool = False) -> Any:  # noqa: FBT001, FBT002 - the standard library's signature
        """The client's certificate as DER; not as a dict, for which nobody here asks."""
        if not binary_form:
            return {}
        leaf = self._leaf()
        return None if leaf is None else leaf.public_bytes(Encoding.DER)

    def cipher(self) -> tuple[str, str, int] | None:
        """Name, protocol and secret bits of the cipher in use."""
        name = self._connection.get_cipher_name()
        if name is None:
            return None
        return name, self._connection.get_cipher_version() or "", self._connection.get_cipher_bits() or 0

    def compression(self) -> None:
        """Never compressed."""

    def version(self) -> str:
        """`TLSv1.2` or `TLSv1.3`."""
        return self._connection.get_protocol_version_name()

    def _leaf(self) -> x509.Certificate | None:
        try:
            return self._connection.get_peer_certificate(as_cryptography=True)
        except ValueError:
            raise ssl.SSLCertVerificationError("the client certificate cannot be read") from None

    def _run(self, operation: Any) -> Any:
        """Feed what has arrived, act, hand out what is to be sent; pyOpenSSL's errors as the standard library's."""
        if self._incoming.pending:
            self._connection.bio_write(self._incoming.read())
            self._fed = True
        try:
            return operation()
        except SSL.WantReadError:
            self._fed = False
            raise ssl.SSLWantReadError from None
        except SSL.ZeroReturnError:
            raise ssl.SSLZeroReturnError from None
        except SSL.SysCallError:
            raise ssl.SSLEOFError("the peer closed without saying so") from None
        except SSL.Error as error:
            raise ssl.SSLError(1, f"TLS failed: {error}") from error
        finally:
            self._drain()

    def _drain(self) -> None:
        while True:
            try:
                self._outgoing.write(self._connection.bio_read(4 * _RECORD_BYTES))
            except SSL.WantReadError:
                return


def _select_http_1(_connection: SSL.Connection, offered: list[bytes]) -> Any:
    return HTTP_1 if HTTP_1 in offered else SSL.NO_OVERLAPPING_PROTOCOLS
