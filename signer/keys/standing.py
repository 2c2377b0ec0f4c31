"""How keys stand, in the words of listings: what keeps each from signing."""

from collections.abc import Mapping
from dataclasses import dataclass

from signer.journal.ledger import Transaction
from signer.journal.statement import Statement
from signer.keys.ledger import EVERY_KEY, KeyState, KeyStates, read_key_states
from signer.units import Epoch, PublicKey

ACTIVE = "active"
"""Nothing on record keeps this key from signing."""

DISABLED_BESIDE = "disabled in the database"
"""Somebody else has cleared Web3Signer's `enabled` of a shared database."""

_DISABLED_BESIDE = Statement(
    embedded="",
    shared="""
SELECT v.public_key FROM validators v
WHERE NOT v.enabled AND NOT EXISTS (
    SELECT 1 FROM holdfast.stopped s WHERE s.public_key = v.public_key AND s.as_left = v.xmin::text
)
""",
)
"""Those alone whose `enabled` was not cleared by us: an embedded record is nobody else's."""


@dataclass(frozen=True, slots=True)
class Standings:
    """What keeps which keys from signing, at one moment of the record."""

    states: KeyStates
    disabled_beside: frozenset[PublicKey]

    def silences(self) -> Mapping[PublicKey, tuple[str, ...]]:
        """For each key that signs nothing: why, in words; under EVERY_KEY where all are frozen."""
        told = {key: self._silence(key) for key in {*self.states, *self.disabled_beside}}
        return {key: words for key, words in told.items() if words}

    def of(self, key: PublicKey, *, epoch: Epoch | None) -> tuple[str, ...]:
        """Everything that keeps this key from signing, or ACTIVE; `epoch`: the present one, None if nobody knows it."""
        return (*self._own(key, epoch), *self._silence(EVERY_KEY)) or (ACTIVE,)

    def kept(self, *, epoch: Epoch | None) -> tuple[PublicKey, ...]:
        """The keys that something of their own keeps from signing, sorted."""
        every = {*self.states, *self.disabled_beside} - {EVERY_KEY}
        return tuple(sorted(key for key in every if self._own(key, epoch)))

    def _own(self, key: PublicKey, epoch: Epoch | None) -> tuple[str, ...]:
        until = self.states.get(key, KeyState()).quarantine_until
        waits = until is not None and (epoch is None or until > epoch)
        return (*self._silence(key), *((f"quarantined until epoch {until}",) if waits else ()))

    def _silence(self, key: PublicKey) -> tuple[str, ...]:
        state = self.states.get(key, KeyState())
        marks = {
            "moved away": state.disabled_ms is not None,
            "deleted": state.deleted_ms is not None,
            "frozen by all" if key == EVERY_KEY else "frozen": state.frozen_ms is not None,
        }
        return (
            *(word for word, stands in marks.items() if stands),
            *(f"frozen by tag:{one.tag}" for one in state.frozen_tags),
            *((DISABLED_BESIDE,) if key in self.disabled_beside else ()),
        )


def read_standings(transaction: Transaction) -> Standings:
    """How every key stands that is not simply there to sign."""
    beside = frozenset(PublicKey(bytes(key)) for (key,) in transaction.rows(_DISABLED_BESIDE))
    return Standings(read_key_states(transaction), beside)
