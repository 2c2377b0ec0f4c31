"""From the principals of the configuration to what authentication compares: reads their token and password files."""

from collections.abc import Callable
from dataclasses import replace

from signer.auth.credentials import (
    BasicCredential,
    BearerCredential,
    CertificateCredential,
    Credential,
    hash_password,
    parse_password_hash,
    parse_token_digest,
    token_digest_text,
)
from signer.auth.principal import ANONYMOUS, Principal
from signer.config.access import PrincipalSettings, SecuritySettings
from signer.config.secret_files import read_first_line

SALT_BYTES = 16
"""What `hash_password` asks for."""


def read_credentials(security: SecuritySettings, *, entropy: Callable[[int], bytes]) -> tuple[Credential, ...]:
    """Every credential of every principal; `entropy` gives random bytes for salts. Takes 0.1 s for each password file.

    Raises:
        ConfigError: a token or password file that cannot be read or is empty.
    """
    return tuple(
        credential
        for index, entry in enumerate(security.principals)
        for credential in _credentials(entry, f"security.principals[{index}]", entropy)
    )


def without_files(security: SecuritySettings, *, entropy: Callable[[int], bytes]) -> SecuritySettings:
    """The same principals with digests in the place of their files: what a worker process is given.

    The files are read once, by the main process. A worker that is started anew must know the same credentials as its
    neighbours, and no worker derives a hash again.

    Raises:
        ConfigError: as `read_credentials`.
    """
    return replace(
        security,
        principals=tuple(
            replace(
                entry,
                token_sha256=_token_digest(entry, f"security.principals[{index}]"),
                token_file=None,
                password_hash=_password_hash(entry, f"security.principals[{index}]", entropy),
                password_file=None,
            )
            for index, entry in enumerate(security.principals)
        ),
    )


def principal_of(entry: PrincipalSettings) -> Principal:
    """The principal that an entry describes."""
    return Principal(
        entry.name,
        groups=frozenset(entry.groups),
        actions=frozenset(entry.actions),
        keys=None if entry.keys is None else frozenset(entry.keys),
        duties=None if entry.duties is None else frozenset(entry.duties),
    )


def find_anonymous(security: SecuritySettings) -> Principal | None:
    """Who somebody without credentials is; None where credentials are demanded."""
    return None if security.require_authentication else ANONYMOUS


def _credentials(entry: PrincipalSettings, key: str, entropy: Callable[[int], bytes]) -> list[Credential]:
    principal, found = principal_of(entry), list[Credential]()
    if (digest := _token_digest(entry, key)) is not None:
        found.append(BearerCredential(principal, digest))
    if (hashed := _password_hash(entry, key, entropy)) is not None:
        found.append(BasicCredential(principal, entry.name, parse_password_hash(hashed, where=key, key=key)))
    if entry.certificate.given:
        found.append(
            CertificateCredential(principal, common_name=entry.certificate.common_name, sha256=entry.certificate.sha256)
        )
    return found


def _token_digest(entry: PrincipalSettings, key: str) -> bytes | None:
    if entry.token_file is None:
        return entry.token_sha256
    text = token_digest_text(read_first_line(entry.token_file, key=f"{key}.token_file"))
    return parse_token_digest(text, where=key, key=f"{key}.token_file")


def _password_hash(entry: PrincipalSettings, key: str, entropy: Callable[[int], bytes]) -> str | None:
    if entry.password_file is None:
        return entry.password_hash
    return hash_password(read_first_line(entry.password_file, key=f"{key}.password_file"), salt=entropy(SALT_BYTES))
