"""From the principals of the configuration to what authentication compares: reads their token and password files."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from signer.auth.approvers import Approver, Approvers
from signer.auth.authorize import may_see
from signer.auth.credentials import (
    BasicCredential,
    BearerCredential,
    CertificateCredential,
    Credential,
    parse_password_hash,
    parse_token_digest,
    salt_password,
    token_digest_text,
)
from signer.auth.irreversible import IrreversibleGrant, IrreversibleRule
from signer.auth.principal import ANONYMOUS, KEY_MANAGER, Action, Principal
from signer.config.access import ClientCertificateSettings, PolicySettings, PrincipalSettings, SecuritySettings
from signer.config.managing import KeyManagerSettings
from signer.config.secret_files import read_first_line
from signer.errors import ConfigError
from signer.policy.combine import Defaults
from signer.units import PublicKey

SALT_BYTES = 16
"""What `salt_password` is given."""


def read_credentials(security: SecuritySettings, *, entropy: Callable[[int], bytes]) -> tuple[Credential, ...]:
    """Every credential of every principal; `entropy` gives random bytes for salts.

    Raises:
        ConfigError: a token or password file that cannot be read or is empty; one secret for two principals.
    """
    check_shared_secrets(security)
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
    check_shared_secrets(security)
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


def read_manager_credential(settings: KeyManagerSettings) -> BearerCredential:
    """The key manager's token. Raises ConfigError: its file cannot be read or is empty."""
    return BearerCredential(KEY_MANAGER, _manager_digest(settings))


def without_token_file(settings: KeyManagerSettings) -> KeyManagerSettings:
    """The same with a digest in the place of the file, as `without_files`. Raises ConfigError."""
    if not settings.enabled:
        return settings
    return replace(settings, token_sha256=_manager_digest(settings), token_file=None)


def _manager_digest(settings: KeyManagerSettings) -> bytes:
    key = "key_manager.token_file"
    if settings.token_sha256 is not None:
        return settings.token_sha256
    if settings.token_file is None:
        raise ConfigError(
            "the key manager API has no token", where=key, key=key, remedy="set key_manager.token_file or token_sha256"
        )
    return parse_token_digest(token_digest_text(read_first_line(settings.token_file, key=key)), where=key, key=key)


def check_shared_secrets(security: SecuritySettings) -> None:
    """One secret for two principals would make somebody either of them, and lift the limits of one. Reads their files.

    Raises:
        ConfigError: two principals have the same secret, or a file cannot be read; it names both, never the secret.
    """
    seen: dict[tuple[str, object], str] = {}
    for index, entry in enumerate(security.principals):
        key = f"security.principals[{index}]"
        for proof in _proofs(entry, key):
            other = seen.setdefault(proof, entry.name)
            if other != entry.name:
                raise _shared(other, entry.name, kind=proof[0], key=key)
        for earlier in security.principals[:index]:
            if _is_covered(entry.certificate, earlier.certificate):
                raise _shared(earlier.name, entry.name, kind="certificate", key=key)


def principal_of(entry: PrincipalSettings) -> Principal:
    """The principal that an entry describes."""
    return Principal(
        entry.name,
        groups=frozenset(entry.groups),
        actions=frozenset(entry.actions),
        keys=None if entry.keys is None else frozenset(entry.keys),
        duties=None if entry.duties is None else frozenset(entry.duties),
    )


def approvers_of(security: SecuritySettings) -> Approvers:
    """Everybody who may approve something: members of a group, who may vote."""
    return Approvers(
        Approver(entry.name, frozenset(entry.groups), entry.approval_key)
        for entry in security.principals
        if entry.groups and Action.APPROVALS_VOTE in entry.actions
    )


def irreversible_rule(policy: PolicySettings) -> IrreversibleRule:
    """What is granted of the duties that nothing takes back."""
    grants = [IrreversibleGrant(one.duty, one.principal, frozenset(one.keys)) for one in policy.irreversible_grants]
    return IrreversibleRule(policy.irreversible_duties == "allowed", tuple(grants))


def policy_defaults(policy: PolicySettings) -> Defaults:
    """What is signed where no policy is bound."""
    return Defaults(transactions=policy.unbound_transactions == "allow", duties=policy.unbound_duties == "allow")


def roles_of(security: SecuritySettings, public_key: PublicKey) -> tuple[str, ...]:
    """The groups whose members may have something signed with this key."""
    users = (principal_of(entry) for entry in security.principals)
    signing = (one for one in users if Action.SIGN_DUTY in one.actions and may_see(one, public_key))
    return tuple(sorted({group for one in signing for group in one.groups}))


def find_anonymous(security: SecuritySettings) -> Principal | None:
    """Who somebody without credentials is; None where credentials are demanded."""
    return None if security.require_authentication else ANONYMOUS


def _proofs(entry: PrincipalSettings, key: str) -> Iterator[tuple[str, object]]:
    """What would be equal if the secrets were: digests, and passwords only while they are compared."""
    if (digest := _token_digest(entry, key)) is not None:
        yield "token", digest
    if entry.password_hash is not None:
        yield "password_hash", entry.password_hash
    if entry.approval_key is not None:
        yield "approval_key", entry.approval_key
    if entry.password_file is not None:
        password = read_first_line(entry.password_file, key=f"{key}.password_file")
        yield "password", hashlib.sha256(password.encode()).digest()


def _is_covered(one: ClientCertificateSettings, other: ClientCertificateSettings) -> bool:
    """True when whoever proves one of them proves the other: nothing that both describe differs."""
    if not one.given or not other.given:
        return False
    pairs = ((one.common_name, other.common_name), (one.sha256, other.sha256))
    both = [mine == theirs for mine, theirs in pairs if mine is not None and theirs is not None]
    return bool(both) and all(both)


def _shared(one: str, other: str, *, kind: str, key: str) -> ConfigError:
    return ConfigError(
        f"the principals {one} and {other} have the same {kind}: nobody could tell them apart",
        where=key,
        key=key,
        remedy="give each principal a secret of its own",
    )


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
    return salt_password(read_first_line(entry.password_file, key=f"{key}.password_file"), salt=entropy(SALT_BYTES))
