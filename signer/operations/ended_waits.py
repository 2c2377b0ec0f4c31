"""Which waits in quarantine an import ends: for history is what a key without any has waited for.

What ends a wait is judged by `keys/ledger.py`: a vote above epoch 0 and before the wait's end. Here it is only told.
"""

from collections.abc import Mapping

import msgspec

from signer.journal.ledger import Transaction
from signer.keys.quarantine import read_quarantine
from signer.operations.horizon import Horizon
from signer.slashing.records import ordered
from signer.slashing.staging import Part
from signer.units import Epoch, PublicKey

Waits = Mapping[PublicKey, Epoch]
"""The first epoch whose votes and blocks are signed, of each key that waits."""


def read_waits(transaction: Transaction, horizon: Horizon) -> Waits:
    """The waits that nothing has ended: no history, no operator, and not the clock."""
    now = horizon.epoch
    waits = read_quarantine(transaction)
    return {one.public_key: one.until_epoch for one in waits if now is None or one.until_epoch > now}


def ended_by(part: Part, waits: Waits) -> frozenset[PublicKey]:
    """Those of the waits that the votes of this part would end."""
    votes = msgspec.json.decode(part.votes, type=dict[str, msgspec.Raw])
    found = {key: until for key, until in waits.items() if key.hex() in votes}
    return frozenset(key for key, until in found.items() if _has_vote_before(votes[key.hex()], until))


def _has_vote_before(rows: msgspec.Raw, until: Epoch) -> bool:
    first, end = ordered(1), ordered(until)
    return any(first <= row[0] < end for row in msgspec.json.decode(rows))
