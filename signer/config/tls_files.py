"""The server's own certificate and key, from PEM files or one PKCS#12 file."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from signer.config.secret_files import read_first_line
from signer.config.server import TlsSettings
from signer.errors import ConfigError

_PASSWORD_KEY = "server.tls.password_file"  # noqa: S105 - the name of a setting


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """A private key and the certificates that speak for it, the server's own first."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes = field(repr=False)


def load_identity(settings: TlsSettings) -> ServerIdentity:
    """What the server shows.

    Raises:
        ConfigError: a file that cannot be read, a wrong password, a key that does not fit.
    """
    password = None
    if settings.password_file is not None:
        password = read_first_line(settings.password_file, key=_PASSWORD_KEY).encode()
    if settings.pkcs12_file is not None:
        return _from_pkcs12(settings.pkcs12_file, password)
    if settings.certificate_file is None or settings.key_file is None:
        raise ConfigError(
            "TLS needs a certificate and its key",
            where="server.tls",
            key="server.tls.certificate_file",
            remedy="set server.tls.certificate_file and server.tls.key_file, or server.tls.pkcs12_file",
        )
    chain = load_certificates(settings.certificate_file, setting="server.tls.certificate_file")
    return _checked(chain, _pem_key(settings.key_file, password), file=settings.key_file)


def load_certificates(file: Path, *, setting: str) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file. Raises ConfigError."""
    try:
        return tuple(x509.load_pem_x509_certificates(_read(file, setting)))
    except ValueError as error:
        raise ConfigError(
            f"{file} holds no certificates as PEM: {error}",
            where=str(file),
            key=setting,
            remedy="write each certificate between BEGIN CERTIFICATE and END CERTIFICATE lines",
        ) from error


def _from_pkcs12(file: Path, password: bytes | None) -> ServerIdentity:
    setting = "server.tls.pkcs12_file"
    try:
        key, own, others = pkcs12.load_key_and_certificates(_read(file, setting), password)
    except ValueError:
        raise ConfigError(
            f"{file} cannot be opened: it is no PKCS#12 file, or its password is another",
            where=str(file),
            key=_PASSWORD_KEY,
            remedy="put the file's password in the first line of server.tls.password_file",
        ) from None
    if key is None or own is None:
        raise ConfigError(
            f"{file} lacks a private key or its certificate",
            where=str(file),
            key=setting,
            remedy="export key and certificate together: openssl pkcs12 -export -inkey ... -in ...",
        )
    return _checked((own, *others), key, file=file)


def _pem_key(file: Path, password: bytes | None) -> PrivateKeyTypes:
    setting = "server.tls.key_file"
    try:
        # A password for a key that is not encrypted is a TypeError; so is none for one that is.
        return load_pem_private_key(_read(file, setting), password)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{file} cannot be opened: it is no private key as PEM, or its password is missing, superfluous or wrong",
            where=str(file),
            key=setting,
            remedy="an encrypted key needs server.tls.password_file, a plain one must not have it",
        ) from None


def _checked(chain: Sequence[x509.Certificate], key: PrivateKeyTypes, *, file: Path) -> ServerIdentity:
    if not chain or chain[0].public_key() != key.public_key():
        raise ConfigError(
            f"the private key in {file} is not that of the first certificate",
            where=str(file),
            key="server.tls",
            remedy="put the server's own certificate first, and give the key it was made with",
        )
    return ServerIdentity(tuple(chain), key)


def _read(file: Path, setting: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{file} cannot be read: {error.strerror}",
            where=str(file),
            key=setting,
            remedy="make it readable for the user that runs the signer",
        ) from error
