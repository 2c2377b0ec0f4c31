"""A policy that takes long to load keeps nobody waiting but those whom it is bound to, and what cannot be read signs
nothing."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from operations.policies_on_record import put
from operations.road_twin import CALLER, KEYS, NOW_EPOCH, Road, road, vote
from operations.test_policies_at_the_gate import ALLOWS, FIRST_KEY, NO_BLOCKS, NO_VOTES, ONCE, verdict
from policy.sample_facts import facts

from signer.audit.entry import Kind
from signer.errors import DeadlineError, PoliciesUnreadableError, PolicyNotActiveError, UnavailableError
from signer.journal.ledger import Transaction
from signer.operations.load_policies import PackLoader
from signer.operations.policies_in_force import Decider
from signer.operations.story import NoteStory
from signer.policy.bindings import ToKey
from signer.policy.pack import version_of
from signer.policy.policy_record import read_policy_set, store_policy_set
from signer.policy.policy_set import ServedPolicy

PATIENCE_SECONDS = 60
OTHER_KEY = "0x" + KEYS[1].hex()


class Doors:
    """Loading of these versions waits until they are let go."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.begun = threading.Event()
        self.opened = threading.Event()
        self.loaded: list[str] = []

    def hold(self, pack: bytes) -> None:
        self.held.add(version_of(pack))


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    there = Doors()
    load = PackLoader.__call__

    def held(self: PackLoader, name: str, version: str) -> Decider:
        if version in there.held:
            there.begun.set()
            there.opened.wait(PATIENCE_SECONDS)
        there.loaded.append(version)
        return load(self, name, version)

    monkeypatch.setattr(PackLoader, "__call__", held)
    yield there
    there.opened.set()


async def begun(doors: Doors) -> None:
    assert await asyncio.to_thread(doors.begun.wait, PATIENCE_SECONDS)


async def change_set(on: Road, **members: object) -> None:
    """Another revision, that says this."""

    def change(transaction: Transaction) -> None:
        store_policy_set(
            transaction,
            replace(read_policy_set(transaction), **members),
            changed_ms=0,
            changed_by="test",
            change="test",
        )

    await on.record.writer.perform(change, lambda _: NoteStory(Kind.POLICY_BOUND, 0, "test"))


async def damage_set(on: Road) -> None:
    def change(transaction: Transaction) -> None:
        values = (on.policies.in_force.revision + 1, "{damaged", 0, "test", "test")
        transaction.run(
            "INSERT INTO policy_sets (revision, document, changed_ms, changed_by, change) VALUES (?, ?, ?, ?, ?)",
            values,
        )

    await on.record.writer.perform(change, lambda _: NoteStory(Kind.POLICY_BOUND, 0, "test"))


@pytest.mark.parametrize("others_policy", [[], [("allows", ToKey(OTHER_KEY))]], ids=["nothing bound", "another policy"])
async def test_only_keys_that_a_loading_policy_is_bound_to_wait_for_it(tmp_path: Path, doors, others_policy) -> None:
    doors.hold(NO_BLOCKS)
    async with road(tmp_path, deadline_seconds=PATIENCE_SECONDS) as on, asyncio.timeout(PATIENCE_SECONDS):
        await put(on.record.writer, [ALLOWS], others_policy)
        assert await verdict(on, vote(NOW_EPOCH - 1, key=KEYS[1])) == "signed"
        await put(on.record.writer, [ALLOWS, NO_BLOCKS], [*others_policy, ("no-blocks", ToKey(FIRST_KEY))])
        waiting = asyncio.create_task(verdict(on, vote()))
        await begun(doors)
        assert await verdict(on, vote(key=KEYS[1])) == "signed"
        assert [not isinstance(each, Exception) for each in await on.signing.sign_each([vote(key=KEYS[2])], CALLER)]
        assert not waiting.done()
        assert not doors.opened.is_set()
        doors.opened.set()
        assert await waiting == "signed"
        assert doors.loaded.count(version_of(NO_BLOCKS)) == 1


async def test_a_request_waits_for_its_policy_no_longer_than_its_deadline_and_is_not_signed(
    tmp_path: Path, doors
) -> None:
    doors.hold(ALLOWS)
    async with road(tmp_path, deadline_seconds=0.1) as on:
        await put(on.record.writer, [ALLOWS], [("allows", ToKey(FIRST_KEY))])
        await on.policies.refresh()
        with pytest.raises(DeadlineError):
            await on.signing.sign(vote(), CALLER)
        assert on.backend.signed == []
        doors.opened.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await on.policies.load_bound()
        assert doors.loaded == [version_of(ALLOWS)], "whoever gave up has not ended the loading"


async def test_what_is_published_is_loaded_before_it_is_bound_and_before_it_is_activated(tmp_path: Path, doors) -> None:
    async with road(tmp_path) as on, asyncio.timeout(PATIENCE_SECONDS):
        await put(on.record.writer, [ALLOWS, NO_VOTES], [])  # NO_VOTES is the newer version of `allows`
        staged = ServedPolicy("allows", version_of(ALLOWS), staged=version_of(NO_VOTES))
        await change_set(on, policies=(staged,))
        await on.policies.look()
        while len(doors.loaded) < 2:
            await asyncio.sleep(0)
        await on.policies.look()
        doors.hold(ALLOWS)
        doors.hold(NO_VOTES)
        await put(on.record.writer, [ALLOWS], [("allows", ToKey(FIRST_KEY))])
        assert await verdict(on, vote()) == "signed"
        assert doors.loaded == [version_of(ALLOWS), version_of(NO_VOTES)]


async def test_what_somebody_waits_for_is_loaded_before_what_only_may_be_needed(tmp_path: Path, doors) -> None:
    doors.hold(NO_BLOCKS)
    async with road(tmp_path) as on, asyncio.timeout(PATIENCE_SECONDS):
        await put(on.record.writer, [ALLOWS, NO_BLOCKS, ONCE], [("no-blocks", ToKey(OTHER_KEY))])
        await on.policies.refresh()
        await begun(doors)
        asked = asyncio.create_task(on.policies.judge_named(facts(), ["once"]))
        await asyncio.sleep(0)
        doors.opened.set()
        await asked
        assert doors.loaded[:2] == [version_of(NO_BLOCKS), version_of(ONCE)], "bound first, then asked, then the rest"


async def test_a_policy_that_is_only_staged_is_not_asked_and_that_is_no_fault_of_ours(tmp_path: Path, caplog) -> None:
    async with road(tmp_path) as on:
        await put(on.record.writer, [ALLOWS], [])
        await change_set(on, policies=(ServedPolicy("allows", "", staged=version_of(ALLOWS)),))
        await on.policies.refresh()
        with caplog.at_level(logging.WARNING), pytest.raises(PolicyNotActiveError) as caught:
            await on.policies.judge_named(facts(), ["allows"])
        assert version_of(ALLOWS) in caught.value.sentence
        assert caught.value.evidence["remedy"] == "activate it: holdfast policy activate allows"
        assert caplog.records == []


async def test_while_the_policies_on_record_are_damaged_nothing_is_signed_and_the_reason_is_told(
    tmp_path: Path, caplog
) -> None:
    async with road(tmp_path) as on:
        assert await verdict(on, vote(NOW_EPOCH - 1)) == "signed"
        assert on.policies.fault == ""
        await damage_set(on)
        for _ in range(3):
            with pytest.raises(PoliciesUnreadableError, match="restore the database from a backup") as caught:
                await on.signing.sign(vote(), CALLER)
        assert isinstance(caught.value, UnavailableError)
        [answer] = await on.signing.sign_each([vote()], CALLER)
        assert isinstance(answer, PoliciesUnreadableError)
        assert len(on.backend.signed) == 1
        assert on.policies.fault.startswith("POLICIES_UNREADABLE: ")
        told = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert len(told) == 1, "once, however many ask"
        assert "restore the database" in told[0].getMessage()
        await on.record.writer.perform(
            lambda transaction: transaction.run("DELETE FROM policy_sets"),
            lambda _: NoteStory(Kind.POLICY_BOUND, 0, "test"),
        )
        await on.policies.look()
        assert on.policies.fault == ""
