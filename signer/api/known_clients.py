"""Web3Signer's known-clients file: which client certificates may connect, self-signed ones included.

Each line is `<common name> <SHA-256 fingerprint>`, the fingerprint in hexadecimal with or without colons; `#` begins a
comment. Both must match. One difference to Web3Signer: it does not look at dates, and we do. A listed certificate that
has expired is refused, and the log says so; list a new one before that.
"""

import hashlib
import re
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from signer.auth.credentials import PeerCertificate
from signer.config.text_file import read_text
from signer.errors import ConfigError

_LINE = re.compile(r"(?P<name>\S.*?)\s+(?P<fingerprint>(?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2})")

KnownClients = frozenset[PeerCertificate]
"""Who is listed."""


def load_known_clients(file: Path) -> KnownClients:
    """The listed certificates. Raises ConfigError, naming the line."""
    setting = "server.tls.known_clients_file"
    remedy = "make it readable for the user that runs the signer, as UTF-8 text"
    text = read_text(file, subject=str(file), remedy=remedy, key=setting)
    listed = set()
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        found = _LINE.fullmatch(entry)
        if found is None:
            raise ConfigError(
                f"line {number} is not `<common name> <SHA-256 fingerprint>`",
                where=f"{file}:{number}",
                key=setting,
                remedy="copy the fingerprint from `openssl x509 -noout -fingerprint -sha256 -in client.pem`",
            )
        listed.add(PeerCertificate(found["name"], bytes.fromhex(found["fingerprint"].replace(":", ""))))
    return frozenset(listed)


def describe_certificate(certificate: x509.Certificate) -> PeerCertificate:
    """The common name (empty unless there is exactly one) and the fingerprint of a certificate."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    der = certificate.public_bytes(Encoding.DER)
    return PeerCertificate(str(names[0].value) if len(names) == 1 else "", hashlib.sha256(der).digest())
