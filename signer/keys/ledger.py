"""What keeps keys from signing, judged inside the commit of every signature: frozen, disabled, deleted, in quarantine.

Every signing command claims the use of its key. The states are changed by operators alone, in changes of their own
(`Writer.perform`), after each of which the writer lets this ledger forget: so what it remembers in between is what is
on record, and a signature costs no statement. Where others write the same database, it must not remember.

Rule 1: frozen, disabled and deleted are three marks, not one word: a key that is thawed stays deleted.
Rule 2: a mark that stands is not set anew: its time stays that of the first order.
Rule 3: a frozen tag (`tags.py`) is no mark of its keys: each that bears it is kept from signing for as long as it does.
Rule 4: quarantine (`quarantine.py`) stops votes and blocks alone, and only those before the epoch in which it ends.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import msgspec

from signer.errors import (
    DisabledInDatabaseError,
    KeyDeletedError,
    KeyDisabledError,
    KeyFrozenError,
    KeyQuarantinedError,
)
from signer.journal.ledger import Row, Transaction
from signer.journal.statement import Statement
from signer.keys.tags import Tag
from signer.units import Epoch, PublicKey

EVERY_KEY = PublicKey(b"")
"""In the place of a public key: all keys, those that are loaded later too."""

_READ = Statement(
    embedded="""
SELECT json_group_array(json_array(hex(public_key), frozen_ms, disabled_ms, deleted_ms, waits_until, 0)) FROM (
    SELECT public_key, frozen_ms, disabled_ms, deleted_ms,
        CASE WHEN quarantine_until > -9223372036854775807 - 1 AND NOT EXISTS (
            SELECT 1 FROM validators v JOIN signed_attestations a ON a.validator_id = v.id
            WHERE v.public_key = k.public_key
                AND a.target_epoch > -9223372036854775807 - 1 AND a.target_epoch < k.quarantine_until
        ) THEN quarantine_until END AS waits_until
    FROM key_states k
) WHERE coalesce(frozen_ms, disabled_ms, deleted_ms, waits_until) IS NOT NULL
""",
    shared="""
SELECT coalesce(json_agg(json_build_array(
    encode(public_key, 'hex'), frozen_ms, disabled_ms, deleted_ms, waits_until,
    EXISTS (SELECT 1 FROM validators v WHERE v.public_key = s.public_key AND NOT v.enabled)
))::text, '[]') FROM (
    SELECT public_key, frozen_ms, disabled_ms, deleted_ms,
        CASE WHEN quarantine_until > -9223372036854775808 AND NOT EXISTS (
            SELECT 1 FROM validators v JOIN signed_attestations a ON a.validator_id = v.id
            WHERE v.public_key = k.public_key
                AND a.target_epoch > 0 AND a.target_epoch < k.quarantine_until + 9223372036854775808
        ) THEN quarantine_until END AS waits_until
    FROM holdfast.key_states k
) AS s WHERE coalesce(frozen_ms, disabled_ms, deleted_ms, waits_until) IS NOT NULL
""",
)
# In quarantine no vote is signed: one below its end was imported, and history is what the key has waited for. What is
# history, and that a floor is none, is said in `quarantine.py`.
_READ_TAGGED = "SELECT t.public_key, f.tag, f.frozen_ms FROM frozen_tags f JOIN key_tags t ON t.tag = f.tag"
_READ_DELETED = "SELECT public_key FROM key_states WHERE deleted_ms IS NOT NULL"
_MARK = {
    mark: f"""
INSERT INTO key_states (public_key, {mark}) VALUES (?1, ?2)
ON CONFLICT (public_key) DO UPDATE SET {mark} = excluded.{mark} WHERE key_states.{mark} IS NULL
"""  # noqa: S608 - names of columns
    for mark in ("frozen_ms", "disabled_ms", "deleted_ms")
}
_CLEAR = {
    mark: f"UPDATE key_states SET {mark} = NULL WHERE public_key = ?1 AND {mark} IS NOT NULL"  # noqa: S608 - as above
    for mark in _MARK
}
_DISABLE_ALL = Statement(
    embedded="""
INSERT INTO key_states (public_key, disabled_ms) SELECT unhex(value), ?2 FROM json_each(?1) WHERE true
ON CONFLICT (public_key) DO UPDATE SET disabled_ms = excluded.disabled_ms WHERE key_states.disabled_ms IS NULL
""",
    shared="""
INSERT INTO key_states (public_key, disabled_ms)
SELECT decode(key, 'hex'), ?2 FROM json_array_elements_text(?1::text::json) AS asked (key)
ON CONFLICT (public_key) DO UPDATE SET disabled_ms = excluded.disabled_ms WHERE key_states.disabled_ms IS NULL
""",
)
_ENABLE_ALL = Statement(
    embedded="""
UPDATE key_states SET disabled_ms = NULL
WHERE disabled_ms IS NOT NULL AND public_key IN (SELECT unhex(value) FROM json_each(?1))
""",
    shared="""
UPDATE key_states SET disabled_ms = NULL
WHERE disabled_ms IS NOT NULL
    AND public_key IN (SELECT decode(key, 'hex') FROM json_array_elements_text(?1::text::json) AS asked (key))
""",
)
_ENTER = Statement(
    embedded="",
    shared="""
SELECT count(*) FROM holdfast.register_validators(ARRAY(
    SELECT decode(key, 'hex') FROM json_array_elements_text(?1::text::json) AS asked (key) ORDER BY 1
))
""",
)
_DROP_ALL_EMPTY = """
DELETE FROM key_states
WHERE frozen_ms IS NULL AND disabled_ms IS NULL AND deleted_ms IS NULL AND quarantine_until IS NULL
"""
_DROP_EMPTY = """
DELETE FROM key_states WHERE public_key = ?1 AND frozen_ms IS NULL AND disabled_ms IS NULL AND deleted_ms IS NULL
    AND quarantine_until IS NULL
"""


class KeyUseClaim(msgspec.Struct, frozen=True):
    """This key is about to sign something."""

    public_key: PublicKey
    epoch: Epoch | None = None
    """Of a vote's target, or of a block; None for what nobody is slashed for."""


@dataclass(frozen=True, slots=True)
class FrozenTag:
    """A tag whose keys sign nothing."""

    tag: Tag
    since_ms: int
    """Milliseconds since the Unix epoch."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """Since when a key is what, in milliseconds since the Unix epoch; None where it is not."""

    frozen_ms: int | None = None
    disabled_ms: int | None = None
    deleted_ms: int | None = None
    quarantine_until: Epoch | None = None
    """Votes and blocks of this epoch and later ones are signed, earlier ones not."""

    frozen_tags: tuple[FrozenTag, ...] = ()
    """Those that it bears, by name."""

    is_disabled_beside: bool = False
    """Web3Signer's `enabled` of a shared database is off, by whomever; read for keys that bear another mark."""


KeyStates = Mapping[PublicKey, KeyState]
"""The keys that are not simply there to sign; EVERY_KEY among them while all are frozen."""


class KeyStateLedger:
    """Judges the use of keys. Owned by the writer."""

    claim_type = KeyUseClaim

    def __init__(self, *, alone: bool = True, begins: Callable[[Epoch], float | None] = lambda _: None) -> None:
        """Judges what is on record.

        Args:
            alone: False where other processes write the same database: then every batch reads the states.
            begins: when an epoch begins, in seconds since the Unix epoch, for the words of a refusal.
        """
        self._alone = alone
        self._begins = begins
        self._remembered: KeyStates | None = None

    def load(self, transaction: Transaction, _claims: Sequence[KeyUseClaim]) -> KeyStates:
        """Every key that is not simply there to sign."""
        if self._remembered is None or not self._alone:
            self._remembered = read_key_states(transaction)
        return self._remembered

    def judge(self, claim: KeyUseClaim, facts: KeyStates) -> None:
        """Says nothing of repeats.

        Raises:
            KeyDeletedError, KeyDisabledError, KeyFrozenError, KeyQuarantinedError.
            DisabledInDatabaseError: in the place of the last, for it does not pass with time.
        """
        if not facts:
            return
        check_may_sign(claim.public_key, facts)
        state = facts.get(claim.public_key)
        if state is None or state.quarantine_until is None or claim.epoch is None:
            return
        if claim.epoch < state.quarantine_until:
            if state.is_disabled_beside:
                raise DisabledInDatabaseError(claim.public_key)
            raise KeyQuarantinedError(
                "0x" + claim.public_key.hex(),
                until_epoch=state.quarantine_until,
                until_seconds=self._begins(state.quarantine_until),
            )

    def accept(self, claim: KeyUseClaim, facts: KeyStates) -> None:
        """Using a key changes nothing."""

    def store(self, transaction: Transaction, facts: KeyStates) -> None:
        """Using a key leaves no record of its own."""

    def forget(self) -> None:
        """See `RemembersFacts.forget`."""
        self._remembered = None


def check_may_sign(public_key: PublicKey, states: KeyStates) -> None:
    """Raises KeyDeletedError, KeyDisabledError, KeyFrozenError: the gravest first."""
    shown = "0x" + public_key.hex()
    state = states.get(public_key)
    if state is not None:
        if state.deleted_ms is not None:
            raise KeyDeletedError(shown, since_ms=state.deleted_ms)
        if state.disabled_ms is not None:
            raise KeyDisabledError(shown, since_ms=state.disabled_ms)
        if state.frozen_ms is not None:
            raise KeyFrozenError(shown, since_ms=state.frozen_ms, frozen="key")
        if state.frozen_tags:
            first = state.frozen_tags[0]
            raise KeyFrozenError(shown, since_ms=first.since_ms, frozen=f"tag:{first.tag}")
    everybody = states.get(EVERY_KEY)
    if everybody is not None and everybody.frozen_ms is not None:
        raise KeyFrozenError(shown, since_ms=everybody.frozen_ms, frozen="all")


def read_key_states(transaction: Transaction) -> KeyStates:
    """The states on record, as far as keys are not simply there to sign."""
    ((text,),) = transaction.rows(_READ)
    states = {
        PublicKey(bytes.fromhex(key)): KeyState(
            frozen_ms,
            disabled_ms,
            deleted_ms,
            None if until is None else Epoch(until + 2**63),
            is_disabled_beside=bool(is_off),
        )
        for key, frozen_ms, disabled_ms, deleted_ms, until, is_off in msgspec.json.decode(text)
    }
    return with_frozen_tags(states, transaction.rows(_READ_TAGGED))


def read_deleted(transaction: Transaction) -> frozenset[PublicKey]:
    """The keys that have a tombstone."""
    return frozenset(PublicKey(bytes(key)) for (key,) in transaction.rows(_READ_DELETED))


def with_frozen_tags(states: dict[PublicKey, KeyState], tagged: Iterable[Row]) -> KeyStates:
    """States, and each key with the frozen tags that it bears: rows of key, tag, and since when it is frozen."""
    for key, tag, since_ms in sorted(tagged):
        public_key = PublicKey(bytes(key))
        state = states.get(public_key, KeyState())
        states[public_key] = replace(state, frozen_tags=(*state.frozen_tags, FrozenTag(Tag(tag), since_ms)))
    return MappingProxyType(states)


def freeze_key(transaction: Transaction, public_key: PublicKey, *, now_ms: int) -> bool:
    """Nothing is signed with the key (or EVERY_KEY) from this commit on; False where that was so already."""
    return _mark(transaction, "frozen_ms", public_key, now_ms)


def freeze_every_key(transaction: Transaction, loaded: Iterable[PublicKey], *, now_ms: int) -> bool:
    """The same as `freeze_key` for EVERY_KEY.

    On a shared database those that are loaded are entered as keys that may not sign, where it has never seen them: a
    Web3Signer beside us would enter them as enabled ones.
    """
    frozen = freeze_key(transaction, EVERY_KEY, now_ms=now_ms)
    list(transaction.rows(_ENTER, (_texts(loaded),)))
    return frozen


def thaw_key(transaction: Transaction, public_key: PublicKey) -> bool:
    """Take back `freeze_key`, and no other mark; False where the key (or EVERY_KEY) was not frozen by its own name."""
    return _clear(transaction, "frozen_ms", public_key)


def disable_key(transaction: Transaction, public_key: PublicKey, *, now_ms: int) -> bool:
    """The key signs somewhere else from this commit on; False where that was so already."""
    return _mark(transaction, "disabled_ms", public_key, now_ms)


def enable_key(transaction: Transaction, public_key: PublicKey) -> bool:
    """Take back `disable_key`; False where the key was not disabled."""
    return _clear(transaction, "disabled_ms", public_key)


def disable_keys(transaction: Transaction, public_keys: Iterable[PublicKey], *, now_ms: int) -> None:
    """The same as `disable_key` for many at once."""
    transaction.run(_DISABLE_ALL, (_texts(public_keys), now_ms))


def enable_keys(transaction: Transaction, public_keys: Iterable[PublicKey]) -> None:
    """The same as `enable_key` for many at once."""
    transaction.run(_ENABLE_ALL, (_texts(public_keys),))
    transaction.run(_DROP_ALL_EMPTY)


def bury_key(transaction: Transaction, public_key: PublicKey, *, now_ms: int) -> bool:
    """Set a deleted key's tombstone; False where it has one."""
    return _mark(transaction, "deleted_ms", public_key, now_ms)


def exhume_key(transaction: Transaction, public_key: PublicKey) -> bool:
    """Take the tombstone away, so that the key may be brought in again; False where it had none."""
    return _clear(transaction, "deleted_ms", public_key)


def _texts(public_keys: Iterable[PublicKey]) -> str:
    return msgspec.json.encode([key.hex() for key in public_keys]).decode()


def _mark(transaction: Transaction, mark: str, public_key: PublicKey, now_ms: int) -> bool:
    transaction.run(_MARK[mark], (public_key, now_ms))
    return transaction.changed() > 0


def _clear(transaction: Transaction, mark: str, public_key: PublicKey) -> bool:
    transaction.run(_CLEAR[mark], (public_key,))
    cleared = transaction.changed() > 0
    transaction.run(_DROP_EMPTY, (public_key,))
    return cleared
