"""What the record says of a vote or a block before anybody asks to have it signed, and what it holds for each key.

Reads alone: nothing is recorded, and the answer holds for the moment. The order of the checks is that of the gate.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Caller
from signer.errors import (
    BelowFloorError,
    FarFutureError,
    KeyQuarantinedError,
    MalformedRequestError,
    RefusalError,
    UnknownKeyError,
)
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.ledger import KeyStateLedger, KeyUseClaim
from signer.keys.quarantine import find_new_keys
from signer.keys.standing import read_standings
from signer.operations.horizon import Horizon
from signer.operations.quarantine import end_of_wait
from signer.operations.record_status import (
    MAX_KEYS,
    RecordStatus,
    ToldRecord,
    ToldWatermarks,
    document_name,
    find_status,
    read_status,
    told_record,
    told_watermarks,
)
from signer.slashing.judging import judge_block, judge_vote
from signer.slashing.rules import Proposal, Safe, Vote
from signer.slashing.status import KeyRecord, find_key_record, greatest_source
from signer.slashing.watermarks import Watermarks, read_watermarks
from signer.units import PUBLIC_KEY_BYTES, ROOT_BYTES, UINT64_MAX, Epoch, PublicKey, Root, Slot


@dataclass(frozen=True, slots=True)
class Question:
    """Would this be signed?"""

    public_key: PublicKey
    asked: Vote | Proposal

    @classmethod
    def parse(
        cls,
        *,
        public_key: str,
        source: int | None = None,
        target: int | None = None,
        slot: int | None = None,
        root: str | None = None,
    ) -> "Question":
        """From a request or a command line. Raises MalformedRequestError."""
        key = parse_public_key(public_key)
        for name, value in (("source", source), ("target", target), ("slot", slot)):
            if value is not None and not 0 <= value <= UINT64_MAX:
                raise MalformedRequestError(f"{name} must be an unsigned 64-bit number", path=name)
        signing_root = None if root is None else Root(_hex(root, ROOT_BYTES, "root"))
        if slot is not None and source is None and target is None:
            return cls(key, Proposal(Slot(slot), signing_root))
        if slot is None and source is not None and target is not None:
            return cls(key, Vote(Epoch(source), Epoch(target), signing_root))
        raise MalformedRequestError("ask either for a vote (source and target) or for a block (slot)")

    def told(self) -> dict[str, str]:
        """As `parse` takes it, in texts."""
        asked = self.asked
        if isinstance(asked, Vote):
            numbers = {"source": str(asked.source_epoch), "target": str(asked.target_epoch)}
        else:
            numbers = {"slot": str(asked.slot)}
        root = {} if asked.signing_root is None else {"root": _shown(asked.signing_root)}
        return {"public_key": _shown(self.public_key), **numbers, **root}


@dataclass(frozen=True, slots=True)
class Room:
    """What would be accepted in any case, whatever its root; None where nothing limits it."""

    least_source: int | None
    least_target: int | None
    greatest_target: int | None
    least_slot: int | None
    greatest_slot: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether something would be signed, and why."""

    public_key: str
    verdict: Literal["new", "repeat", "refused", "not_loaded"]
    """`repeat`: the same is on record, and the same signature would be given again; `not_loaded`: whatever the record
    says, a request for this key is answered 404."""

    code: str
    """Of the refusal; empty where there is none."""

    reason: str
    evidence: Mapping[str, str | int | None]
    """The record that stands against it."""

    record: ToldRecord | None
    """None where nothing is known of this key."""

    watermarks: ToldWatermarks
    room: Room
    key_loaded: bool | None = None
    """None where that was not looked at: no key is loaded in this process."""

    @property
    def would_sign(self) -> bool | None:
        """None where the record allows it, and nobody has looked whether the key is there."""
        return False if self.verdict in ("refused", "not_loaded") else self.key_loaded


class Explaining:
    """One instance for the life of the process; reads beside the writer."""

    def __init__(
        self,
        *,
        read: Reading,
        horizon: Horizon,
        loaded: Callable[[PublicKey], bool | None] = lambda _: None,
        quarantine_epochs: int = 0,
    ) -> None:
        """`loaded`: whether a key is there to sign, None where no keys were loaded; `quarantine_epochs`: how many whole
        ones a key without history waits.
        """
        self._read = read
        self._horizon = horizon
        self._loaded = loaded
        self._quarantine_epochs = quarantine_epochs

    async def explain(self, question: Question, caller: Caller) -> Explanation:
        """Whether this would be signed now. Raises ForbiddenError."""
        check_authorized(caller.principal, Action.SLASHING_READ, public_key=question.public_key)
        return await asyncio.to_thread(self._explain, question)

    async def status(
        self, caller: Caller, *, public_key: PublicKey | None = None, after: bytes = b"", limit: int = MAX_KEYS
    ) -> RecordStatus:
        """What is on record for one key, or for the next keys behind another one, as far as the caller may see them.

        Raises ForbiddenError.
        """
        check_authorized(caller.principal, Action.SLASHING_READ, public_key=public_key)
        return await asyncio.to_thread(self._status, caller, public_key, after, min(limit, MAX_KEYS))

    def _status(self, caller: Caller, public_key: PublicKey | None, after: bytes, limit: int) -> RecordStatus:
        with self._read() as moment:
            if public_key is not None:
                return find_status(moment, public_key, epoch=self._horizon.epoch)
            return read_status(
                moment,
                after=after,
                limit=limit,
                visible=lambda key: may_see(caller.principal, key),
                epoch=self._horizon.epoch,
            )

    def _explain(self, question: Question) -> Explanation:
        key_loaded = self._loaded(question.public_key)
        with self._read() as moment:
            refusal: RefusalError | UnknownKeyError | None = None
            safe = Safe.NEW
            try:
                _check_loaded(question.public_key, key_loaded)
                self._check_time(question.asked)
                self._check_key(moment, question)
                safe = _judge(moment, question)
            except (RefusalError, UnknownKeyError) as error:
                refusal = error
            record = find_key_record(moment, question.public_key)
            marks = read_watermarks(moment)
            source = greatest_source(moment, question.public_key)
            told = None
            if record is not None:
                told = told_record(record, read_standings(moment), epoch=self._horizon.epoch)
        return Explanation(
            public_key=_shown(question.public_key),
            verdict=_verdict(refusal, safe),
            code="" if refusal is None else refusal.code,
            reason="" if refusal is None else _reason(refusal, record),
            evidence={} if refusal is None else refusal.evidence,
            record=told,
            watermarks=told_watermarks(marks),
            room=self._room(told, marks, source),
            key_loaded=key_loaded,
        )

    def _check_key(self, moment: Transaction, question: Question) -> None:
        asked, network = question.asked, self._horizon.network
        epoch = asked.target_epoch if isinstance(asked, Vote) else network.epoch_of(asked.slot)
        claim = KeyUseClaim(question.public_key, epoch)
        ledger = KeyStateLedger(alone=False, begins=network.seconds_of_epoch)
        ledger.judge(claim, ledger.load(moment, [claim]))
        self._check_would_wait(moment, question.public_key, Epoch(epoch))

    def _check_would_wait(self, moment: Transaction, public_key: PublicKey, epoch: Epoch) -> None:
        """A key without history begins to wait with its first load for signing."""
        now = self._horizon.epoch
        if not self._quarantine_epochs or now is None or not find_new_keys(moment, [public_key]):
            return
        until = end_of_wait(self._horizon, now, self._quarantine_epochs)
        if epoch < until:
            raise KeyQuarantinedError(
                _shown(public_key), until_epoch=until, until_seconds=self._horizon.network.seconds_of_epoch(until)
            )

    def _check_time(self, asked: Vote | Proposal) -> None:
        epoch, slot = self._horizon.last_epoch, self._horizon.last_slot
        if isinstance(asked, Vote):
            if epoch is not None and asked.target_epoch > epoch:
                raise FarFutureError(field="target_epoch", requested=asked.target_epoch, limit=epoch)
        elif slot is not None and asked.slot > slot:
            raise FarFutureError(field="slot", requested=asked.slot, limit=slot)

    def _room(self, told: ToldRecord | None, marks: Watermarks, source: Epoch | None) -> Room:
        """No record is around, inside or beside such a vote: its source is not below any, its target above all."""
        if told is None:
            targets: tuple[int | None, ...] = (marks.low_epoch,)
            slots: tuple[int | None, ...] = (marks.low_slot,)
            sources: tuple[int | None, ...] = (marks.low_epoch,)
        else:
            targets = (marks.low_epoch, told.floor_target, told.newest_target)
            slots = (marks.low_slot, told.floor_slot, told.newest_slot)
            sources = (marks.low_epoch, told.floor_source, source)
        return Room(
            least_source=_greatest(*sources),
            least_target=_above(*targets),
            greatest_target=_least(_below(marks.high_epoch), self._horizon.last_epoch),
            least_slot=_above(*slots),
            greatest_slot=_least(_below(marks.high_slot), self._horizon.last_slot),
        )


def parse_public_key(text: str) -> PublicKey:
    """A public key in hexadecimal, with or without 0x. Raises MalformedRequestError."""
    return PublicKey(_hex(text, PUBLIC_KEY_BYTES, "public_key"))


def _check_loaded(public_key: PublicKey, key_loaded: bool | None) -> None:  # noqa: FBT001 - not switched by it
    if key_loaded is False:
        raise UnknownKeyError(_shown(public_key))


def _verdict(
    refusal: RefusalError | UnknownKeyError | None, safe: Safe
) -> Literal["new", "repeat", "refused", "not_loaded"]:
    if isinstance(refusal, UnknownKeyError):
        return "not_loaded"
    if refusal is not None:
        return "refused"
    return "new" if safe is Safe.NEW else "repeat"


def _judge(moment: Transaction, question: Question) -> Safe:
    if isinstance(question.asked, Vote):
        return judge_vote(moment, question.public_key, question.asked)
    return judge_block(moment, question.public_key, question.asked)


def _reason(refusal: RefusalError | UnknownKeyError, record: KeyRecord | None) -> str:
    """In words; where an unfinished import is what refuses, that one and how it ends."""
    hold = None if record is None else record.hold
    if hold is None or not isinstance(refusal, BelowFloorError):
        return refusal.sentence
    field, requested, floor = (refusal.evidence[name] for name in ("field", "requested", "floor"))
    if not hold.stands_at(str(field), int(floor or 0)):
        return refusal.sentence
    return (
        f"{field} {requested} is held back at {floor} by an unfinished import (document {document_name(hold)}):"
        " run the same import again, which completes it and lifts the hold"
    )


def _greatest(*values: int | None) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _above(*values: int | None) -> int | None:
    greatest = _greatest(*values)
    return None if greatest is None else greatest + 1


def _below(value: int | None) -> int | None:
    return None if value is None else value - 1


def _shown(value: bytes) -> str:
    return "0x" + value.hex()


def _hex(text: str, length: int, path: str) -> bytes:
    try:
        value = bytes.fromhex(text.removeprefix("0x").removeprefix("0X"))
    except ValueError:
        value = b""
    if len(value) != length:
        raise MalformedRequestError(f"{path} must be {2 * length} hexadecimal digits", path=path)
    return value
