"""The gate's step for what policies hold: is it approved, and if not, it waits for people.

Rule 1: an approval fits one request by one principal under the same policies with the same demands, and nothing else.
Rule 2: what is found here is judged again in the commit (`approvals/ledger.py`).
Rule 3: nobody is asked in vain: where too few could approve, or nobody knows who asks, it is refused at once.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from msgspec import Struct

from signer.approvals.in_words import demand_words, missing_words
from signer.approvals.ledger import ApprovalClaim
from signer.approvals.record import read_by_hash
from signer.approvals.request import OPEN, Demand, Ending, Kind, Request, State
from signer.approvals.rules import Act, counting_today, eligible, progress_of, ready_ms, state_of
from signer.auth.approvers import Approvers
from signer.auth.principal import ANONYMOUS, Caller
from signer.clock import Clock
from signer.errors import ApprovalClosedError, ApprovalDeniedError, ApprovalRequiredError, Evidence, UnapprovableError
from signer.journal.reader import Reading
from signer.operations.approval_orders import ApprovalOrders, OpenRequest, Waits
from signer.operations.reading import read_record


class Hold(Struct, frozen=True):
    """What is held, and what it takes."""

    kind: Kind
    request_hash: bytes
    policies_hash: bytes
    revision: int
    """Of the policies that hold it."""

    demands: tuple[Demand, ...]
    lifetime_seconds: int
    subject: str
    facts: bytes
    content: bytes
    public_key: bytes = b""
    signing_root: bytes = b""


class HeldRequests:
    """One for the life of a process; reads beside the writer."""

    def __init__(self, *, orders: ApprovalOrders, reading: Reading, clock: Clock, approvers: Approvers) -> None:
        self._orders = orders
        self._reading = reading
        self._clock = clock
        self._approvers = approvers

    async def admit(self, hold: Hold, caller: Caller, *, opens: bool = True) -> ApprovalClaim:
        """The claim that the signing command carries, where enough have approved.

        Args:
            hold: what is asked for.
            caller: who asks; where they collect an approval, that one counts and no other.
            opens: False where nothing will be signed: then nothing is opened either.

        Raises:
            ApprovalRequiredError: it waits; the evidence says for whom.
            ApprovalDeniedError: somebody has said no.
            ApprovalClosedError: what they collect has ended, or was given under other policies.
            UnapprovableError, TooManyApprovalsError.
            PolicyChangedError: other policies hold by now, and nothing was opened: ask those.
            StartupError, UnavailableError.
        """
        known = await asyncio.to_thread(
            read_record, self._reading, partial(read_by_hash, request_hash=hold.request_hash)
        )
        fitting = [each for each in known if each.policies_hash == hold.policies_hash and each.demands == hold.demands]
        if caller.collects:
            fitting = [each for each in fitting if each.approval_id == caller.collects]
        if (claim := self._claim_of(fitting)) is not None:
            return claim
        if caller.collects:
            self._check_collects(caller.collects, known, fitting)
        self._check_can_be_approved(hold, caller)
        waiting = next((each for each in fitting if each.ending is None), None)
        if waiting is not None and state_of(waiting, now_ms=self._now_ms()) is not State.EXPIRED:
            raise self._required(waiting)
        if not opens:
            raise ApprovalRequiredError(
                f"this is signed once people have approved it: {_in_words(hold.demands)}",
                evidence={"state": "not asked yet", "missing": _in_words(hold.demands)},
            )
        raise self._required(await self._open(hold, caller))

    def _claim_of(self, fitting: Sequence[Request]) -> ApprovalClaim | None:
        now_ms = self._now_ms()
        for request in fitting:
            if request.ending is Ending.SPENT:
                return _claim(request, at_ms=now_ms, again=True)
        for request in fitting:
            if request.ending is Ending.DENIED and now_ms < request.expires_ms:
                raise ApprovalDeniedError(
                    request.approval_id.hex(), denied_by=request.ended_by, until_ms=request.expires_ms
                )
            today = counting_today(request, self._approvers.members)
            if state_of(today, now_ms=now_ms) is State.APPROVED:
                return _claim(request, at_ms=now_ms, again=False)
        return None

    def _check_collects(self, approval_id: bytes, known: Sequence[Request], fitting: Sequence[Request]) -> None:
        """Raises ApprovalClosedError: nothing is to be had of this approval any more, whoever says yes."""
        found = next((each for each in known if each.approval_id == approval_id), None)
        state = State.VOID if found is None else state_of(found, now_ms=self._now_ms())
        if state in OPEN and not fitting:
            state = State.VOID
        if state not in OPEN:
            raise ApprovalClosedError(approval_id.hex(), state=state.value)

    async def _open(self, hold: Hold, caller: Caller) -> Request:
        order = OpenRequest(
            hold.kind,
            hold.request_hash,
            hold.policies_hash,
            hold.revision,
            hold.demands,
            hold.lifetime_seconds,
            hold.subject,
            hold.public_key,
            hold.signing_root,
            hold.facts,
            hold.content,
        )
        answer = await self._orders.carry_out(order, caller)
        if not isinstance(answer, Waits):
            raise TypeError("an order to open a request is answered with the request")
        return answer.request

    def _check_can_be_approved(self, hold: Hold, caller: Caller) -> None:
        requester = caller.principal.name
        if requester == ANONYMOUS.name:
            raise UnapprovableError(
                "this needs approval, and nobody knows who asks for it: who asks could approve it too",
                evidence={
                    "missing": _in_words(hold.demands),
                    "remedy": "ask as a principal of security.principals, with its token or certificate",
                },
            )
        for demand in hold.demands:
            who = eligible(demand, requester=requester, members=self._approvers.members)
            if len(who) < demand.quorum:
                raise UnapprovableError(
                    f"{demand_words(demand)}, and the configuration has {len(who)} of them besides who asks",
                    evidence={
                        "policy": demand.policy,
                        "quorum": demand.quorum,
                        "approvers": ", ".join(who) or None,
                        "remedy": "name more members of these groups in security.principals (groups: [...])",
                    },
                )

    def _required(self, request: Request) -> ApprovalRequiredError:
        now_ms = self._now_ms()
        today = counting_today(request, self._approvers.members)
        state = state_of(today, now_ms=now_ms)
        words = "it waits for people" if state is State.WAITING else f"its approval is {state.value}"
        return ApprovalRequiredError(
            f"this is {'signed' if request.kind == 'signature' else 'done'} once people have approved it; {words}:"
            f" approval {request.approval_id.hex()}",
            evidence=evidence_of(today, state=state),
        )

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


def evidence_of(request: Request, *, state: State) -> Evidence:
    """What whoever asks is told of a request that waits."""
    ready = ready_ms(request)
    return {
        "approval": request.approval_id.hex(),
        "state": state.value,
        "request_hash": "0x" + request.request_hash.hex(),
        "missing": missing_words(progress_of(request)) or None,
        "ready_at": None if ready is None else moment_of(ready),
        "until": moment_of(request.expires_ms),
    }


def moment_of(milliseconds: int) -> str:
    """A moment in UTC, to the second, for people."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def _claim(request: Request, *, at_ms: int, again: bool) -> ApprovalClaim:
    act: Act = "again" if again else "spend"
    return ApprovalClaim(request.approval_id, request.request_hash, request.policies_hash, at_ms, act)


def _in_words(demands: Sequence[Demand]) -> str:
    return "; ".join(demand_words(each) for each in demands)
