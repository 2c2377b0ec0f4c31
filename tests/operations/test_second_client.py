"""A second live client of a key is noticed by what it asks, and told with both sides' names; what is none is not."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from journal.record import public_key, root
from operations.keeping_twin import entries, horizon
from operations.record_twin import House

from signer.audit.chain import unpack
from signer.audit.entry import Entry, Kind
from signer.audit.verify import stored_batches
from signer.auth.principal import Caller, Principal
from signer.errors import RefusalError
from signer.events import ConflictingRequests, Events, RequestRefused
from signer.journal.command import Command
from signer.operations.kept_record import KeptRecord
from signer.operations.second_client import MAX_WAITING, YOUNG_EPOCHS, SecondClientWatch
from signer.operations.story import DutyStory
from signer.slashing.ledger import AttestationClaim, BlockClaim
from signer.units import Epoch, Slot

EPOCH_SECONDS = 32 * 12
ALICE, BOB = "alice", "bob"


@dataclass
class Scene:
    """A record in use by several clients, and who watches them. Owned by one test."""

    house: House
    record: KeptRecord
    events: Events = field(default_factory=Events)
    told: list[ConflictingRequests] = field(default_factory=list)
    requests: int = 0

    def __post_init__(self) -> None:
        self.watch = SecondClientWatch(
            read=self.house.reading,
            journal=self.record.writer,
            horizon=horizon(self.house),
            events=self.events,
        )
        self.events.subscribe(RequestRefused, self.watch.notice)
        self.events.subscribe(ConflictingRequests, self.told.append)

    async def vote(self, who: str, *, mark: int, target: int = 50, key: int = 1) -> str:
        claim = AttestationClaim(public_key(key), Epoch(target - 1), Epoch(target), root(mark))
        return await self._ask(who, claim, "ATTESTATION", (target - 1, target))

    async def propose(self, who: str, *, mark: int, slot: int = 1600) -> str:
        claim = BlockClaim(public_key(1), Slot(slot), root(mark))
        return await self._ask(who, claim, "BLOCK_V2", (slot, slot))

    async def _ask(self, who: str, claim, duty: str, span: tuple[int, int]) -> str:
        """As the signing road and the edge do: recorded with its audit entry, and a refusal published."""
        self.requests += 1
        caller = Caller(Principal(who), "10.0.0.7", self.requests.to_bytes(8))
        now_ms = int(self.house.clock.now() * 1000)
        story = DutyStory(caller, claim.public_key, duty, *span, claim.signing_root, now_ms)
        try:
            receipt = await self.record.writer.commit(Command((claim,), story))
        except RefusalError as refusal:
            self.events.publish(
                RequestRefused(
                    request_id=caller.request_id.hex(),
                    caller_request_id="",
                    principal=who,
                    address=caller.address,
                    route="/sign",
                    status=412,
                    code=refusal.code,
                    sentence=refusal.sentence,
                    evidence=refusal.evidence,
                    public_key="0x" + claim.public_key.hex(),
                    duty_type=duty,
                )
            )
            return refusal.code
        return "repeat" if receipt.repeat else "new"

    def notes(self) -> list[Entry]:
        return [entry for entry in entries(self.house) if entry.kind is Kind.CONFLICTING_REQUESTS]


@pytest.fixture
def scene(tmp_path: Path):
    house = House(tmp_path)
    with house.record() as record:
        yield Scene(house, record)


async def test_clients_at_two_signers_on_one_database_are_told_by_the_one_that_was_asked_second(
    database_url: str, tmp_path: Path
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    houses = [House(tmp_path / name, new_database=lambda: database_url) for name in ("one", "other")]
    with houses[0].record() as first, houses[1].record() as second:
        one, other = Scene(houses[0], first), Scene(houses[1], second)
        assert await one.vote(ALICE, mark=1) == "new"
        assert await other.vote(BOB, mark=2) == "DOUBLE_VOTE"
        await other.watch.look()
        [told] = other.told
        assert (told.principal, told.recorded_principal) == (BOB, ALICE)
        assert [(note.principal, note.code) for note in other.notes()] == [(BOB, "DOUBLE_VOTE")]
        assert not one.notes()


async def test_two_votes_for_one_target_under_two_names_are_told_with_both_sides(scene: Scene) -> None:
    assert await scene.vote(ALICE, mark=1) == "new"
    scene.house.clock.seconds += 30
    assert await scene.vote(BOB, mark=2) == "DOUBLE_VOTE"
    await scene.watch.look()
    [told] = scene.told
    assert told.under_two_names
    assert (told.principal, told.recorded_principal) == (BOB, ALICE)
    assert (told.signing_root, told.recorded_signing_root) == ("0x" + root(2).hex(), "0x" + root(1).hex())
    assert (told.request_id, told.recorded_request_id, told.address) == ("0" * 15 + "2", "0" * 15 + "1", "10.0.0.7")
    assert (told.field, told.value, told.duty_type) == ("target_epoch", 50, "ATTESTATION")
    [note] = scene.notes()
    assert (note.principal, note.public_key, note.code) == (BOB, public_key(1), "DOUBLE_VOTE")
    for word in (f"signed_for={ALICE}", "0x" + root(1).hex(), "0x" + root(2).hex(), "target_epoch=50"):
        assert word in note.note


async def test_two_blocks_for_one_slot_are_told_too(scene: Scene) -> None:
    await scene.propose(ALICE, mark=1)
    assert await scene.propose(BOB, mark=2) == "DOUBLE_PROPOSAL"
    await scene.watch.look()
    [told] = scene.told
    assert (told.code, told.field, told.value) == ("DOUBLE_PROPOSAL", "slot", 1600)


async def test_one_name_that_asks_for_both_is_told_apart(scene: Scene) -> None:
    """A client that lost its memory in a restart, or two that share a credential: nobody can say which."""
    await scene.vote(ALICE, mark=1)
    await scene.vote(ALICE, mark=2)
    await scene.watch.look()
    assert [told.under_two_names for told in scene.told] == [False]


async def test_a_repeat_is_no_conflict_whoever_asks(scene: Scene) -> None:
    await scene.vote(ALICE, mark=1)
    assert await scene.vote(ALICE, mark=1) == "repeat"
    assert await scene.vote(BOB, mark=1) == "repeat"
    await scene.watch.look()
    assert scene.told == []
    assert scene.notes() == []


async def test_the_first_of_the_two_is_the_one_that_was_signed_first_and_not_a_repeat_of_it(scene: Scene) -> None:
    await scene.vote(ALICE, mark=1)
    await scene.vote(BOB, mark=1)
    await scene.vote(BOB, mark=2)
    await scene.watch.look()
    assert [told.recorded_principal for told in scene.told] == [ALICE]


async def test_the_same_conflict_asked_again_is_told_once_and_another_one_anew(scene: Scene) -> None:
    await scene.vote(ALICE, mark=1)
    for mark in (2, 2, 3, 2):
        await scene.vote(BOB, mark=mark)
        await scene.watch.look()
    assert [told.signing_root for told in scene.told] == ["0x" + root(mark).hex() for mark in (2, 3)]
    assert len(scene.notes()) == 2


async def test_what_was_signed_long_ago_is_the_past_and_no_second_client(scene: Scene) -> None:
    await scene.vote(ALICE, mark=1, target=50)
    scene.house.clock.seconds += YOUNG_EPOCHS * EPOCH_SECONDS + 1
    await scene.vote(ALICE, mark=5, target=51)
    await scene.vote(BOB, mark=2, target=50)
    await scene.watch.look()
    assert scene.told == []


async def test_a_record_that_was_imported_is_no_sign_of_a_second_client(scene: Scene) -> None:
    """A key moved within an epoch: the new client votes in it again and is refused; the old one is stopped."""
    claim = AttestationClaim(public_key(1), Epoch(49), Epoch(50), root(1))
    story = DutyStory(Caller(Principal(ALICE)), public_key(9), "ATTESTATION", 49, 50, root(7), 1)
    await scene.record.writer.commit(Command((claim,), story))
    assert await scene.vote(BOB, mark=2) == "DOUBLE_VOTE"
    await scene.watch.look()
    assert scene.told == []


async def test_other_refusals_are_none(scene: Scene) -> None:
    await scene.vote(ALICE, mark=1, target=50)
    assert await scene.vote(BOB, mark=2, target=40) == "BELOW_FLOOR"
    await scene.watch.look()
    assert scene.told == []


async def test_each_key_has_its_own_though_all_vote_for_one_root(scene: Scene) -> None:
    for key in (1, 2, 3):
        await scene.vote(ALICE, mark=1, key=key)
    for key in (1, 3):
        await scene.vote(BOB, mark=2, key=key)
    await scene.watch.look()
    assert sorted(told.public_key for told in scene.told) == ["0x" + public_key(key).hex() for key in (1, 3)]


async def test_what_one_look_finds_is_told_in_one_commit(scene: Scene) -> None:
    for key in range(1, 31):
        await scene.vote(ALICE, mark=1, key=key)
        await scene.vote(BOB, mark=2, key=key)
    await scene.watch.look()
    assert len(scene.notes()) == 30
    with scene.house.reading() as moment:
        last = max(stored_batches(moment), key=lambda batch: batch.first_index)
    assert len(list(unpack(last.entries))) == 30


async def test_a_flood_is_held_to_a_bound(scene: Scene) -> None:
    await scene.vote(ALICE, mark=1)
    await scene.vote(BOB, mark=2)
    [conflict] = scene.watch._waiting
    scene.watch._waiting *= MAX_WAITING
    await scene.vote(BOB, mark=3)
    assert len(scene.watch._waiting) == MAX_WAITING
    assert conflict.refused.principal == BOB


async def test_the_watch_runs_by_itself(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signer.operations.second_client.GATHER_SECONDS", 0.0)
    heard = asyncio.Event()
    scene.events.subscribe(ConflictingRequests, lambda _: heard.set())
    running = asyncio.create_task(scene.watch.run())
    await scene.vote(ALICE, mark=1)
    await scene.vote(BOB, mark=2)
    async with asyncio.timeout(20):
        await heard.wait()
    running.cancel()
