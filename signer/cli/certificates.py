"""A small authority of one's own: ECDSA P-256, X.509, as PEM and PKCS#12.

Rule 1: a certificate is good for one purpose: to sign certificates, to be a server, or to be a client.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12Certificate,
    serialize_java_truststore,
    serialize_key_and_certificates,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signer.crypto.secret import Secret

AUTHORITY_NAME = "Holdfast development CA"
SERVER_NAME = "holdfast"

CLOCK_SKEW = timedelta(hours=1)
"""Certificates are good from an hour ago, so that a client whose clock is behind takes them."""

_CLIENT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Also a file's name; without spaces, for the known-clients file separates by one."""

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$)({_LABEL}\.)*{_LABEL}")
"""RFC 1123, 2.1."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


Authority = Identity
"""An identity that signs others."""


def create_authority(*, now: datetime, days: int) -> Authority:
    """A self-signed authority that may sign end certificates and nothing further."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(AUTHORITY_NAME)
    builder = (
        _builder(name, key.public_key(), now=now, days=days)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
    )
    return Identity(builder.sign(key, hashes.SHA256()), key)


def load_authority(certificate: bytes, key: bytes) -> Authority:
    """The authority in two PEM files. Raises ValueError: they are none, or do not belong together."""
    loaded, secret = x509.load_pem_x509_certificate(certificate), load_pem_private_key(key, None)
    if not isinstance(secret, ec.EllipticCurvePrivateKey) or secret.public_key() != loaded.public_key():
        raise ValueError("ca.key is not the key of ca.pem")
    return Identity(loaded, secret)


def server_identity(authority: Authority, *, hosts: Sequence[str], now: datetime, days: int) -> Identity:
    """A server certificate for these names and addresses. Raises ValueError for what is neither."""
    names = x509.SubjectAlternativeName([_host(host) for host in dict.fromkeys(hosts)])
    return _issue(authority, SERVER_NAME, ExtendedKeyUsageOID.SERVER_AUTH, names, now=now, days=days)


def client_identity(authority: Authority, *, name: str, now: datetime, days: int) -> Identity:
    """A client certificate with this common name. Raises ValueError for a name that cannot be one."""
    if not _CLIENT_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no client's name; write letters, digits, dots, dashes and underscores")
    return _issue(authority, name, ExtendedKeyUsageOID.CLIENT_AUTH, None, now=now, days=days)


def pem_certificate(certificate: x509.Certificate) -> bytes:
    """The certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as PEM (PKCS#8), in the clear."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def client_bundle(identity: Identity, authority: Authority, *, name: str, password: Secret) -> bytes:
    """Key, certificate and authority as PKCS#12."""
    encryption = BestAvailableEncryption(password.reveal())
    return serialize_key_and_certificates(
        name.encode(), identity.key, identity.certificate, [authority.certificate], encryption
    )


def trust_store(certificate: x509.Certificate, password: Secret) -> bytes:
    """The authority as a PKCS#12 trust store: Java finds an authority only in one that is marked so."""
    entry = PKCS12Certificate(certificate, b"holdfast")
    return serialize_java_truststore([entry], BestAvailableEncryption(password.reveal()))


def known_clients_line(certificate: x509.Certificate) -> str:
    """A line of Web3Signer's known-clients file: common name, and SHA-256 fingerprint with colons."""
    name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return f"{name!s} {certificate.fingerprint(hashes.SHA256()).hex(':').upper()}\n"


def _issue(
    authority: Authority,
    name: str,
    purpose: x509.ObjectIdentifier,
    names: x509.SubjectAlternativeName | None,
    *,
    now: datetime,
    days: int,
) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(name), key.public_key(), now=now, days=days)
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    return Identity(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, *, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        if not _HOST_NAME.fullmatch(host):
            raise ValueError(f"{host!r} is neither a name nor an address of a host") from None
        return x509.DNSName(host)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
