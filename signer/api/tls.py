"""TLS for the network listener: which engine, which clients, and how the certificate is renewed without a restart.

The standard library serves everything but known-clients files, which pyOpenSSL serves (tls_openssl.py) at about 60 % of
its speed. TLS 1.2 is allowed because Teku's client offers nothing newer; sessions are resumed by ticket, because some
clients open hundreds of connections in one second. HTTP/2 is not offered.
"""

import os
import secrets
import ssl
from collections.abc import Callable
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from OpenSSL import SSL, crypto

from signer.api.known_clients import load_known_clients
from signer.api.tls_openssl import CIPHERS_1_2, HTTP_1, KnownClientsContext
from signer.config.server import TlsSettings
from signer.config.tls_files import ServerIdentity, load_certificates, load_identity
from signer.errors import ConfigError

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

Wrap = Callable[[ssl.MemoryBIO, ssl.MemoryBIO], Any]
"""From two memory BIOs to the TLS state of one new connection."""


class HotContext(ssl.SSLContext):
    """What a listener is given: new connections get the newest certificate and clients, old ones live on.

    asyncio, uvloop and aiohttp call nothing but `wrap_bio`. One instance for the life of its listener.
    """

    _settings: TlsSettings
    _wrap: Wrap

    @classmethod
    def load(cls, settings: TlsSettings) -> Self:
        """A context from the files of the settings. Raises ConfigError."""
        context = cls(ssl.PROTOCOL_TLS_SERVER)
        context._settings = settings
        context._wrap = _build(settings)
        return context

    def reload(self) -> None:
        """Read the same files again. Raises ConfigError, and then goes on with what it had."""
        self._wrap = _build(self._settings)

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *_: Any, **__: Any) -> Any:
        """The TLS state of a new connection, on the server's side."""
        return self._wrap(incoming, outgoing)


def _build(settings: TlsSettings) -> Wrap:
    identity = load_identity(settings)
    version = _VERSIONS[settings.minimum_version]
    if settings.known_clients_file is None:
        context = _standard_context(identity, settings, version)
        return lambda incoming, outgoing: context.wrap_bio(incoming, outgoing, server_side=True)
    try:
        return KnownClientsContext(
            identity,
            known_clients=load_known_clients(settings.known_clients_file),
            authorities=_authorities(settings),
            minimum_version=version,
        ).wrap_bio
    except (SSL.Error, crypto.Error) as error:
        raise _refused_by_openssl(error) from error


def _standard_context(identity: ServerIdentity, settings: TlsSettings, version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = version
    context.set_ciphers(CIPHERS_1_2.decode("ascii"))
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols([HTTP_1.decode("ascii")])
    try:
        _load_identity(context, identity)
        if settings.client_ca_file is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            trusted = b"".join(one.public_bytes(Encoding.PEM) for one in _authorities(settings))
            context.load_verify_locations(cadata=trusted.decode("ascii"))
    except ssl.SSLError as error:
        raise _refused_by_openssl(error) from error
    return context


def _authorities(settings: TlsSettings) -> tuple[x509.Certificate, ...]:
    if settings.client_ca_file is None:
        return ()
    return load_certificates(settings.client_ca_file, setting="server.tls.client_ca_file")


def _load_identity(context: ssl.SSLContext, identity: ServerIdentity) -> None:
    """The standard library reads keys from files only: one that lives in memory, encrypted, for this moment."""
    password = secrets.token_hex(32)
    pem = identity.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode("ascii"))
    ) + b"".join(certificate.public_bytes(Encoding.PEM) for certificate in identity.chain)
    descriptor = os.memfd_create("tls-identity", os.MFD_CLOEXEC)
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=password)
    finally:
        os.close(descriptor)


def _refused_by_openssl(error: Exception) -> ConfigError:
    return ConfigError(
        f"OpenSSL refuses the certificates: {error}",
        where="server.tls",
        key="server.tls",
        remedy="check key sizes (RSA 2048 bits or more) and signature algorithms (no SHA-1)",
    )
