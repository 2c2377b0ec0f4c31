"""Approvals in the signing commit: spent once, by the one request they were given for, and by nobody else.

Rule 1: what the gate has found is judged again here. Where it does not hold any more, nobody signs, and the gate looks
again: the answer is then what holds.
Rule 2: an approval's row is locked before it is read, where others write the same database.
"""

from collections.abc import Sequence

from msgspec import Struct

from signer.approvals.record import lock_requests, read_requests, write_act
from signer.approvals.request import Request
from signer.approvals.rules import Act, act_on
from signer.errors import ApprovalChangedError
from signer.journal.ledger import Transaction


class ApprovalClaim(Struct, frozen=True):
    """What one command does to an approval."""

    approval_id: bytes
    request_hash: bytes
    policies_hash: bytes
    at_ms: int
    """The request's time, in milliseconds since the Unix epoch."""

    act: Act = "spend"


class ApprovalFacts(Struct):
    """The approvals of a batch, with what its earlier claims have done to them."""

    requests: dict[bytes, Request]
    touched: list[bytes]


class ApprovalLedger:
    """Judges and spends approvals. Stateless: owned by the writer."""

    claim_type = ApprovalClaim

    def __init__(self, *, writes: bool = True) -> None:
        """`writes`: False for a single question beside the writer."""
        self._writes = writes

    def load(self, transaction: Transaction, claims: Sequence[ApprovalClaim]) -> ApprovalFacts:
        """Every approval that the batch names."""
        wanted = sorted({claim.approval_id for claim in claims})
        if self._writes:
            lock_requests(transaction, wanted)
        return ApprovalFacts({each.approval_id: each for each in read_requests(transaction, wanted)}, [])

    def judge(self, claim: ApprovalClaim, facts: ApprovalFacts) -> bool:
        """True where it is spent, given out a second time, or given back; False where it was given out often before.

        Raises:
            ApprovalChangedError: it is not what the gate has found.
        """
        request = facts.requests.get(claim.approval_id)
        after = None if request is None else _after(request, claim)
        if request is None or after is None:
            raise ApprovalChangedError(claim.approval_id.hex())
        return after != request

    def accept(self, claim: ApprovalClaim, facts: ApprovalFacts) -> None:
        """Later claims of the batch find it as this one leaves it."""
        after = _after(facts.requests[claim.approval_id], claim)
        if after is not None:
            facts.requests[claim.approval_id] = after
            facts.touched.append(claim.approval_id)

    def store(self, transaction: Transaction, facts: ApprovalFacts) -> None:
        """What has changed."""
        for approval_id in dict.fromkeys(facts.touched):
            write_act(transaction, facts.requests[approval_id])


def _after(request: Request, claim: ApprovalClaim) -> Request | None:
    if request.request_hash != claim.request_hash or request.policies_hash != claim.policies_hash:
        return None
    return act_on(request, claim.act, now_ms=claim.at_ms)
