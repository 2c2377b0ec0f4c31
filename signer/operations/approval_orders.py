"""What is ordered of requests that wait for people: carried out by the process that keeps the record.

An order is checked (who may, and that a statement is theirs) where it arrives; the worker processes pass it on as it
is. Each is one transaction with its audit entry.
"""

from typing import Annotated, Protocol

from msgspec import Meta, Struct

from signer.approvals.request import APPROVAL_ID_BYTES, HASH_BYTES, Demand, Kind, Request, SignedStatement
from signer.auth.principal import Caller
from signer.crypto.secret import STARS

ApprovalId = Annotated[bytes, Meta(min_length=APPROVAL_ID_BYTES, max_length=APPROVAL_ID_BYTES)]
Revision = Annotated[int, Meta(ge=0)]
"""Of the policies on record; 0 where there never were any."""

Hash = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]


class OpenRequest(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Let this wait for people, unless it waits already. One that waits on other policies' demand is void then."""

    kind: Kind
    request_hash: Hash
    policies_hash: Hash
    revision: Revision
    """Of the policies that demand this: at another one they are asked again."""

    demands: tuple[Demand, ...]
    lifetime_seconds: Annotated[int, Meta(ge=1)]
    subject: str
    public_key: bytes
    signing_root: bytes
    facts: bytes
    content: bytes
    """The request itself: sealed before it is written."""

    def __repr__(self) -> str:
        return f"OpenRequest({self.subject}, {STARS})"


class CastVote(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """What the caller says of a request."""

    approval_id: ApprovalId
    request_hash: Hash
    """Of what they have looked at: another one's is refused."""

    approves: bool
    groups: tuple[str, ...]
    revision: Revision
    """Of the policies under which the request was found to stand: at another one the caller looks again."""

    signed: SignedStatement | None = None
    void: str = ""
    """Why the request was found to be void at that revision: then the vote is refused, and that is on record."""


class CancelRequest(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """Take a request back."""

    approval_id: ApprovalId


class ReadContent(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """What was asked for: unsealed, for the gate that walks it again."""

    approval_id: ApprovalId


ApprovalOrder = OpenRequest | CastVote | CancelRequest | ReadContent


class Waits(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """The request as it stands after an order."""

    request: Request


class Content(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """What was asked for."""

    content: bytes

    def __repr__(self) -> str:
        return f"Content({STARS})"


ApprovalAnswer = Waits | Content


class ApprovalOrders(Protocol):
    """Where orders are carried out: by the writer here, or at the other end of a worker's link.

    Durable when it returns. May be called in parallel; does not retry; asks nobody who the caller is.
    """

    async def carry_out(self, order: ApprovalOrder, caller: Caller) -> ApprovalAnswer:
        """Waits for each order but ReadContent, whose answer is Content.

        Raises:
            UnknownApprovalError, ApprovalClosedError, NotAnApproverError, WrongRequestError: nothing was changed.
            PolicyChangedError: nor here, for another revision of the policies holds: look again.
            TooManyApprovalsError: as many of this principal's requests wait as may.
            ElsewhereError: another signer has sealed it.
            JournalDownError, OutcomeUnknownError.
        """
        ...
