"""What people do with requests that wait for them: look, approve, deny, cancel, and have them done."""

import asyncio
from functools import partial

from msgspec import Struct

from signer.approvals.record import NEWEST, Place, get_request, place_of, read_page
from signer.approvals.request import OPEN, Request, SignedStatement, State
from signer.approvals.rules import Progress, counting_today, may_vote, progress_of, ready_ms, state_of
from signer.approvals.signed_statement import Decision, check_statement
from signer.auth.approvers import Approvers
from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Caller
from signer.clock import Clock
from signer.errors import (
    ApprovalClosedError,
    ApprovalDeniedError,
    ForbiddenError,
    MalformedRequestError,
    PolicyChangedError,
    StatementError,
    UnknownApprovalError,
)
from signer.intent import SignDuty
from signer.journal.reader import Reading
from signer.operations.approval_orders import ApprovalOrders, CancelRequest, CastVote, Content, ReadContent, Waits
from signer.operations.held_content import decode_intent
from signer.operations.reading import read_record
from signer.operations.standing_approvals import Standing, Standings
from signer.units import PublicKey

MOST_LISTED = 25
"""Requests of one page: the facts of one may be 256 KiB."""

_LOOKS = 3
"""So often a vote looks how the request stands, where the policies are changed in between."""


class Told(Struct, frozen=True):
    """A request, and where it stands now."""

    request: Request
    state: State
    progress: tuple[Progress, ...]
    ready_ms: int | None
    """From when on it may be done; None while a quorum is missing."""

    reason: str = ""
    """Why it can never be done: where it is void."""


class ApprovalReview:
    """One instance for the life of the process; reads through connections of its own."""

    def __init__(self, *, orders: ApprovalOrders, reading: Reading, clock: Clock, approvers: Approvers) -> None:
        self._orders = orders
        self._reading = reading
        self._clock = clock
        self._approvers = approvers
        self._standings = Standings(reading)

    async def list_requests(
        self, caller: Caller, *, ended_too: bool = False, before: Place = NEWEST
    ) -> tuple[list[Told], Place | None]:
        """The newest requests that this caller may see, and where the next page begins; None: there is none.

        Raises ForbiddenError.
        """
        check_may_look(caller)
        page = partial(read_page, before=before, ended_too=ended_too, limit=MOST_LISTED)
        found = await asyncio.to_thread(read_record, self._reading, page)
        visible = [each for each in found if self._may_see(each, caller)]
        standing = await self._standings.of(visible)
        told = [self._told(each, standing) for each in visible]
        if not ended_too:
            told = [each for each in told if each.state in OPEN]
        return told, place_of(found[-1]) if len(found) == MOST_LISTED else None

    async def show(self, approval_id: bytes, caller: Caller) -> Told:
        """One request. Raises UnknownApprovalError: there is none, or none that this caller may see."""
        return await self._tell(await self._get(approval_id, caller))

    async def vote(
        self,
        approval_id: bytes,
        caller: Caller,
        *,
        decision: Decision,
        request_hash: bytes,
        signed: SignedStatement | None,
    ) -> Told:
        """Say yes or no.

        Raises:
            ForbiddenError, NotAnApproverError: it is not theirs to say.
            UnknownApprovalError, ApprovalClosedError, WrongRequestError, StatementError, UnavailableError.
        """
        check_authorized(caller.principal, Action.APPROVALS_VOTE)
        groups = tuple(sorted(caller.principal.groups))
        for look in range(1, _LOOKS + 1):
            request = await self._get(approval_id, caller)
            standing = await self._standings.of((request,))
            void = standing.void.get(approval_id, "")
            if not void:
                self._check_statement(signed, request, caller, decision)
            order = CastVote(approval_id, request_hash, decision == "approve", groups, standing.revision, signed, void)
            try:
                return await self._tell(await self._carry_out(order, caller))
            except PolicyChangedError:
                if look == _LOOKS:
                    raise
        raise TypeError("a vote is cast, or refused")

    async def cancel(self, approval_id: bytes, caller: Caller) -> Told:
        """Take a request back: one's own, or anybody's with `approvals:cancel`. Raises as `vote`."""
        request = await self._get(approval_id, caller)
        if request.requester != caller.principal.name:
            check_authorized(caller.principal, Action.APPROVALS_CANCEL)
        return await self._tell(await self._carry_out(CancelRequest(approval_id), caller))

    async def content(self, approval_id: bytes, caller: Caller) -> SignDuty:
        """What was asked for, so that whoever has asked can have it done.

        Raises:
            ForbiddenError: it is not this caller's request.
            MalformedRequestError: it is no request for a signature.
            ApprovalDeniedError, ApprovalClosedError: it has ended without one.
            UnknownApprovalError, ElsewhereError, SealError, UnavailableError.
        """
        request = await self._get(approval_id, caller)
        if request.requester != caller.principal.name:
            raise ForbiddenError(
                f"only {request.requester}, who has asked for this, gets its signature",
                evidence={"principal": caller.principal.name},
            )
        if request.kind != "signature":
            raise MalformedRequestError("this is no request for a signature: give the order again, as it was")
        self._check_not_ended(request)
        _check_stands(request, await self._standings.of((request,)))
        answer = await self._orders.carry_out(ReadContent(approval_id), caller)
        if not isinstance(answer, Content):
            raise TypeError("an order to read is answered with what was read")
        if not answer.content:
            raise MalformedRequestError("raw bytes are not kept: send the same request again")
        return decode_intent(answer.content)

    def _check_not_ended(self, request: Request) -> None:
        """What was signed is given out again."""
        now_ms = self._now_ms()
        state = state_of(request, now_ms=now_ms)
        if state is State.DENIED and now_ms < request.expires_ms:
            raise ApprovalDeniedError(
                request.approval_id.hex(), denied_by=request.ended_by, until_ms=request.expires_ms
            )
        if state is not State.SPENT and state is not State.VOID and state not in OPEN:
            raise ApprovalClosedError(request.approval_id.hex(), state=state.value)

    def _check_statement(
        self, signed: SignedStatement | None, request: Request, caller: Caller, decision: Decision
    ) -> None:
        name = caller.principal.name
        approver = self._approvers.find(name)
        key = None if approver is None else approver.public_key
        if signed is None:
            if key is not None:
                raise StatementError(
                    f"{name} has an approval key, so what they say counts only with their signature: vote with"
                    f" `--key FILE --as {name}`, where FILE is what `holdfast approvals keygen` has made"
                )
            return
        if key is None:
            raise StatementError(f"{name} has no approval_key in security.principals to verify this with")
        now_ms = self._now_ms()
        check_statement(signed, request, approver=name, decision=decision, public_key=key, now_ms=now_ms)

    async def _get(self, approval_id: bytes, caller: Caller) -> Request:
        question = partial(get_request, approval_id=approval_id)
        request = await asyncio.to_thread(read_record, self._reading, question)
        if not self._may_see(request, caller):
            raise UnknownApprovalError(approval_id.hex())
        return request

    def _may_see(self, request: Request, caller: Caller) -> bool:
        principal = caller.principal
        if principal.name == request.requester:
            return True
        if request.public_key and not may_see(principal, PublicKey(request.public_key)):
            return False
        asked = Action.APPROVALS_VOTE in principal.actions and may_vote(
            request, approver=principal.name, groups=principal.groups
        )
        return asked or Action.APPROVALS_READ in principal.actions

    async def _carry_out(self, order: CastVote | CancelRequest, caller: Caller) -> Request:
        answer = await self._orders.carry_out(order, caller)
        if not isinstance(answer, Waits):
            raise TypeError("an order about a request is answered with the request")
        return answer.request

    async def _tell(self, request: Request) -> Told:
        return self._told(request, await self._standings.of((request,)))

    def _told(self, request: Request, standing: Standing) -> Told:
        today = counting_today(request, self._approvers.members) if request.ending is None else request
        state = state_of(today, now_ms=self._now_ms())
        why = standing.void.get(request.approval_id, "") if state in OPEN or state is State.VOID else ""
        return Told(request, State.VOID if why else state, progress_of(today), ready_ms(today), why)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


def _check_stands(request: Request, standing: Standing) -> None:
    """Raises ApprovalClosedError: it can never be done, whoever says yes."""
    if why := standing.void.get(request.approval_id):
        raise ApprovalClosedError(request.approval_id.hex(), state=State.VOID.value, reason=why)


def check_may_look(caller: Caller) -> None:
    """Raises ForbiddenError: neither does anybody ask them, nor may they look, nor could they have asked."""
    useful = {Action.APPROVALS_READ, Action.APPROVALS_VOTE, Action.SIGN_DUTY}
    if not useful & caller.principal.actions:
        check_authorized(caller.principal, Action.APPROVALS_READ)
