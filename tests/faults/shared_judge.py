"""What judges signers on one database: every vote that any of them released, before a dull judge and the record."""

from collections.abc import Iterable, Iterator

import asyncpg
from journal.record import public_key, root
from properties.test_no_history_is_slashable import SignedVote, slashable


def released_by(lines: Iterable[str]) -> Iterator[tuple[int, SignedVote]]:
    """Key and vote of each line in which a signer process said what it released (`shared_signer.py`)."""
    for line in lines:
        words = line.split()
        if len(words) == 4 and all(word.isdigit() for word in words):
            key, source, target, mark = map(int, words)
            yield key, (source, target, mark)


def check_no_slashable_pair(released: dict[int, list[SignedVote]]) -> None:
    for key, votes in released.items():
        distinct = sorted(set(votes))  # the same vote twice is a repeat
        for n, first in enumerate(distinct):
            clash = next((second for second in distinct[n + 1 :] if slashable(first, second)), None)
            assert clash is None, f"validator {key}: {first} and {clash} were both released"


async def check_all_on_record(url: str, released: dict[int, list[SignedVote]]) -> None:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        "SELECT public_key, source_epoch, target_epoch, signing_root FROM signed_attestations a"
        " JOIN validators v ON v.id = a.validator_id"
    )
    recorded = {(bytes(k), int(s), int(t), bytes(r)) for k, s, t, r in rows}
    for key, votes in released.items():
        assert {(public_key(key), s, t, root(mark)) for s, t, mark in votes} <= recorded
    await connection.close()
