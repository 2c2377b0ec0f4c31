"""The road to a private key: decide, record, sign, release, in this order and no other."""

import asyncio
from dataclasses import replace as changed
from pathlib import Path

import pytest
from msgspec.structs import replace
from operations.record_twin import CHAIN, NOW
from operations.road_twin import (
    BLS,
    CALLER,
    FORK,
    KEYS,
    NETWORK,
    NOW_EPOCH,
    SECRETS,
    STRANGER,
    block,
    right,
    road,
    vote,
)

from signer.audit.entry import Flag, Kind, Outcome
from signer.auth.principal import Action, Caller, Principal
from signer.errors import (
    DeadlineError,
    DoubleVoteError,
    FarFutureError,
    ForbiddenError,
    JournalDownError,
    MalformedRequestError,
    OutcomeUnknownError,
    SigningFailedError,
    SigningRootMismatchError,
    UnknownKeyError,
    WrongNetworkError,
)
from signer.eth2.duties import (
    RandaoRevealDuty,
    SyncCommitteeSelectionProofDuty,
    VoluntaryExitDuty,
)
from signer.intent import SignDuty, SignExtension
from signer.units import Epoch, Root, Slot


async def test_a_duty_is_signed_and_both_its_records_tell_of_it(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        assert await on.signing.sign(vote(), CALLER) == right(vote())
        [entry] = on.audit()
        assert (entry.kind, entry.outcome, entry.duty) == (Kind.DUTY, Outcome.ALLOWED, "ATTESTATION")
        assert (entry.principal, entry.request_id, entry.public_key) == ("operator", b"request1", KEYS[0])
        assert (entry.lower, entry.upper) == (NOW_EPOCH - 1, NOW_EPOCH)
        assert entry.signing_root == on.backend.signed[0]
        assert entry.time_ms == int(NOW * 1000)
        assert [(one.outcome, one.code) for one in on.answered] == [("signed", "")]


async def test_the_record_is_durable_before_the_key_is_used(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        seen: list[int] = []
        on.backend.before = lambda: seen.append(len(on.audit()))
        await on.signing.sign(vote(), CALLER)
        await on.signing.sign_each([vote(NOW_EPOCH + 1), block(NOW_EPOCH * 32)], CALLER)
        assert seen == [1, 3, 3]


async def test_the_same_duty_again_is_the_same_signature_and_a_repeat(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        first = await on.signing.sign(vote(), CALLER)
        assert await on.signing.sign(vote(), CALLER) == first
        assert [one.outcome for one in on.answered] == ["signed", "repeated"]
        assert [entry.flags & Flag.REPEAT for entry in on.audit()] == [0, 1]


async def test_a_refusal_of_the_record_is_audited_with_its_evidence_and_not_signed(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await on.signing.sign(vote(mark=1), CALLER)
        with pytest.raises(DoubleVoteError):
            await on.signing.sign(vote(mark=2), CALLER)
        refused = on.audit()[1]
        assert (refused.outcome, refused.code) == (Outcome.REFUSED, "DOUBLE_VOTE")
        assert f"recorded_target_epoch={NOW_EPOCH}" in refused.note
        assert len(on.backend.signed) == 1
        assert on.answered[-1].outcome == "refused"


LIMITED = Caller(Principal("limited", keys=frozenset({KEYS[1]}), duties=frozenset({"ATTESTATION"})))
READER = Caller(Principal("reader", actions=frozenset({Action.KEYS_LIST})))
OTHER_FORK = replace(FORK, genesis_validators_root=Root(b"\x99" * 32))

BEFORE_A_DECISION = {
    "no such key": (vote(key=STRANGER), CALLER, UnknownKeyError),
    "a key that the caller may not see": (vote(key=KEYS[0]), LIMITED, UnknownKeyError),
    "another root": (replace(vote(), claimed_root=Root(b"\x77" * 32)), CALLER, SigningRootMismatchError),
    "no fork": (replace(vote(), fork_info=None), CALLER, MalformedRequestError),
}
DECIDED_AGAINST = {
    "no right to sign": (vote(), READER, ForbiddenError),
    "a type of duty that the caller may not have signed": (
        replace(block(1), public_key=KEYS[1]),
        LIMITED,
        ForbiddenError,
    ),
    "another chain": (replace(vote(), fork_info=OTHER_FORK), CALLER, WrongNetworkError),
    "the far future": (vote(NOW_EPOCH + 2), CALLER, FarFutureError),
    "a slot of the far future": (block((NOW_EPOCH + 2) * 32), CALLER, FarFutureError),
    "a reveal of the far future": (
        SignDuty(KEYS[0], RandaoRevealDuty(Epoch(NOW_EPOCH + 2)), FORK),
        CALLER,
        FarFutureError,
    ),
}


@pytest.mark.parametrize("name", BEFORE_A_DECISION)
async def test_what_is_no_decision_about_a_key_is_neither_audited_nor_signed(tmp_path: Path, name: str) -> None:
    intent, caller, error = BEFORE_A_DECISION[name]
    async with road(tmp_path) as on:
        with pytest.raises(error):
            await on.signing.sign(intent, caller)
        [answer] = await on.signing.sign_each([intent], caller)
        assert isinstance(answer, error)
        assert on.audit() == []
        assert on.backend.signed == []


@pytest.mark.parametrize("name", DECIDED_AGAINST)
async def test_what_is_decided_against_is_audited_and_not_signed(tmp_path: Path, name: str) -> None:
    intent, caller, error = DECIDED_AGAINST[name]
    async with road(tmp_path) as on:
        with pytest.raises(error):
            await on.signing.sign(intent, caller)
        [answer] = await on.signing.sign_each([intent], caller)
        assert isinstance(answer, error)
        assert [(entry.outcome, entry.code) for entry in on.audit()] == [(Outcome.REFUSED, error.code)] * 2
        assert on.backend.signed == []
        assert await on.signing.sign(vote(source=NOW_EPOCH - 2), CALLER), "nothing of it is on record"


async def test_without_a_guard_any_time_is_signed_and_without_a_genesis_none(tmp_path: Path) -> None:
    async with road(tmp_path, far_future_epochs=None) as on:
        assert await on.signing.sign(vote(2**40), CALLER)
    async with road(tmp_path) as on:
        on.gate._network = changed(NETWORK, genesis_time=None)
        with pytest.raises(FarFutureError):
            await on.signing.sign(vote(2**40 + 1), CALLER)


async def test_an_exit_for_an_epoch_that_has_come_is_signed_and_audited_with_it(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        leaving = SignDuty(KEYS[0], VoluntaryExitDuty(epoch=Epoch(NOW_EPOCH - 3), validator_index=1), FORK)
        assert await on.signing.sign(leaving, CALLER) == right(leaving)
        [entry] = on.audit()
        assert (entry.lower, entry.upper) == (NOW_EPOCH - 3, NOW_EPOCH - 3)
        with pytest.raises(FarFutureError):
            await on.signing.sign(
                SignDuty(KEYS[0], VoluntaryExitDuty(epoch=Epoch(99_999_999), validator_index=1), FORK), CALLER
            )


async def test_what_has_no_epoch_is_signed_at_any_time(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        proof = SignDuty(KEYS[0], SyncCommitteeSelectionProofDuty(slot=Slot(10**9), subcommittee_index=1), FORK)
        assert await on.signing.sign(proof, CALLER) == right(proof)
        [entry] = on.audit()
        assert (entry.lower, entry.upper) == (0, 0)


async def test_the_first_chain_that_is_signed_for_is_the_only_one(tmp_path: Path) -> None:
    async with road(tmp_path, chain=None) as on:
        assert on.gate.pinned is None
        first, second = await on.signing.sign_each([vote(), replace(vote(NOW_EPOCH + 1), fork_info=OTHER_FORK)], CALLER)
        assert not isinstance(first, Exception)
        assert isinstance(second, WrongNetworkError), "judged again inside the commit"
        assert on.gate.pinned == CHAIN
        with pytest.raises(WrongNetworkError):
            await on.signing.sign(replace(vote(NOW_EPOCH + 1), fork_info=OTHER_FORK), CALLER)


# --- when something fails ----------------------------------------------------------------------------


async def test_a_key_that_fails_leaves_a_second_entry_and_asking_again_is_safe(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        on.backend.failing = True
        with pytest.raises(SigningFailedError):
            await on.signing.sign(vote(), CALLER)
        [answer] = await on.signing.sign_each([vote()], CALLER)
        assert isinstance(answer, SigningFailedError)
        assert [entry.kind for entry in on.audit()] == [Kind.DUTY, Kind.SIGNING_FAILED] * 2
        assert [one.outcome for one in on.answered] == ["failed", "failed"]
        on.backend.failing = False
        assert await on.signing.sign(vote(), CALLER) == right(vote())
        with pytest.raises(DoubleVoteError):
            await on.signing.sign(vote(mark=2), CALLER)


async def test_a_journal_that_has_stopped_signs_nothing(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        on.house.places.database.unlink()
        with pytest.raises(OutcomeUnknownError):
            await on.signing.sign(vote(), CALLER)
        with pytest.raises(JournalDownError):
            await on.signing.sign(vote(), CALLER)
        answers = await on.signing.sign_each([vote(), block(1)], CALLER)
        assert [type(answer) for answer in answers] == [JournalDownError, JournalDownError]
        with pytest.raises(JournalDownError):
            await on.signing.sign_extension(SignExtension(KEYS[0], b"payload", "LIDO", 1), CALLER)
        assert on.backend.signed == []
        assert len(on.house.deaths) == 1


async def test_a_deadline_costs_the_answer_and_not_the_record(tmp_path: Path) -> None:
    async with road(tmp_path, deadline_seconds=0.1) as on:
        on.backend.dawdling = asyncio.Event()
        with pytest.raises(DeadlineError):
            await on.signing.sign(vote(), CALLER)
        late, unknown = await on.signing.sign_each([block(NOW_EPOCH * 32), vote(key=STRANGER)], CALLER)
        assert isinstance(late, DeadlineError)
        assert isinstance(unknown, UnknownKeyError), "what has its answer keeps it"
        on.backend.dawdling.set()
        assert await on.signing.sign(vote(), CALLER) == right(vote())
        assert on.answered[-1].outcome == "repeated"


async def test_whoever_goes_away_leaves_a_record_and_gets_it_later(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        on.backend.dawdling = asyncio.Event()
        asking = asyncio.create_task(on.signing.sign(vote(), CALLER))
        while not on.audit():
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        on.backend.dawdling.set()
        assert await on.signing.sign(vote(), CALLER) == right(vote())


# --- batches and the extension -------------------------------------------------------------------------


async def test_a_batch_is_judged_in_order_and_each_entry_alone(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        asked = MalformedRequestError("an entry that could not be read")
        intents = [vote(mark=1), asked, vote(mark=2), vote(mark=1), vote(key=STRANGER), vote(key=KEYS[1], mark=2)]
        answers = await on.signing.sign_each(intents, CALLER)
        assert answers[0] == answers[3] == right(vote(mark=1))
        assert answers[1] is asked
        assert isinstance(answers[2], DoubleVoteError)
        assert isinstance(answers[4], UnknownKeyError)
        assert answers[5] == right(vote(key=KEYS[1], mark=2))
        assert [one.outcome for one in on.answered] == ["signed", "refused", "signed", "failed", "signed"]
        assert len(on.audit()) == 4


async def test_an_empty_batch_has_an_empty_answer(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        assert await on.signing.sign_each([], CALLER) == []


async def test_raw_bytes_are_signed_as_they_come_and_marked_blind(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        asked = SignExtension(KEYS[0], b'{"type":"PROOF_OF_VALIDATION"}', "LIDO", 1234)
        assert await on.signing.sign_extension(asked, CALLER) == bytes(BLS.sign(SECRETS[0], asked.payload))
        [entry] = on.audit()
        assert (entry.kind, entry.flags, entry.note) == (Kind.EXTENSION, Flag.BLIND, "LIDO")
        with pytest.raises(ForbiddenError):
            await on.signing.sign_extension(asked, READER)
        assert on.audit()[1].outcome is Outcome.REFUSED
        with pytest.raises(UnknownKeyError):
            await on.signing.sign_extension(replace(asked, public_key=STRANGER), CALLER)


async def test_before_a_costly_body_is_read_it_is_known_whether_the_caller_may_ask(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        on.signing.check_may_ask(CALLER, KEYS[0])
        on.signing.check_may_ask(CALLER)
        with pytest.raises(UnknownKeyError):
            on.signing.check_may_ask(LIMITED, KEYS[0])
        with pytest.raises(ForbiddenError):
            on.signing.check_may_ask(READER)
        assert on.audit() == []
