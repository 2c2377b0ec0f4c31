"""Would the TLS files serve? Certificate and key are read as the listener reads them; their dates are compared."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from signer.config.fault import Fault, fault_of
from signer.config.sections import Config
from signer.config.tls_files import load_certificates, load_identity
from signer.errors import ConfigError

RENEWAL = timedelta(days=30)
"""How long before its end a certificate is worth a warning: what ACME clients take for their last third of 90 days."""


def find_tls_faults(config: Config) -> tuple[Fault, ...]:
    """What would stop the listener: a file that cannot be read or opened, a key that is not the certificate's."""
    try:
        _load(config)
    except ConfigError as error:
        return (Fault(error.key, error.where, error.sentence, error.remedy),)
    return ()


def find_tls_warnings(config: Config, *, now: datetime | None = None) -> tuple[Fault, ...]:
    """Certificates that have ended, have not begun, or end soon. Nothing where they cannot be read: that is a fault."""
    try:
        certificates = _load(config)
    except ConfigError:
        return ()
    now = datetime.now(UTC) if now is None else now
    return tuple(warning for each in certificates for warning in _judge(config, *each, now=now))


def _load(config: Config) -> list[tuple[str, Path, x509.Certificate]]:
    """Each certificate with its key and its file. Raises ConfigError."""
    tls = config.server.tls
    if not tls.enabled:
        return []
    identity = load_identity(tls)
    name = "certificate_file" if tls.pkcs12_file is None else "pkcs12_file"
    own = tls.pkcs12_file or tls.certificate_file or Path()
    found = [(f"server.tls.{name}", own, each) for each in identity.chain]
    if tls.client_ca_file is not None:
        key = "server.tls.client_ca_file"
        found += [(key, tls.client_ca_file, each) for each in load_certificates(tls.client_ca_file, setting=key)]
    return found


def _judge(config: Config, key: str, file: Path, certificate: x509.Certificate, *, now: datetime) -> Iterator[Fault]:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    name = certificate.subject.rfc4514_string() or "a certificate"
    if now < start:
        yield fault_of(config, key, f"{name} in {file} is good only from {start:%Y-%m-%d %H:%M} UTC", "check the clock")
    elif end <= now:
        sentence = f"{name} in {file} has ended on {end:%Y-%m-%d}: nobody can connect"
        yield fault_of(config, key, sentence, "put a new certificate there; a running signer takes it with a reload")
    elif end - now < RENEWAL:
        sentence = f"{name} in {file} ends on {end:%Y-%m-%d}, in {(end - now).days} days"
        yield fault_of(config, key, sentence, "put a new certificate there; a running signer takes it with a reload")
