"""An in-memory twin of what people do with requests that wait, for the edges."""

import msgspec

from signer.approvals.record import NEWEST, Place
from signer.approvals.request import Demand, Request, SignedStatement, State, Vote
from signer.approvals.rules import progress_of
from signer.approvals.signed_statement import Decision
from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import SignerError, UnknownApprovalError
from signer.eth2.duties import VoluntaryExitDuty
from signer.intent import SignDuty
from signer.operations.review_approvals import Told
from signer.units import Epoch, PublicKey

APPROVAL = b"\xa1" * 16
OPENED_MS = 1_700_000_000_000


class ApprovalsTwin:
    """One request that waits for two people; whoever votes is heard."""

    def __init__(self, public_key: PublicKey) -> None:
        self.error: SignerError | None = None
        self.heard: list[tuple[str, Decision, bytes, SignedStatement | None]] = []
        self.state = State.WAITING
        self.request = Request(
            approval_id=APPROVAL,
            kind="signature",
            request_hash=b"\xb2" * 32,
            policies_hash=b"\xc3" * 32,
            requester="validator-client",
            demands=(Demand("exits", 2, ("custodians",), 0),),
            opened_ms=OPENED_MS,
            expires_ms=OPENED_MS + 86_400_000,
            subject="VOLUNTARY_EXIT",
            public_key=public_key,
            signing_root=b"\xd4" * 32,
            facts=b'{"duty":{"epoch":"7","type":"VOLUNTARY_EXIT"},"payload_hash":"0xd4"}',
            votes=(Vote("ann", ("custodians",), True, OPENED_MS + 1),),
        )

    async def list_requests(
        self, caller: Caller, *, ended_too: bool = False, before: Place = NEWEST
    ) -> tuple[list[Told], Place | None]:
        check_authorized(caller.principal, Action.APPROVALS_READ)
        self._raise()
        first = before == NEWEST
        return ([self._told()] if first else []), (Place(OPENED_MS, APPROVAL) if ended_too and first else None)

    async def show(self, approval_id: bytes, _caller: Caller) -> Told:
        self._check(approval_id)
        return self._told()

    async def vote(
        self,
        approval_id: bytes,
        caller: Caller,
        *,
        decision: Decision,
        request_hash: bytes,
        signed: SignedStatement | None,
    ) -> Told:
        check_authorized(caller.principal, Action.APPROVALS_VOTE)
        self._check(approval_id)
        self.heard.append((caller.principal.name, decision, request_hash, signed))
        return self._told()

    async def cancel(self, approval_id: bytes, caller: Caller) -> Told:
        check_authorized(caller.principal, Action.APPROVALS_CANCEL)
        self._check(approval_id)
        self.state = State.CANCELLED
        return self._told()

    async def content(self, approval_id: bytes, _caller: Caller) -> SignDuty:
        self._check(approval_id)
        return SignDuty(PublicKey(self.request.public_key), VoluntaryExitDuty(Epoch(7), 1), None)

    def _check(self, approval_id: bytes) -> None:
        self._raise()
        if approval_id != APPROVAL:
            raise UnknownApprovalError(approval_id.hex())

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error

    def _told(self) -> Told:
        request = msgspec.structs.replace(self.request)
        return Told(request, self.state, progress_of(request), None)
