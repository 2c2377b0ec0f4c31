"""Keys that move from one signer to another: how often each has moved, and which way it went last."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from signer.journal.ledger import Transaction
from signer.keys.ledger import disable_key, enable_key, read_key_states
from signer.keys.quarantine import end_quarantine
from signer.units import PublicKey

_READ = """
SELECT hex(public_key), moves, is_here FROM key_moves WHERE public_key IN (SELECT unhex(value) FROM json_each(?1))
"""
_WRITE = """
INSERT INTO key_moves (public_key, moves, is_here) VALUES (?1, ?2, ?3)
ON CONFLICT (public_key) DO UPDATE SET moves = excluded.moves, is_here = excluded.is_here
"""


@dataclass(frozen=True, slots=True)
class Moves:
    """What is known of one key's moves."""

    count: int = 0
    is_here: bool = True


def read_moves(transaction: Transaction, public_keys: Iterable[PublicKey]) -> Mapping[PublicKey, Moves]:
    """The moves of these keys; one that has never moved is left out."""
    texts = msgspec.json.encode([key.hex() for key in public_keys]).decode()
    return {
        PublicKey(bytes.fromhex(key)): Moves(count, bool(is_here))
        for key, count, is_here in transaction.rows(_READ, (texts,))
    }


def move_out(transaction: Transaction, public_keys: Iterable[PublicKey], *, now_ms: int) -> Mapping[PublicKey, int]:
    """Nothing is signed with these keys from this commit on; the number of each one's move.

    A key that has gone already keeps its number: whoever asks again gets the same receipt.
    """
    keys = tuple(public_keys)
    known, states = read_moves(transaction, keys), read_key_states(transaction)
    numbers: dict[PublicKey, int] = {}
    for key in keys:
        moves = known.get(key, Moves())
        state = states.get(key)
        gone = not moves.is_here and state is not None and state.disabled_ms is not None
        numbers[key] = moves.count if gone else moves.count + 1
        disable_key(transaction, key, now_ms=now_ms)
        transaction.run(_WRITE, (key, numbers[key], 0))
    return numbers


def move_in(transaction: Transaction, numbers: Mapping[PublicKey, int]) -> None:
    """These keys sign here from this commit on, and do not wait."""
    for key, number in numbers.items():
        enable_key(transaction, key)
        transaction.run(_WRITE, (key, number, 1))
    end_quarantine(transaction, numbers)
