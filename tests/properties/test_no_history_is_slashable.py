"""Random histories, pruned at random moments, against the dullest correct judge: one that looks at every pair."""

import random
from pathlib import Path

import pytest
from journal.record import Record, block, open_record, public_key, vote

from signer.errors import RefusalError
from signer.slashing.pruning import prune_blocks, prune_votes
from signer.units import Epoch, Slot

VALIDATORS = 50
ROUNDS = 160
VOTES_PER_ROUND = 640
"""160 rounds of 640 votes: 102,400 in one run."""

SignedVote = tuple[int, int, int]
"""Source, target, mark of the signing root."""


def slashable(first: SignedVote, second: SignedVote) -> bool:
    """consensus-specs, `is_slashable_attestation_data`: a double vote, or one surrounds the other."""
    (s1, t1, r1), (s2, t2, r2) = first, second
    double = t1 == t2 and (s1, r1) != (s2, r2)
    return double or (s1 < s2 and t2 < t1) or (s2 < s1 and t1 < t2)


def propose_vote(chance: random.Random, *, horizon: int) -> SignedVote:
    """A vote near the horizon, mostly honest, sometimes wild."""
    kind = chance.random()
    if kind < 0.6:
        target = horizon + chance.randint(-2, 2)
        source = target - chance.randint(1, 3)
    elif kind < 0.9:
        source, target = sorted(chance.randint(max(0, horizon - 25), horizon + 8) for _ in range(2))
    else:
        source, target = chance.randint(0, horizon + 10), chance.randint(0, horizon + 10)
    return max(source, 0), max(target, 0), chance.randint(1, 3)


async def _commit_votes(record: Record, asked: list[tuple[int, SignedVote]]) -> list[bool]:
    futures = record.writer.commit_all([vote(v[0], v[1], key=k, mark=v[2]) for k, v in asked])
    allowed = []
    for future in futures:
        try:
            await future
            allowed.append(True)
        except RefusalError:
            allowed.append(False)
    return allowed


async def _prune_somebody(record: Record, chance: random.Random, *, horizon: int) -> None:
    def change(transaction):
        for validator_id in chance.sample(range(1, VALIDATORS + 1), 10):
            prune_votes(transaction, validator_id, before=Epoch(max(0, horizon - chance.randint(0, 12))))

    await record.writer.perform(change, lambda _: vote(0, 0).story)


@pytest.mark.parametrize("seed", [1, 2026])
async def test_a_hundred_thousand_random_votes_leave_no_slashable_pair(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    record = open_record(tmp_path)
    signed: dict[int, set[SignedVote]] = {key: set() for key in range(1, VALIDATORS + 1)}
    asked = allowed = 0
    for turn in range(ROUNDS // 2):
        horizon = 3 + turn // 2
        votes = [(chance.randint(1, VALIDATORS), propose_vote(chance, horizon=horizon)) for _ in range(VOTES_PER_ROUND)]
        for (key, candidate), yes in zip(votes, await _commit_votes(record, votes), strict=True):
            asked += 1
            if yes:
                allowed += 1
                clash = next((old for old in signed[key] if slashable(old, candidate)), None)
                assert clash is None, f"validator {key}: {candidate} was allowed beside {clash}"
                signed[key].add(candidate)
        if chance.random() < 0.5:
            await _prune_somebody(record, chance, horizon=horizon)
    record.close()
    assert asked == ROUNDS // 2 * VOTES_PER_ROUND
    assert allowed > asked // 50, "a judge that refuses everything proves nothing"


async def test_random_blocks_leave_no_two_for_a_slot(tmp_path: Path) -> None:
    chance = random.Random(7)
    record = open_record(tmp_path)
    signed: dict[tuple[int, int], int] = {}
    for turn in range(40):
        asked = [
            (chance.randint(1, VALIDATORS), max(0, turn + chance.randint(-5, 10)), chance.randint(1, 2))
            for _ in range(500)
        ]
        futures = record.writer.commit_all([block(slot, key=key, mark=mark) for key, slot, mark in asked])
        for (key, slot, mark), future in zip(asked, futures, strict=True):
            try:
                await future
            except RefusalError:
                continue
            assert signed.setdefault((key, slot), mark) == mark
        if turn % 5 == 0:
            await record.writer.perform(
                lambda t, turn=turn: [prune_blocks(t, v, before=Slot(turn)) for v in range(1, VALIDATORS)],
                lambda _: vote(0, 0).story,
            )
    record.close()
    assert len(signed) > 500


async def test_what_the_judge_allows_unpruned_is_exactly_what_is_not_slashable(tmp_path: Path) -> None:
    """Without pruning and above the first vote, the rules refuse nothing that the dull judge would allow."""
    chance = random.Random(11)
    record = open_record(tmp_path)
    key = 3
    await record.writer.commit(vote(0, 0, key=key))
    signed: set[SignedVote] = {(0, 0, 1)}
    for _ in range(3000):
        candidate = propose_vote(chance, horizon=20)
        if candidate[0] > candidate[1]:
            continue
        (yes,) = await _commit_votes(record, [(key, candidate)])
        assert yes == (not any(slashable(old, candidate) for old in signed)), candidate
        if yes:
            signed.add(candidate)
    record.close()
    assert len(signed) > 20
    assert public_key(key)
