"""Commands that go through a worker's link are judged, recorded and answered as if the worker were the main process."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from journal.record import block, open_record, public_key, root, vote
from relay.relay_ends import both_ends

from signer import errors
from signer.api.problems import problem_members, problem_of
from signer.approvals.ledger import ApprovalClaim
from signer.audit.entry import Kind
from signer.auth.principal import Caller, Principal
from signer.errors import (
    DoubleVoteError,
    ForbiddenError,
    JournalDownError,
    RefusalError,
    SignerError,
    WrongNetworkError,
)
from signer.eth2.block_proofs import BodyProof
from signer.journal.command import Chronicle, Command, Keepsake, Receipt, Verdict
from signer.keys.ledger import KeyUseClaim
from signer.keys.preference_ledger import PreferenceClaim
from signer.operations.story import DutyStory, ExtensionStory, NoteStory
from signer.policy.counters import CounterClaim, CounterId, GiveBack, Seen, Spend
from signer.policy.policy_set_ledger import PolicySetClaim
from signer.relay.commands import command_of, command_row
from signer.relay.frames import Commands, Verdicts
from signer.relay.link import FROM_WORKER, encode_frame
from signer.relay.refusals import error_of, problem_row
from signer.relay.relay_journal import FRAMES_UNDER_WAY, RelayJournal
from signer.slashing.ledger import AttestationClaim
from signer.slashing.network import NetworkClaim

CALLER = Caller(Principal("prysm-1", groups=frozenset({"a"})), "10.0.0.1", b"\x01\x02\x03\x04\x05\x06\x07\x08")
FAR = errors.FarFutureError(field="target_epoch", requested=2**64 - 1, limit=7)

STORIES: dict[str, Chronicle] = {
    "a duty": DutyStory(CALLER, public_key(1), "ATTESTATION", 2**64 - 1, 2**64 - 1, root(3), 1_700_000_000_123),
    "a duty refused before the commit": DutyStory(
        CALLER, public_key(1), "BLOCK_V2", 5, 5, root(3), 1_700_000_000_123, refused_as=FAR
    ),
    "an extension": ExtensionStory(
        CALLER, public_key(2), "PROOF_OF_VALIDATION", 1_700_000_000, "DIRK \u2713", root(4), 1_700_000_000_123
    ),
    "an extension refused": ExtensionStory(
        CALLER, public_key(2), "PROOF_OF_VALIDATION", 1, "DIRK", root(4), 2, refused_as=ForbiddenError("no")
    ),
    "a note": NoteStory(Kind.SUMMARY, 1_700_000_000_123, "UNKNOWN_KEY=3"),
    "a note about a key": NoteStory(
        Kind.SIGNING_FAILED, 1, "the key could not sign", "prysm-1", b"12345678", public_key(1), "SIGNING_FAILED"
    ),
}
VERDICTS = {
    "allowed": Verdict(None),
    "a repeat": Verdict(None, repeat=True),
    "refused": Verdict(WrongNetworkError(requested=root(1), pinned=root(2))),
}


def relayed(command: Command) -> Command:
    frame = encode_frame(Commands([command_row(7, command)]))
    message = FROM_WORKER.decode(memoryview(frame)[4:])
    assert isinstance(message, Commands)
    (row,) = message.commands
    assert row.number == 7
    return command_of(row)


def test_what_is_kept_beside_an_entry_and_its_hash_in_the_entry_travel_too() -> None:
    story = DutyStory(CALLER, public_key(1), "BLOCK_V2", 5, 5, root(3), 7, refused_as=FAR, kept=b"\xab" * 32)
    kept = Keepsake(b'{"facts":1}', public_key(1), 7, "FAR_FUTURE")
    found = relayed(Command((), story, kept))
    assert found.kept == kept
    assert found.story.entry(Verdict(None)) == story.entry(Verdict(None))
    assert relayed(Command((), story)).kept is None


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize("story", STORIES)
def test_a_relayed_story_is_told_in_the_same_bytes(story, verdict):
    told = relayed(Command((), STORIES[story])).story.entry(VERDICTS[verdict])
    assert told == STORIES[story].entry(VERDICTS[verdict])


WEI = CounterId("treasury", "daily/spent/native/key:0123456789abcdef", 86400)
PROOF = BodyProof(801, (bytes(root(1)), bytes(root(2))), root(3))


def test_relayed_claims_are_equal_in_the_same_order():
    claims = (
        KeyUseClaim(public_key(3)),
        PreferenceClaim(public_key(3), None, None, PROOF, b"\x22" * 20, 30_000_000),
        NetworkClaim(root(9)),
        PolicySetClaim(2**63 - 1),
        CounterClaim(1_800_000_000, (Seen(WEI, 2**256 - 1), Spend(WEI, 2**256 - 1, 2**256 - 1), GiveBack(WEI, 0))),
        ApprovalClaim(b"\x01" * 16, b"\x02" * 32, b"\x03" * 32, 1_800_000_000_123, "again"),
        AttestationClaim(public_key(1), 2**64 - 2, 2**64 - 1, root(1)),
        *block(2**64 - 1).claims,
    )
    assert relayed(Command(claims, STORIES["a note"])).claims == claims
    others = (
        KeyUseClaim(public_key(3), 2**64 - 1),
        PreferenceClaim(public_key(3), b"\x11" * 20, 2**64 - 1, None, None, None),
    )
    assert relayed(Command(others, STORIES["a note"])).claims == others


@pytest.mark.parametrize("command", [Command((object(),), STORIES["a note"]), Command((), vote(1, 2).story)])
def test_what_the_record_does_not_know_never_leaves_the_worker(command):
    with pytest.raises(TypeError):
        command_row(1, command)


def denied(code: str) -> errors.PolicyDeniedError:
    """A policy's own code, which may be called like one of ours."""
    return errors.PolicyDeniedError("treasury", version="ab" * 32, code=code, message="no", evidence={"to": "0x12"})


ERRORS = [
    FAR,
    errors.HighWatermarkError(field="slot", requested=3, watermark=2),
    errors.BelowFloorError(field="source_epoch", requested=3, floor=4),
    errors.KeyFrozenError("0x12", since_ms=5, frozen="key"),
    errors.KeyDisabledError("0x12", since_ms=5),
    errors.KeyDeletedError("0x12", since_ms=5),
    errors.OtherFeeRecipientError("0x12", requested=None, wanted=b"\x11" * 20, by_default=True),
    errors.OtherGasLimitError("0x12", requested=5, wanted=6, by_default=False),
    errors.PolicyRefusalError("not today", evidence={"rule": "weekend"}),
    denied("NOT_LISTED"),
    denied("UNKNOWN_KEY"),
    denied("POLICY_OUT_OF_FUEL"),
    errors.PolicyChangedError(judged_by=1, newest=2),
    errors.ApprovalRequiredError("ask people", evidence={"approval": "01", "missing": "exits: 2 of custodians"}),
    errors.ApprovalChangedError("01"),
    errors.ApprovalClosedError("01", state="denied"),
    errors.NotAnApproverError("eve", reason="no"),
    errors.UnknownApprovalError("01"),
    errors.CounterChangedError("treasury", counter="wei"),
    errors.MalformedRequestError("cannot be read", path="data[3].pubkey"),
    errors.BusyError("one is running"),
    errors.JournalDownError("no space"),
    errors.OutcomeUnknownError("nobody can say"),
    errors.SigningRootMismatchError(claimed=root(1), computed=root(2)),
    errors.UnknownKeyError("0x12"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_a_relayed_error_gives_the_same_status_and_body(error):
    again = error_of(problem_row(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    for signs in (True, False):
        told, expected = (problem_of(each, policy_refusal=403, signs=signs) for each in (again, error))
        assert problem_members(told, "00") == problem_members(expected, "00")


def test_every_error_that_has_a_code_comes_back_as_its_own_class():
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, SignerError) and "code" in vars(kind)
    ]
    assert len(kinds) > 30
    for kind in kinds:
        bare = kind.__new__(kind)
        SignerError.__init__(bare, "a sentence", evidence={"name": 1})
        assert type(error_of(problem_row(bare))) is kind


def test_an_unknown_code_fails_closed_as_an_error_of_ours():
    row = problem_row(FAR)
    unknown = error_of(type(row)("NEVER_HEARD_OF", row.sentence, row.evidence))
    assert problem_of(unknown, policy_refusal=412, signs=True).status == 500
    assert not isinstance(unknown, RefusalError)


async def steps(journal: Any) -> list[Any]:
    """Votes and blocks with every kind of verdict, one after the other."""
    outcomes: list[Any] = []
    for command in (
        vote(1, 2),
        vote(1, 2),
        vote(1, 2, mark=2),
        vote(2, 5),
        vote(3, 4),
        vote(0, 3),
        block(9),
        block(9, mark=2),
        block(3),
        Command((NetworkClaim(root(5)),), vote(1, 2).story),
        Command((NetworkClaim(root(6)), *vote(7, 8).claims), vote(1, 2).story),
    ):
        known = Command(command.claims, STORIES["a duty"])
        try:
            outcomes.append(await journal.commit(known))
        except RefusalError as error:
            outcomes.append((type(error), error.sentence, error.evidence))
    return outcomes


async def test_a_relayed_command_has_the_verdict_it_would_have_had_here(tmp_path: Path):
    (tmp_path / "direct").mkdir()
    (tmp_path / "relayed").mkdir()
    direct = open_record(tmp_path / "direct")
    expected = await steps(direct.writer)
    async with both_ends(tmp_path / "relayed") as ends:
        assert await steps(ends.worker.link.journal) == expected
        assert ends.record.log.head.size == direct.log.head.size
    assert {type(outcome) for outcome in expected} == {Receipt, tuple}
    await asyncio.to_thread(direct.close)


async def test_of_many_conflicting_votes_of_one_worker_one_is_allowed(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        journal = ends.worker.link.journal
        commands = [Command(vote(1, 2, mark=n).claims, STORIES["a duty"]) for n in range(200)]
        outcomes = await asyncio.gather(*journal.commit_all(commands), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Receipt] + [DoubleVoteError] * 199


async def test_the_chain_that_a_worker_pins_is_told_to_the_main_process(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        journal = ends.worker.link.journal
        story = STORIES["a duty"]
        await journal.commit(Command(vote(1, 2).claims, story))
        assert ends.pinned == []
        await journal.commit(Command((NetworkClaim(root(5)), *vote(2, 3).claims), story))
        assert ends.pinned == [root(5)]
        with pytest.raises(WrongNetworkError):
            await journal.commit(Command((NetworkClaim(root(6)),), story))
        assert ends.pinned == [root(5)]


async def test_a_journal_that_stopped_is_down_for_workers_too(tmp_path: Path):
    async with both_ends(tmp_path) as ends:
        (tmp_path / "journal.sqlite").rename(tmp_path / "elsewhere")
        journal = ends.worker.link.journal
        command = Command(vote(1, 2).claims, STORIES["a duty"])
        with pytest.raises(errors.OutcomeUnknownError):
            await journal.commit(command)
        with pytest.raises(JournalDownError):
            await journal.commit(command)


class Sent(list[Any]):
    """Everything that a journal sent."""

    @property
    def sizes(self) -> list[int]:
        return [len(message.commands) for message in self]


def receipts(first: int, last: int) -> Verdicts:
    return Verdicts([(number, False, number) for number in range(first, last + 1)], [])


async def test_all_commands_of_one_turn_of_the_loop_are_one_frame():
    sent = Sent()
    journal = RelayJournal(sent.append)
    for _ in range(10):
        journal.commit(Command((), STORIES["a note"]))
    assert sent == []
    await asyncio.sleep(0)
    assert sent.sizes == [10]


async def test_while_frames_are_under_way_the_next_one_gathers():
    sent = Sent()
    journal = RelayJournal(sent.append)
    futures = []
    for _ in range(FRAMES_UNDER_WAY + 3):
        futures.append(journal.commit(Command((), STORIES["a note"])))
        await asyncio.sleep(0)
    assert sent.sizes == [1] * FRAMES_UNDER_WAY
    journal.settle(receipts(1, 1))
    assert sent.sizes == [1] * FRAMES_UNDER_WAY + [3]
    futures.append(journal.commit(Command((), STORIES["a note"])))
    await asyncio.sleep(0)
    journal.settle(receipts(2, 5))
    await asyncio.sleep(0)
    assert sent.sizes == [1] * FRAMES_UNDER_WAY + [3, 1]
    assert [future.done() for future in futures] == [True] * 5 + [False]


async def test_a_frame_whose_verdicts_come_in_parts_is_under_way_until_the_last():
    sent = Sent()
    journal = RelayJournal(sent.append)
    journal.commit_all([Command((), STORIES["a note"])] * 1000)
    await asyncio.sleep(0)
    journal.commit(Command((), STORIES["a note"]))
    await asyncio.sleep(0)
    journal.commit(Command((), STORIES["a note"]))
    await asyncio.sleep(0)
    assert sent.sizes == [1000, 1]
    journal.settle(receipts(1, 512))
    assert sent.sizes == [1000, 1]
    journal.settle(receipts(513, 1000))
    assert sent.sizes == [1000, 1, 1]


async def test_a_verdict_that_nobody_waits_for_any_more_is_passed_over():
    journal = RelayJournal(Sent().append)
    late, waiting = journal.commit_all([Command((), STORIES["a note"])] * 2)
    await asyncio.sleep(0)
    late.cancel()
    journal.settle(Verdicts([(1, False, 1)], [(2, problem_row(FAR)), (99, problem_row(FAR))]))
    with pytest.raises(errors.FarFutureError):
        await waiting


def test_no_field_of_a_claim_is_forgotten():
    assert AttestationClaim.__struct_fields__ == ("public_key", "source_epoch", "target_epoch", "signing_root")
