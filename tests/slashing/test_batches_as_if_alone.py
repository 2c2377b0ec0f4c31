"""A batch is judged as if each of its commands had come alone, whatever is on record, pruned or restored."""

import random
from pathlib import Path

import pytest
from journal.record import Record, block, open_record, public_key, vote

from signer.errors import RefusalError
from signer.journal.command import Command, Receipt
from signer.slashing.pruning import prune_blocks, prune_votes
from signer.slashing.watermarks import raise_low_watermark
from signer.units import Epoch, Slot

BATCHES = 12
COMMANDS = 25
KEYS = 3


def random_command(draw: random.Random) -> Command:
    key, mark = draw.randrange(KEYS), draw.randrange(2)
    if draw.random() < 0.3:
        return block(draw.randrange(12), key=key, mark=mark)
    source = draw.randrange(12)
    return vote(source, source + draw.randrange(-1 if source else 0, 5), key=key, mark=mark)


async def found(future) -> str:
    try:
        receipt: Receipt = await future
    except RefusalError as refusal:
        return refusal.code
    return "repeat" if receipt.repeat else "new"


async def disturb(record: Record, draw: random.Random) -> None:
    """What changes floors between batches."""
    choice, at, key = draw.randrange(4), draw.randrange(10), draw.randrange(KEYS)

    def change(transaction) -> None:
        if choice == 0:
            raise_low_watermark(transaction, epoch=Epoch(at), slot=Slot(at))
        elif choice == 1:
            statement = "SELECT id FROM validators WHERE public_key = ?"
            for (validator_id,) in list(transaction.rows(statement, (public_key(key),))):
                prune_votes(transaction, validator_id, before=Epoch(at))
                prune_blocks(transaction, validator_id, before=Slot(at))

    await record.writer.perform(change, lambda _: vote(0, 0).story)


@pytest.mark.parametrize("seed", range(12))
async def test_one_batch_and_single_commits_come_to_the_same_verdicts(tmp_path: Path, seed: int) -> None:
    (tmp_path / "batch").mkdir()
    (tmp_path / "alone").mkdir()
    batch, alone = open_record(tmp_path / "batch"), open_record(tmp_path / "alone")
    draw = random.Random(seed)
    seen: set[str] = set()
    for number in range(BATCHES):
        commands = [random_command(draw) for _ in range(COMMANDS)]
        together = [await found(future) for future in batch.writer.commit_all(commands)]
        one_by_one = [await found(alone.writer.commit(command)) for command in commands]
        assert together == one_by_one, (seed, number)
        seen.update(together)
        change = f"{seed} {number}"
        await disturb(batch, random.Random(change))
        await disturb(alone, random.Random(change))
    assert {"new", "repeat", "BELOW_FLOOR"} < seen
    batch.close()
    alone.close()
