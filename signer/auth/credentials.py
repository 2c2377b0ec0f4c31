"""What a caller can show to be known: a bearer token, a name with a password, a client certificate.

Only digests are kept; the configuration holds nothing that could be replayed. Its text forms:

    token       sha256$<64 hex digits>                       of a random token of at least 128 bits: no salt is needed
    password    scrypt$<n>$<r>$<p>$<salt hex>$<hash hex>     for passwords that people chose
                sha256$<salt hex>$<hash hex>                 for random ones; sha256(salt || password)

A password that is read from a file is kept in the quick form: who can read our memory can read the file too.
"""

import hashlib
import hmac
from dataclasses import dataclass, field

from signer.auth.principal import Principal
from signer.errors import ConfigError

SCRYPT_COST, SCRYPT_BLOCK_SIZE, SCRYPT_PARALLELISM = 2**15, 8, 1
"""What `hash_password` uses: 32 MiB and about 80 ms (RFC 7914; OWASP's second choice for interactive logins)."""

_SCRYPT_MEMORY_LIMIT_BYTES = 256 * 2**20
_SHA256_BYTES = 32


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """Who stands at the other end of a TLS connection, after the handshake has accepted the certificate."""

    common_name: str
    """The subject's only CN, or an empty text."""

    sha256: bytes
    """The SHA-256 of the DER certificate."""


@dataclass(frozen=True, slots=True)
class BearerCredential:
    """A token sent as `Authorization: Bearer ...`."""

    principal: Principal
    token_sha256: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScryptHash:
    """RFC 7914 with its own parameters and salt."""

    cost: int
    block_size: int
    parallelism: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def matches(self, password: bytes) -> bool:
        """True for the right password. Takes tens of milliseconds: never call it on the event loop."""
        computed = hashlib.scrypt(
            password,
            salt=self.salt,
            n=self.cost,
            r=self.block_size,
            p=self.parallelism,
            dklen=len(self.digest),
            maxmem=_SCRYPT_MEMORY_LIMIT_BYTES,
        )
        return hmac.compare_digest(computed, self.digest)


@dataclass(frozen=True, slots=True)
class SaltedSha256:
    """One SHA-256: quick, and only as strong as the password is random."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def matches(self, password: bytes) -> bool:
        """True for the right password."""
        return hmac.compare_digest(hashlib.sha256(self.salt + password).digest(), self.digest)


PasswordHash = ScryptHash | SaltedSha256


@dataclass(frozen=True, slots=True)
class BasicCredential:
    """A name and a password sent as `Authorization: Basic ...` (RFC 7617)."""

    principal: Principal
    name: str
    password: PasswordHash


@dataclass(frozen=True, slots=True)
class CertificateCredential:
    """A client certificate: by its fingerprint, by its common name, or by both (then both must match).

    The name alone is worth what the certificate authority, or the known-clients file, is worth.
    """

    principal: Principal
    common_name: str | None = None
    sha256: bytes | None = None

    def matches(self, peer: PeerCertificate) -> bool:
        """True if the peer shows this certificate."""
        if self.common_name is None and self.sha256 is None:
            return False
        return (self.common_name is None or self.common_name == peer.common_name) and (
            self.sha256 is None or hmac.compare_digest(self.sha256, peer.sha256)
        )


Credential = BearerCredential | BasicCredential | CertificateCredential


def parse_token_digest(text: str, *, where: str, key: str) -> bytes:
    """The digest in `sha256$<hex>`. Raises ConfigError, which names the form and never repeats the value."""
    scheme, _, digest = text.partition("$")
    if scheme != "sha256":
        raise _bad_form("token", where=where, key=key)
    decoded = _hex(digest)
    if decoded is None or len(decoded) != _SHA256_BYTES:
        raise _bad_form("token", where=where, key=key)
    return decoded


def parse_password_hash(text: str, *, where: str, key: str) -> PasswordHash:
    """The hash in one of the two text forms above. Raises ConfigError, which never repeats the value."""
    fault = _bad_form("password", where=where, key=key)
    match text.split("$"):
        case ["sha256", salt_text, digest_text]:
            salt, digest = _hex(salt_text), _hex(digest_text)
            if not salt or digest is None or len(digest) != _SHA256_BYTES:
                raise fault
            return SaltedSha256(salt, digest)
        case ["scrypt", cost, block_size, parallelism, salt_text, digest_text]:
            salt, digest = _hex(salt_text), _hex(digest_text)
            numbers = [int(number) if number.isdecimal() else 0 for number in (cost, block_size, parallelism)]
            if not salt or not digest or len(digest) < 16 or not all(numbers):
                raise fault
            scrypt = ScryptHash(numbers[0], numbers[1], numbers[2], salt, digest)
            _check_scrypt(scrypt, fault)
            return scrypt
        case _:
            raise fault


def token_digest_text(token: str) -> str:
    """What the configuration holds for this token."""
    return "sha256$" + hashlib.sha256(token.encode()).hexdigest()


def salt_password(password: str, *, salt: bytes) -> str:
    """The quick form, for a password whose plain text lies in a file anyway: a slow hash would protect nothing."""
    return f"sha256${salt.hex()}${hashlib.sha256(salt + password.encode()).hexdigest()}"


def hash_password(password: str, *, salt: bytes) -> str:
    """What the configuration holds for this password; `salt` is 16 random bytes."""
    digest = hashlib.scrypt(
        password.encode(),
        salt=salt,
        n=SCRYPT_COST,
        r=SCRYPT_BLOCK_SIZE,
        p=SCRYPT_PARALLELISM,
        dklen=32,
        maxmem=_SCRYPT_MEMORY_LIMIT_BYTES,
    )
    return f"scrypt${SCRYPT_COST}${SCRYPT_BLOCK_SIZE}${SCRYPT_PARALLELISM}${salt.hex()}${digest.hex()}"


def _check_scrypt(scrypt: ScryptHash, fault: ConfigError) -> None:
    """Refuse parameters that the library refuses, at start and not at the first login."""
    try:
        hashlib.scrypt(
            b"",
            salt=scrypt.salt,
            n=scrypt.cost,
            r=scrypt.block_size,
            p=scrypt.parallelism,
            dklen=16,
            maxmem=_SCRYPT_MEMORY_LIMIT_BYTES,
        )
    except (ValueError, OverflowError) as error:
        raise fault from error


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _bad_form(what: str, *, where: str, key: str) -> ConfigError:
    forms = {
        "token": "sha256$<64 hex digits of the token's SHA-256>",
        "password": "scrypt$<n>$<r>$<p>$<salt hex>$<hash hex> or sha256$<salt hex>$<hash hex>",
    }
    return ConfigError(f"this is not a {what} hash", where=where, key=key, remedy=f"write it as {forms[what]}")
