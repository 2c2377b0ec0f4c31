"""Votes and blocks against the record on disk: tables of steps with verdicts."""

from pathlib import Path

import pytest
from journal.record import Record, block, open_record, public_key, vote

from signer.errors import RefusalError
from signer.slashing.pruning import prune_blocks, prune_votes
from signer.slashing.watermarks import raise_low_watermark
from signer.units import Epoch, Slot

TOP = 2**64 - 1

Step = tuple[str, int, int, int, str]
"""What, source (or 0), target (or slot), mark of the signing root, expected code (`new`, `repeat` or an error's)."""

STORIES: dict[str, list[Step]] = {
    "a vote, again, and another for the same target": [
        ("vote", 1, 2, 1, "new"),
        ("vote", 1, 2, 1, "repeat"),
        ("vote", 1, 2, 2, "DOUBLE_VOTE"),
        ("vote", 0, 2, 3, "BELOW_FLOOR"),
    ],
    "surrounding and surrounded": [
        ("vote", 1, 2, 1, "new"),
        ("vote", 3, 8, 1, "new"),
        ("vote", 4, 7, 1, "SURROUNDED_VOTE"),
        ("vote", 2, 9, 1, "SURROUNDING_VOTE"),
        ("vote", 3, 9, 1, "new"),
        ("vote", 3, 4, 1, "new"),
    ],
    "a source may stay while targets rise, as without finality": [
        ("vote", 5, 6, 1, "new"),
        ("vote", 5, 7, 1, "new"),
        ("vote", 5, 900, 1, "new"),
        ("vote", 5, 8, 1, "new"),
    ],
    "genesis votes have equal source and target": [("vote", 0, 0, 1, "new"), ("vote", 0, 1, 1, "new")],
    "source after target": [("vote", 3, 2, 1, "SOURCE_AFTER_TARGET")],
    "nothing at or below the first vote but its repeat": [
        ("vote", 10, 20, 1, "new"),
        ("vote", 9, 21, 1, "BELOW_FLOOR"),
        ("vote", 10, 19, 1, "BELOW_FLOOR"),
        ("vote", 10, 20, 1, "repeat"),
    ],
    "the whole unsigned range": [
        ("vote", 2**63 - 1, 2**63, 1, "new"),
        ("vote", 2**63, TOP, 1, "new"),
        ("vote", 2**63 + 1, TOP - 1, 1, "SURROUNDED_VOTE"),
        ("block", 0, TOP - 1, 1, "new"),
        ("block", 0, TOP, 1, "new"),
        ("block", 0, TOP, 2, "DOUBLE_PROPOSAL"),
    ],
    "blocks": [
        ("block", 0, 10, 1, "new"),
        ("block", 0, 10, 1, "repeat"),
        ("block", 0, 10, 2, "DOUBLE_PROPOSAL"),
        ("block", 0, 9, 1, "BELOW_FLOOR"),
        ("block", 0, 30, 1, "new"),
        ("block", 0, 20, 1, "new"),
    ],
}


async def verdict(record: Record, step: Step, *, key: int = 1) -> str:
    what, source, target, mark, _ = step
    command = vote(source, target, mark=mark, key=key) if what == "vote" else block(target, mark=mark, key=key)
    try:
        receipt = await record.writer.commit(command)
    except RefusalError as refusal:
        return refusal.code
    return "repeat" if receipt.repeat else "new"


@pytest.mark.parametrize("name", STORIES)
async def test_each_step_of_a_story_gets_its_verdict(record: Record, name: str) -> None:
    for step in STORIES[name]:
        assert await verdict(record, step) == step[-1], step


@pytest.mark.parametrize("name", STORIES)
async def test_one_batch_judges_its_commands_in_order_as_if_alone(record: Record, name: str) -> None:
    steps = STORIES[name]
    commands = [vote(s[1], s[2], mark=s[3]) if s[0] == "vote" else block(s[2], mark=s[3]) for s in steps]
    futures = record.writer.commit_all(commands)
    for step, future in zip(steps, futures, strict=True):
        try:
            found = "repeat" if (await future).repeat else "new"
        except RefusalError as refusal:
            found = refusal.code
        assert found == step[-1], step


async def test_validators_do_not_stand_in_each_others_way(record: Record) -> None:
    assert await verdict(record, ("vote", 1, 2, 1, ""), key=1) == "new"
    assert await verdict(record, ("vote", 1, 2, 2, ""), key=2) == "new"
    assert await verdict(record, ("vote", 1, 2, 2, ""), key=1) == "DOUBLE_VOTE"


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    first = open_record(tmp_path)
    assert await verdict(first, ("vote", 1, 2, 1, "")) == "new"
    first.close()
    second = open_record(tmp_path)
    assert await verdict(second, ("vote", 1, 2, 2, "")) == "DOUBLE_VOTE"
    assert await verdict(second, ("vote", 1, 2, 1, "")) == "repeat"
    second.close()


async def test_pruning_raises_the_floor_over_what_it_deletes(record: Record) -> None:
    for target in (2, 3, 4, 5):
        assert await verdict(record, ("vote", 1, target, 1, "")) == "new"
        assert await verdict(record, ("block", 0, target * 32, 1, "")) == "new"

    def prune(transaction):
        prune_votes(transaction, 1, before=Epoch(4))
        prune_blocks(transaction, 1, before=Slot(4 * 32))

    await record.writer.perform(prune, lambda _: vote(0, 0).story)
    expected = [
        ("vote", 1, 3, 1, "BELOW_FLOOR"),
        ("vote", 1, 3, 2, "BELOW_FLOOR"),
        ("vote", 1, 4, 1, "repeat"),
        ("vote", 1, 4, 2, "DOUBLE_VOTE"),
        ("vote", 0, 9, 1, "BELOW_FLOOR"),
        ("vote", 2, 6, 1, "new"),
        ("block", 0, 3 * 32, 1, "BELOW_FLOOR"),
        ("block", 0, 4 * 32, 1, "repeat"),
        ("block", 0, 4 * 32 + 1, 1, "new"),
    ]
    for step in expected:
        assert await verdict(record, step) == step[-1], step


async def test_pruning_everything_keeps_the_newest(record: Record) -> None:
    assert await verdict(record, ("vote", 1, 2, 1, "")) == "new"
    await record.writer.perform(lambda t: prune_votes(t, 1, before=Epoch(100)), lambda _: vote(0, 0).story)
    assert await verdict(record, ("vote", 1, 2, 1, "")) == "repeat"
    assert await verdict(record, ("vote", 1, 2, 2, "")) == "DOUBLE_VOTE"


async def test_the_low_watermark_holds_for_validators_nobody_knows_yet(record: Record) -> None:
    await record.writer.perform(
        lambda t: raise_low_watermark(t, epoch=Epoch(100), slot=Slot(3200)), lambda _: vote(0, 0).story
    )
    expected = [
        ("vote", 99, 101, 1, "BELOW_FLOOR"),
        ("vote", 100, 100, 1, "BELOW_FLOOR"),
        ("vote", 100, 101, 1, "new"),
        ("vote", 100, 101, 2, "DOUBLE_VOTE"),
        ("block", 0, 3200, 1, "BELOW_FLOOR"),
        ("block", 0, 3201, 1, "new"),
        ("block", 0, 3201, 2, "DOUBLE_PROPOSAL"),
    ]
    for step in expected:
        assert await verdict(record, step, key=77) == step[-1], step


async def test_a_high_watermark_refuses_what_is_at_or_above_it(record: Record) -> None:
    await record.writer.perform(
        lambda t: t.run("UPDATE watermarks SET high_epoch = ?, high_slot = ?", (50 - 2**63, 1600 - 2**63)),
        lambda _: vote(0, 0).story,
    )
    assert await verdict(record, ("vote", 10, 50, 1, "")) == "HIGH_WATERMARK"
    assert await verdict(record, ("vote", 10, 49, 1, "")) == "new"
    assert await verdict(record, ("block", 0, 1600, 1, "")) == "HIGH_WATERMARK"
    assert await verdict(record, ("block", 0, 1599, 1, "")) == "new"


async def test_a_null_recorded_root_equals_nothing(record: Record) -> None:
    key = public_key(5)

    def import_null(transaction):
        transaction.run(
            "INSERT INTO validators (public_key, floor_source, floor_target, floor_slot) VALUES (?, ?, ?, ?)",
            (key, 1 - 2**63, 2 - 2**63, 7 - 2**63),
        )
        transaction.run("INSERT INTO signed_attestations SELECT id, ?, ?, NULL FROM validators", (2 - 2**63, 1 - 2**63))
        transaction.run("INSERT INTO signed_blocks SELECT id, ?, NULL FROM validators", (7 - 2**63,))

    await record.writer.perform(import_null, lambda _: vote(0, 0).story)
    assert await verdict(record, ("vote", 1, 2, 0, ""), key=5) == "DOUBLE_VOTE"
    assert await verdict(record, ("block", 0, 7, 0, ""), key=5) == "DOUBLE_PROPOSAL"


async def test_a_refusal_names_the_recorded_vote(record: Record) -> None:
    await verdict(record, ("vote", 3, 8, 1, ""))
    with pytest.raises(RefusalError) as caught:
        await record.writer.commit(vote(4, 7))
    assert caught.value.evidence["recorded_source_epoch"] == 3
    assert caught.value.evidence["recorded_target_epoch"] == 8
    assert caught.value.evidence["source_epoch"] == 4
