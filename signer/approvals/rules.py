"""Who may approve, what counts, and when a request may be done: pure rules over a request and a moment.

Rule 1: the requester never counts, nor does anybody outside of the groups. Each counts once for a demand.
Rule 2: every demand is met by approvals of its own groups; one approval may count for several demands.
Rule 3: one denial ends it, also after the quorum, until it is done.
Rule 4: a demand's delay begins with the vote that completes its quorum; it is there for a denial to come in time.
Rule 5: when the lifetime is over it is over, approved or not. At the very millisecond of its end it is.
Rule 6: what has ended stays ended.
"""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec
from msgspec import Struct

from signer.approvals.request import OPEN, Demand, Ending, Request, State, Vote
from signer.errors import ApprovalClosedError, NotAnApproverError

Act = Literal["spend", "again", "give_back"]
"""What a signing commit does to an approval."""


class Progress(Struct, frozen=True):
    """How far one demand is met."""

    demand: Demand
    approvers: tuple[str, ...]
    """Those that count, in the order of their votes."""

    met_ms: int | None
    """When its quorum was complete."""

    @property
    def missing(self) -> int:
        """So many approvals are needed still."""
        return max(0, self.demand.quorum - len(self.approvers))


def progress_of(request: Request) -> tuple[Progress, ...]:
    """How far each demand is met."""
    return tuple(_progress(demand, request) for demand in request.demands)


def ready_ms(request: Request) -> int | None:
    """From when on it may be done; None while a quorum is missing."""
    ready = request.opened_ms
    for progress in progress_of(request):
        if progress.met_ms is None:
            return None
        ready = max(ready, progress.met_ms + progress.demand.delay_seconds * 1000)
    return ready


def state_of(request: Request, *, now_ms: int) -> State:
    """Where it stands."""
    if request.ending is not None:
        return State(request.ending.value)
    if now_ms >= request.expires_ms:
        return State.EXPIRED
    ready = ready_ms(request)
    if ready is None:
        return State.WAITING
    return State.DELAYED if now_ms < ready else State.APPROVED


def may_vote(request: Request, *, approver: str, groups: Collection[str]) -> bool:
    """Whether anything they say counts: for a person who looks which requests wait for them."""
    return approver != request.requester and any(_is_asked(demand, groups) for demand in request.demands)


def cast(request: Request, vote: Vote) -> Request:
    """The request after this vote. The same vote again changes nothing.

    Raises:
        NotAnApproverError: nobody asked them, or they ask themselves.
        ApprovalClosedError: it has ended.
    """
    if vote.approver == request.requester:
        raise NotAnApproverError(vote.approver, reason="whoever asks never counts as an approver")
    if not may_vote(request, approver=vote.approver, groups=vote.groups):
        wanted = " or ".join(sorted({group for demand in request.demands for group in demand.groups}))
        raise NotAnApproverError(vote.approver, reason=f"approvers of this are members of {wanted}")
    check_open(request, now_ms=vote.cast_ms)
    earlier = next((each for each in request.votes if each.approver == vote.approver), None)
    if earlier is not None and vote.approves:
        return request
    votes = (*(each for each in request.votes if each is not earlier), vote)
    after = msgspec.structs.replace(request, votes=votes)
    return after if vote.approves else end(after, Ending.DENIED, by=vote.approver, now_ms=vote.cast_ms)


def check_open(request: Request, *, now_ms: int) -> None:
    """Raises ApprovalClosedError: it has ended, or its time is over."""
    state = state_of(request, now_ms=now_ms)
    if state not in OPEN:
        raise ApprovalClosedError(request.approval_id.hex(), state=state.value)


def end(request: Request, ending: Ending, *, by: str, now_ms: int) -> Request:
    """The request, ended. Raises ApprovalClosedError: it had ended before."""
    if request.ending is not None:
        raise ApprovalClosedError(request.approval_id.hex(), state=request.ending.value)
    return msgspec.structs.replace(request, ending=ending, ended_ms=now_ms, ended_by=by)


def act_on(request: Request, act: Act, *, now_ms: int) -> Request | None:
    """What a signing commit makes of it; None where it does not fit, and the gate is to look again.

    `spend`: it is approved, and done now. `again`: it was done, and the same request gets the same signature.
    `give_back`: no signature was made, and nobody can have one of it: it is as it was before.
    """
    match act:
        case "spend" if state_of(request, now_ms=now_ms) is State.APPROVED:
            return msgspec.structs.replace(
                request, ending=Ending.SPENT, ended_ms=now_ms, ended_by=request.requester, collections=1
            )
        case "again" if request.ending is Ending.SPENT:
            return msgspec.structs.replace(request, collections=2)
        case "give_back" if request.ending is Ending.SPENT and request.collections == 1:
            return msgspec.structs.replace(request, ending=None, ended_ms=None, ended_by="", collections=0)
        case _:
            return None


def counting_today(request: Request, members: Mapping[str, Collection[str]]) -> Request:
    """The request with the votes of those alone who are members still; `members` are everybody's groups today."""
    votes = [
        msgspec.structs.replace(vote, groups=tuple(group for group in vote.groups if group in today))
        for vote in request.votes
        if (today := members.get(vote.approver)) is not None
    ]
    return msgspec.structs.replace(request, votes=tuple(votes))


def eligible(demand: Demand, *, requester: str, members: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """Everybody who may approve for this demand."""
    return tuple(sorted(name for name, groups in members.items() if name != requester and _is_asked(demand, groups)))


def _progress(demand: Demand, request: Request) -> Progress:
    counted = sorted(
        (
            vote
            for vote in request.votes
            if vote.approves and vote.approver != request.requester and _is_asked(demand, vote.groups)
        ),
        key=lambda vote: (vote.cast_ms, vote.approver),
    )
    met_ms = counted[demand.quorum - 1].cast_ms if len(counted) >= demand.quorum else None
    return Progress(demand, tuple(vote.approver for vote in counted), met_ms)


def _is_asked(demand: Demand, groups: Collection[str]) -> bool:
    return any(group in groups for group in demand.groups)
