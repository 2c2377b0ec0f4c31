"""Carry orders about requests that wait for people out: in the process that keeps the record."""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from functools import partial

from msgspec import Struct

from signer.approvals.record import (
    NEWEST,
    Place,
    change_request,
    count_ended,
    count_open,
    count_waiting,
    get_request,
    lock_requests,
    place_of,
    read_by_hash,
    read_overdue,
    read_page,
    read_sealed,
    remove_ended,
    write_request,
)
from signer.approvals.request import APPROVAL_ID_BYTES, Ending, Request, State, Vote
from signer.approvals.rules import cast, check_open, end, may_vote, ready_ms, state_of
from signer.audit.entry import Kind
from signer.auth.principal import Caller
from signer.clock import Clock
from signer.crypto.aead import NONCE_BYTES, Sealer
from signer.errors import (
    ApprovalClosedError,
    ElsewhereError,
    PolicyChangedError,
    SealError,
    TooManyApprovalsError,
    WrongRequestError,
)
from signer.events import ApprovalMoved, ApprovalsCounted, ApprovalStep, Events
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.operations.approval_orders import (
    ApprovalAnswer,
    ApprovalOrder,
    CancelRequest,
    CastVote,
    Content,
    OpenRequest,
    ReadContent,
    Waits,
)
from signer.operations.approval_stories import ended_story, late_vote_story, opened_story, vote_story
from signer.operations.changes import Changes
from signer.operations.reading import read_record
from signer.operations.standing_approvals import Standings
from signer.operations.story import NoteStory
from signer.policy.policy_set_ledger import read_revision

UPKEEP_SECONDS = 30.0
"""How often requests are looked for whose time is over, and old ones."""

DAY_MS = 86_400_000

_LABEL = b"holdfast held request, version 1\n"
"""Bound to a sealed request with its id and hash, so that nothing else we seal passes for one."""

_LOOKED_AT_ONCE = 25
"""Requests in one read of those that wait: the facts of one may be 256 KiB."""

_STEPS: Mapping[Ending, ApprovalStep] = {
    Ending.SPENT: "spent",
    Ending.DENIED: "denied",
    Ending.CANCELLED: "cancelled",
    Ending.EXPIRED: "expired",
    Ending.VOID: "void",
}

_log = logging.getLogger("holdfast.approvals")


class LocalApprovalOrders:
    """See ApprovalOrders. One instance for the life of the main process."""

    def __init__(
        self,
        *,
        changes: Changes,
        reading: Reading,
        clock: Clock,
        events: Events,
        sealer: Sealer,
        most_waiting: int,
        keep_days: int,
    ) -> None:
        """`most_waiting`: requests of one principal; `keep_days`: how long what has ended stays on record."""
        self._changes = changes
        self._reading = reading
        self._clock = clock
        self._events = events
        self._sealer = sealer
        self._most_waiting = most_waiting
        self._keep_days = keep_days
        self._standings = Standings(reading)
        self._tidied_at: int | None = None
        """The revision of the policies at which all that wait were last looked at."""

    async def carry_out(self, order: ApprovalOrder, caller: Caller) -> ApprovalAnswer:
        """See ApprovalOrders."""
        match order:
            case OpenRequest():
                request = await self._open_request(order, caller)
            case CastVote():
                request = await self._cast_vote(order, caller)
            case CancelRequest():
                request = await self._changes.perform(
                    partial(self._cancel, order, caller), partial(self._ended_story, caller)
                )
                self._moved(request, Ending.CANCELLED)
            case ReadContent():
                return Content(await asyncio.to_thread(read_record, self._reading, partial(self._content, order)))
        return Waits(request)

    async def _open_request(self, order: OpenRequest, caller: Caller) -> Request:
        wanted = self._wanted(order, caller)
        opened = await self._changes.perform(
            partial(self._open, wanted, self._seal(wanted, order.content), order.revision),
            lambda opened: opened_story(wanted, opened.request, caller, now_ms=self._now_ms()),
        )
        request = opened.request
        if opened.ended is not None:
            self._moved(opened.ended, Ending.EXPIRED, Ending.VOID)
        if request.approval_id == wanted.approval_id:
            self._events.publish(ApprovalMoved("opened"))
            _log.info(
                "approval %s: %s asks for %s and waits for people",
                request.approval_id.hex(),
                request.requester,
                request.subject,
            )
        return request

    async def _cast_vote(self, order: CastVote, caller: Caller) -> Request:
        try:
            voted = await self._changes.perform(
                partial(self._vote, order, caller),
                lambda voted: vote_story(order, voted.request, caller, now_ms=self._now_ms()),
            )
        except ApprovalClosedError as closed:
            await self._tell_late_vote(order, caller, closed)
            raise
        if voted.completes:
            self._events.publish(ApprovalMoved("approved"))
        self._moved(voted.request, Ending.DENIED)
        return voted.request

    async def run(self) -> None:
        """End what is overdue, and remove what has ended long ago, again and again. Runs until cancelled."""
        while True:
            try:
                await self.tidy()
            except Exception as error:  # noqa: BLE001 - whatever it was, the rows stay for the next time
                _log.warning("approvals whose time is over stay on record: %s", error)
            await asyncio.sleep(UPKEEP_SECONDS)

    async def tidy(self) -> None:
        """Once: each transaction ends or removes a few. Nothing is written where there is nothing to do.

        Raises:
            UnavailableError.
        """
        overdue = await asyncio.to_thread(read_record, self._reading, partial(read_overdue, now_ms=self._now_ms()))
        for request in overdue:
            change = partial(self._expire, request.approval_id)
            # Crash before this commit: it cannot be approved any more, and the next upkeep says so on record.
            self._moved(await self._changes.perform(change, partial(self._ended_story, None)), Ending.EXPIRED)
        await self._end_void()
        before_ms = self._now_ms() - self._keep_days * DAY_MS
        if await asyncio.to_thread(read_record, self._reading, partial(count_ended, before_ms=before_ms)):
            await self._changes.perform(partial(remove_ended, before_ms=before_ms), self._removed_story)
        count = partial(count_waiting, now_ms=self._now_ms())
        self._events.publish(ApprovalsCounted(await asyncio.to_thread(read_record, self._reading, count)))

    async def _end_void(self) -> None:
        """End what can never be done any more: looked for once at each revision of the policies."""
        revision = await asyncio.to_thread(read_record, self._reading, read_revision)
        if revision == self._tidied_at:
            return
        place: Place | None = NEWEST
        while place is not None:
            look = partial(read_page, before=place, ended_too=False, limit=_LOOKED_AT_ONCE)
            page = await asyncio.to_thread(read_record, self._reading, look)
            for approval_id, why in (await self._standings.of(page)).void.items():
                # Crash before this commit: whoever looks or votes is told the same, and the next upkeep ends it.
                change = partial(self._void, approval_id)
                self._moved(
                    await self._changes.perform(change, partial(self._ended_story, None, reason=why)), Ending.VOID
                )
            place = place_of(page[-1]) if len(page) == _LOOKED_AT_ONCE else None
        self._tidied_at = revision

    # --- what is done in the writer's transaction ----------------------------------------------------

    def _wanted(self, order: OpenRequest, caller: Caller) -> Request:
        now_ms = self._now_ms()
        return Request(
            approval_id=secrets.token_bytes(APPROVAL_ID_BYTES),
            kind=order.kind,
            request_hash=order.request_hash,
            policies_hash=order.policies_hash,
            requester=caller.principal.name,
            demands=tuple(sorted(order.demands)),
            opened_ms=now_ms,
            expires_ms=now_ms + order.lifetime_seconds * 1000,
            subject=order.subject,
            public_key=order.public_key,
            signing_root=order.signing_root,
            facts=order.facts,
        )

    def _open(self, wanted: Request, sealed: bytes, revision: int, transaction: Transaction) -> "_Opened":
        # Before anything is void: whoever has seen older policies would take an approval under the newer ones away.
        _check_revision(transaction, revision)
        ended = None
        for known in read_by_hash(transaction, wanted.request_hash):
            if known.ending is None:
                waits = change_request(transaction, known.approval_id, partial(self._unless_void, wanted))
                if waits.ending is None:
                    return _Opened(waits)
                ended = waits
        waiting = count_open(transaction, wanted.requester, now_ms=wanted.opened_ms)
        if waiting >= self._most_waiting:
            raise TooManyApprovalsError(wanted.requester, waiting=waiting)
        return _Opened(write_request(transaction, wanted, sealed=sealed), ended)

    def _unless_void(self, wanted: Request, found: Request) -> Request:
        if found.ending is not None:
            return found
        now_ms = self._now_ms()
        if state_of(found, now_ms=now_ms) is State.EXPIRED:
            return end(found, Ending.EXPIRED, by="", now_ms=now_ms)
        if (found.policies_hash, found.demands) != (wanted.policies_hash, wanted.demands):
            return end(found, Ending.VOID, by="", now_ms=now_ms)
        return found

    def _vote(self, order: CastVote, caller: Caller, transaction: Transaction) -> "_Voted":
        _check_revision(transaction, order.revision)
        lock_requests(transaction, (order.approval_id,))
        before = get_request(transaction, order.approval_id)

        def rule(found: Request) -> Request:
            if found.request_hash != order.request_hash:
                raise WrongRequestError(found.approval_id.hex())
            groups, name = tuple(sorted(set(order.groups))), caller.principal.name
            if order.void and found.ending in (None, Ending.VOID) and may_vote(found, approver=name, groups=groups):
                raise ApprovalClosedError(found.approval_id.hex(), state=State.VOID.value, reason=order.void)
            return cast(found, Vote(name, groups, order.approves, self._now_ms(), order.signed))

        after = change_request(transaction, order.approval_id, rule)
        return _Voted(after, ready_ms(before) is None and after.ending is None and ready_ms(after) is not None)

    def _cancel(self, order: CancelRequest, caller: Caller, transaction: Transaction) -> Request:
        def rule(found: Request) -> Request:
            now_ms = self._now_ms()
            check_open(found, now_ms=now_ms)
            return end(found, Ending.CANCELLED, by=caller.principal.name, now_ms=now_ms)

        return change_request(transaction, order.approval_id, rule)

    def _expire(self, approval_id: bytes, transaction: Transaction) -> Request:
        def rule(found: Request) -> Request:
            now_ms = self._now_ms()
            overdue = found.ending is None and state_of(found, now_ms=now_ms) is State.EXPIRED
            return end(found, Ending.EXPIRED, by="", now_ms=now_ms) if overdue else found

        return change_request(transaction, approval_id, rule)

    def _void(self, approval_id: bytes, transaction: Transaction) -> Request:
        def rule(found: Request) -> Request:
            return end(found, Ending.VOID, by="", now_ms=self._now_ms()) if found.ending is None else found

        return change_request(transaction, approval_id, rule)

    # --- what is sealed ------------------------------------------------------------------------------

    def _seal(self, request: Request, content: bytes) -> bytes:
        return self._sealer.seal(content, _bound(request), nonce=secrets.token_bytes(NONCE_BYTES))

    def _content(self, order: ReadContent, transaction: Transaction) -> bytes:
        request = get_request(transaction, order.approval_id)
        try:
            return self._sealer.open(read_sealed(transaction, order.approval_id), _bound(request))
        except SealError as error:
            raise ElsewhereError(request.approval_id.hex()) from error

    # --- how it is told ------------------------------------------------------------------------------

    async def _tell_late_vote(self, order: CastVote, caller: Caller, closed: ApprovalClosedError) -> None:
        """An approver has decided, and it came too late: that is on record, though nothing follows from it."""
        await self._changes.perform(
            partial(get_request, approval_id=order.approval_id),
            lambda request: late_vote_story(order, request, caller, closed, now_ms=self._now_ms()),
        )

    def _ended_story(self, caller: Caller | None, request: Request, *, reason: str = "") -> NoteStory:
        return ended_story(request, caller, now_ms=self._now_ms(), reason=reason)

    def _moved(self, request: Request, *endings: Ending) -> None:
        """Tell how it has ended, if it is in one of these ways."""
        if request.ending is not None and request.ending in endings:
            self._events.publish(ApprovalMoved(_STEPS[request.ending]))

    def _removed_story(self, count: int) -> NoteStory:
        return NoteStory(Kind.APPROVALS_REMOVED, self._now_ms(), f"approvals={count} keep_days={self._keep_days}")

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


class _Opened(Struct, frozen=True):
    """What waits after an order to open it."""

    request: Request
    ended: Request | None = None
    """The one of the same request that was on record as open, and could not be done any more."""


class _Voted(Struct, frozen=True):
    """What a vote has made of a request."""

    request: Request
    completes: bool
    """True where nothing but the delay is missing since this vote."""


def _check_revision(transaction: Transaction, judged_by: int) -> None:
    """Raises PolicyChangedError: whoever ordered has looked at other policies.

    No lock of the policies is taken, since signing commits take it after a request's: where another signer changes them
    in the very moment of this commit, it is as if that had come a moment later.
    """
    newest = read_revision(transaction)
    if newest != judged_by:
        raise PolicyChangedError(judged_by=judged_by, newest=newest)


def _bound(request: Request) -> bytes:
    return _LABEL + request.approval_id + request.request_hash
