"""Keys that move from one signer to another: how often each has moved, and which way it went last."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from signer.journal.ledger import Row, Transaction
from signer.journal.statement import Statement
from signer.keys.ledger import disable_keys, enable_keys, read_key_states
from signer.keys.quarantine import end_quarantine
from signer.units import PublicKey

_READ = Statement(
    embedded="""
SELECT hex(public_key), moves, is_here FROM key_moves WHERE public_key IN (SELECT unhex(value) FROM json_each(?1))
""",
    shared="""
SELECT encode(public_key, 'hex'), moves, is_here FROM json_array_elements_text(?1::text::json) AS asked (key)
JOIN key_moves ON public_key = decode(asked.key, 'hex')
""",
)
_READ_ALL = Statement(
    embedded="SELECT hex(public_key), moves, is_here FROM key_moves",
    shared="SELECT encode(public_key, 'hex'), moves, is_here FROM key_moves",
)
_WRITE = Statement(
    embedded="""
INSERT INTO key_moves (public_key, moves, is_here)
SELECT unhex(value ->> 0), value ->> 1, ?2 FROM json_each(?1) WHERE true
ON CONFLICT (public_key) DO UPDATE SET moves = excluded.moves, is_here = excluded.is_here
""",
    shared="""
INSERT INTO key_moves (public_key, moves, is_here)
SELECT decode(one ->> 0, 'hex'), (one ->> 1)::bigint, ?2 FROM json_array_elements(?1::text::json) AS one
ON CONFLICT (public_key) DO UPDATE SET moves = excluded.moves, is_here = excluded.is_here
""",
)


@dataclass(frozen=True, slots=True)
class Moves:
    """What is known of one key's moves."""

    count: int = 0
    is_here: bool = True


def read_moves(transaction: Transaction, public_keys: Iterable[PublicKey]) -> Mapping[PublicKey, Moves]:
    """The moves of these keys; one that has never moved is left out."""
    texts = msgspec.json.encode([key.hex() for key in public_keys]).decode()
    return _moves(transaction.rows(_READ, (texts,)))


def read_all_moves(transaction: Transaction) -> Mapping[PublicKey, Moves]:
    """The moves of every key that has ever moved."""
    return _moves(transaction.rows(_READ_ALL))


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
    disable_keys(transaction, keys, now_ms=now_ms)
    _write(transaction, numbers, is_here=0)
    return numbers


def move_in(transaction: Transaction, numbers: Mapping[PublicKey, int]) -> None:
    """These keys sign here from this commit on, and do not wait."""
    enable_keys(transaction, numbers)
    _write(transaction, numbers, is_here=1)
    end_quarantine(transaction, numbers)


def keep_away(transaction: Transaction, departed: Mapping[PublicKey, int], *, now_ms: int) -> tuple[PublicKey, ...]:
    """Those of these keys that left by a move which the record does not know sign nothing from this commit on."""
    gone = find_forgotten(transaction, departed)
    disable_keys(transaction, gone, now_ms=now_ms)
    _write(transaction, gone, is_here=0)
    return tuple(sorted(gone))


def find_forgotten(transaction: Transaction, departed: Mapping[PublicKey, int]) -> Mapping[PublicKey, int]:
    """Those of these keys, with the number of their last move, that left by a move which the record does not know."""
    known = read_moves(transaction, departed)
    return {key: number for key, number in departed.items() if number > known.get(key, Moves()).count}


def _moves(rows: Iterable[Row]) -> dict[PublicKey, Moves]:
    return {PublicKey(bytes.fromhex(key)): Moves(count, bool(is_here)) for key, count, is_here in rows}


def _write(transaction: Transaction, numbers: Mapping[PublicKey, int], *, is_here: int) -> None:
    rows = [(key.hex(), number) for key, number in numbers.items()]
    transaction.run(_WRITE, (msgspec.json.encode(rows).decode(), is_here))
