"""Certificates made for one test, and clients that show them."""

import datetime
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Made:
    """A certificate with its key, as files too."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate_file: Path
    key_file: Path

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.certificate.public_bytes(Encoding.DER)).hexdigest().upper()
        return ":".join(digest[at : at + 2] for at in range(0, 64, 2))


def make(
    directory: Path,
    common_name: str,
    *,
    issuer: Made | None = None,
    authority: bool = False,
    expired: bool = False,
    server_only: bool = False,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None,
) -> Made:
    """A certificate, self-signed unless it has an issuer."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    ends = NOW - DAY if expired else NOW + DAY
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 3 * DAY)
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if server_only:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    certificate = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    number = len(list(directory.iterdir()))
    made = Made(certificate, key, directory / f"{number}.crt", directory / f"{number}.key")
    made.certificate_file.write_bytes(certificate.public_bytes(Encoding.PEM))
    made.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


def client_context(server: Made, *, shows: Made | None = None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """A client that trusts the server's certificate and shows its own."""
    context = ssl.create_default_context(cadata=server.certificate.public_bytes(Encoding.PEM).decode())
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if shows is not None:
        context.load_cert_chain(shows.certificate_file, shows.key_file)
    return context
