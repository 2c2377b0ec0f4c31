"""Policies on record: packs by their version, and every set that ever held, the newest of which holds.

Rule 1: a pack and a set are written once and never changed; a pack can be signed anew. A roll back is another set that
says what an older one said.
Rule 2: whoever changes the set holds its lock from before it is read until its commit has ended (`lock_policies`), so
that changes follow each other, and none happens between another signer's check and the end of its commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import structs

from signer.errors import CorruptDatabaseError, PolicyOrderError, UnknownPolicyError
from signer.journal.ledger import Transaction
from signer.journal.statement import NOTHING, Statement
from signer.policy.pack import version_of
from signer.policy.policy_set import NOTHING_BOUND, PolicySet, decode_policy_set, encode_policy_set

_LOCK = Statement(embedded=NOTHING, shared="SELECT holdfast.lock_policies()")

_NEWEST = "SELECT revision, document FROM policy_sets ORDER BY revision DESC LIMIT 1"
_OF_REVISION = "SELECT revision, document FROM policy_sets WHERE revision = ?"
_ADD_SET = "INSERT INTO policy_sets (revision, document, changed_ms, changed_by, change) VALUES (?, ?, ?, ?, ?)"
_HISTORY = """
SELECT revision, changed_ms, changed_by, change FROM policy_sets
WHERE revision < ? ORDER BY revision DESC LIMIT ?
"""
_PACK = "SELECT pack FROM policy_packs WHERE version = ?"
_ADD_PACK = """
INSERT INTO policy_packs (version, name, pack, signature, signed_by, published_ms, published_by)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_NOTE_SIGNATURE = "UPDATE policy_packs SET signature = ?, signed_by = ? WHERE version = ?"
_PUBLISHED = """
SELECT version, name, length(pack), signature, signed_by, published_ms, published_by FROM policy_packs
WHERE name = ? ORDER BY published_ms DESC, version LIMIT ?
"""
_ONE_PUBLISHED = """
SELECT version, name, length(pack), signature, signed_by, published_ms, published_by FROM policy_packs
WHERE version = ?
"""

NO_REVISION = 2**63 - 1
"""Above every revision."""


@dataclass(frozen=True, slots=True)
class Published:
    """What is known of a pack besides its bytes."""

    version: str
    name: str
    size_bytes: int
    signature: bytes | None
    signed_by: bytes | None
    """The Ed25519 key whose owner signed it; None where nobody did."""

    published_ms: int
    published_by: str


@dataclass(frozen=True, slots=True)
class Change:
    """How a set came to be."""

    revision: int
    changed_ms: int
    changed_by: str
    change: str


def lock_policies(transaction: Transaction) -> None:
    """Change the set alone, until the transaction ends: before anything is read that the change rests on."""
    transaction.run(_LOCK)


def read_policy_set(transaction: Transaction) -> PolicySet:
    """The set that holds; NOTHING_BOUND where nothing was ever published. Raises CorruptDatabaseError."""
    for revision, document in transaction.rows(_NEWEST):
        return decode_policy_set(document, revision=revision)
    return NOTHING_BOUND


def read_policy_set_of(transaction: Transaction, revision: int) -> PolicySet:
    """The set that held at a revision. Raises UnknownPolicyError: there was none; CorruptDatabaseError."""
    if revision == 0:
        return NOTHING_BOUND
    for found, document in transaction.rows(_OF_REVISION, (revision,)):
        return decode_policy_set(document, revision=found)
    raise UnknownPolicyError(f"the policies never had a revision {revision}")


def store_policy_set(
    transaction: Transaction, policies: PolicySet, *, changed_ms: int, changed_by: str, change: str
) -> PolicySet:
    """Let this set hold from the commit on, under the lock of `lock_policies`; the set with its new revision.

    Raises:
        PolicyOrderError: it could not be read again.
    """
    newest = structs.replace(policies, revision=policies.revision + 1)
    document = encode_policy_set(newest)
    try:
        decode_policy_set(document, revision=newest.revision)
    except CorruptDatabaseError as error:
        raise PolicyOrderError(f"nothing was changed, because afterwards {error.sentence}") from None
    values = (newest.revision, document, changed_ms, changed_by, change)
    transaction.run(_ADD_SET, values)
    return newest


def read_history(transaction: Transaction, *, before: int = NO_REVISION, most: int) -> list[Change]:
    """How sets came to be, newest first."""
    return [Change(*row) for row in transaction.rows(_HISTORY, (before, most))]


def read_pack(transaction: Transaction, version: str) -> bytes:
    """The text of a pack.

    Raises:
        UnknownPolicyError: it was never published here.
        CorruptDatabaseError: what is stored is something else.
    """
    for (text,) in transaction.rows(_PACK, (version,)):
        if version_of(bytes(text)) != version:
            raise CorruptDatabaseError(
                f"the pack of policy version {version} is not the one that was published",
                remedy="restore the database from a backup, or publish the pack again under another record",
            )
        return bytes(text)
    raise UnknownPolicyError(f"no policy of version {version} was ever published here")


def find_published(transaction: Transaction, version: str) -> Published | None:
    """What is known of a pack; None where it was never published here."""
    return next((_published(row) for row in transaction.rows(_ONE_PUBLISHED, (version,))), None)


def read_published(transaction: Transaction, name: str, *, most: int) -> list[Published]:
    """The packs that were published under this name, newest first."""
    return [_published(row) for row in transaction.rows(_PUBLISHED, (name, most))]


def add_pack(transaction: Transaction, text: bytes, published: Published) -> None:
    """Put a pack on record that is not there yet."""
    values = (
        published.version,
        published.name,
        text,
        published.signature,
        published.signed_by,
        published.published_ms,
        published.published_by,
    )
    transaction.run(_ADD_PACK, values)


def note_signature(transaction: Transaction, published: Published) -> None:
    """Somebody else has signed a pack that is on record: the last signature is kept."""
    transaction.run(_NOTE_SIGNATURE, (published.signature, published.signed_by, published.version))


def _published(row: Sequence[object]) -> Published:
    version, name, size_bytes, signature, signed_by, published_ms, published_by = row
    return Published(
        str(version),
        str(name),
        int(str(size_bytes)),
        _bytes(signature),
        _bytes(signed_by),
        int(str(published_ms)),
        str(published_by),
    )


def _bytes(value: object) -> bytes | None:
    return bytes(value) if isinstance(value, bytes | memoryview) else None
