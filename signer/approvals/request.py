"""A request that waits for people, and what they have said so far."""

from enum import StrEnum
from typing import Literal

from msgspec import Struct

APPROVAL_ID_BYTES = 16
HASH_BYTES = 32

Kind = Literal["signature", "policy_change"]
"""What waits: a signature, or a change of the policies themselves."""


class Ending(StrEnum):
    """How a request has ended, for good."""

    SPENT = "spent"
    """It was approved, and done."""

    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    VOID = "void"
    """The policies that asked for it, or what they ask for, have changed."""


class State(StrEnum):
    """Where a request stands at a moment: one of its endings, or one of these."""

    WAITING = "waiting"
    """For approvals."""

    DELAYED = "delayed"
    """Approved by enough; until the delay is over anybody of them may still deny."""

    APPROVED = "approved"
    """It can be done now."""

    SPENT = "spent"
    DENIED = "denied"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    VOID = "void"


OPEN = frozenset({State.WAITING, State.DELAYED, State.APPROVED})


class Demand(Struct, frozen=True, order=True, array_like=True, forbid_unknown_fields=True):
    """What one policy demands. Several add up, and each is to be met."""

    policy: str
    quorum: int
    groups: tuple[str, ...]
    """Approvers are members of at least one of them. Alphabetical, each once."""

    delay_seconds: int
    """Counted from the vote that completed the quorum."""


class SignedStatement(Struct, frozen=True, forbid_unknown_fields=True):
    """An approver's own signature over what they said."""

    algorithm: Literal["ed25519"]
    """Others may be added: WebAuthn's would sign the text's hash as their challenge."""

    statement: str
    """The signed text, as it is."""

    public_key: str
    signature: str
    """Both in hexadecimal, with 0x."""


class Vote(Struct, frozen=True):
    """What one approver said. Whoever approves may deny later, which ends the request; nothing else is taken back."""

    approver: str
    groups: tuple[str, ...]
    """The approver's, when they said it. Alphabetical."""

    approves: bool
    cast_ms: int
    signed: SignedStatement | None = None


class Request(Struct, frozen=True):
    """A request that waits, or has waited, for people. Times are milliseconds since the Unix epoch."""

    approval_id: bytes
    kind: Kind
    request_hash: bytes
    """Of exactly one request by one principal; see `hashes.py`."""

    policies_hash: bytes
    """Of every policy that was asked, with its version."""

    requester: str
    demands: tuple[Demand, ...]
    """Alphabetical."""

    opened_ms: int
    expires_ms: int
    """From then on neither approved nor done any more."""

    subject: str = ""
    """The signing type, or what is changed."""

    public_key: bytes = b""
    signing_root: bytes = b""
    facts: bytes = b"{}"
    """What approvers are shown: JSON, decoded from what will be signed."""

    votes: tuple[Vote, ...] = ()
    """In the order of their time."""

    ending: Ending | None = None
    ended_ms: int | None = None
    ended_by: str = ""
    collections: int = 0
    """How often its signature was given out: 0, 1, or 2 for more than once."""
