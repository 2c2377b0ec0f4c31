"""Commands as they travel from a worker to the main process: claims and stories, field by field, and refusals back.

What becomes an argument of the record is spelled out here; `commands.py` and `policy_claims.py` make and read the rows.
"""

from typing import Annotated

from msgspec import Meta, Struct

from signer.relay.approval_orders import ApprovalRow
from signer.units import PublicKey, Root

_Bytes48 = Annotated[bytes, Meta(min_length=48, max_length=48)]
_Bytes20 = Annotated[bytes, Meta(min_length=20, max_length=20)]
_Bytes32 = Annotated[bytes, Meta(min_length=32, max_length=32)]
_PublicKey = Annotated[PublicKey, Meta(min_length=48, max_length=48)]
_Root = Annotated[Root, Meta(min_length=32, max_length=32)]
_RequestId = Annotated[bytes, Meta(min_length=8, max_length=8)]
_Uint64 = Annotated[int, Meta(ge=0)]  # MessagePack has no larger integers
_Name = Annotated[str, Meta(max_length=64)]
_Amount = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,77})\Z")]


class ProblemRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A SignerError: everything that the API and the audit log tell of it."""

    code: _Name
    sentence: str
    evidence: dict[str, str | int | None]
    of_policy: bool = False
    """True where the code is a policy's own: it names no class of ours, whatever it is."""


class VoteRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False, tag=1):
    """An AttestationClaim."""

    public_key: _PublicKey
    source_epoch: _Uint64
    target_epoch: _Uint64
    signing_root: _Root


class ProposalRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False, tag=2):
    """A BlockClaim."""

    public_key: _PublicKey
    slot: _Uint64
    signing_root: _Root


class ChainRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False, tag=3):
    """A NetworkClaim."""

    genesis_validators_root: _Root


class KeyUseRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False, tag=4):
    """A KeyUseClaim."""

    public_key: _PublicKey
    epoch: _Uint64 | None


class ProofRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """A BodyProof."""

    index: _Uint64
    branch: tuple[_Bytes32, ...]
    body_root: _Root


class PreferenceRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False, tag=5):
    """A PreferenceClaim."""

    public_key: _PublicKey
    fee_recipient: _Bytes20 | None
    gas_limit: _Uint64 | None
    proof: ProofRow | None
    default_fee_recipient: _Bytes20 | None
    default_gas_limit: _Uint64 | None


class PolicySetRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False, tag=6):
    """A PolicySetClaim."""

    revision: _Uint64


class CounterRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A CounterId."""

    policy: str
    counter: str
    window_seconds: _Uint64


class SpendRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=1):
    """A Spend. Amounts have up to 256 bits, which MessagePack has no integers for: they travel in decimal."""

    counter: CounterRow
    amount: _Amount
    limit: _Amount


class GiveBackRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=2):
    """A GiveBack."""

    counter: CounterRow
    amount: _Amount


class SeenRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=3):
    """A Seen."""

    counter: CounterRow
    spent: _Amount


class SpendingRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=7):
    """A CounterClaim."""

    at_seconds: _Uint64
    acts: tuple[SpendRow | GiveBackRow | SeenRow, ...]


ClaimRow = VoteRow | ProposalRow | ChainRow | KeyUseRow | PreferenceRow | PolicySetRow | SpendingRow | ApprovalRow


class DutyRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False, tag=1):
    """A DutyStory."""

    principal: _Name
    request_id: _RequestId
    public_key: _Bytes48
    duty: _Name
    lower: _Uint64
    upper: _Uint64
    signing_root: _Bytes32
    time_ms: _Uint64
    refused_as: ProblemRow | None
    note: str
    kept: Annotated[bytes, Meta(max_length=32)] = b""


class ExtensionRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False, tag=2):
    """An ExtensionStory."""

    principal: _Name
    request_id: _RequestId
    public_key: _Bytes48
    duty: _Name
    timestamp: _Uint64
    platform: str
    digest: _Bytes32
    time_ms: _Uint64
    refused_as: ProblemRow | None
    note: str
    kept: Annotated[bytes, Meta(max_length=32)] = b""


class NoteRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False, tag=3):
    """A NoteStory."""

    kind: _Uint64
    time_ms: _Uint64
    note: str
    principal: _Name
    request_id: _RequestId
    public_key: Annotated[bytes, Meta(max_length=48)]
    code: _Name


class KeptRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """A Keepsake."""

    body: bytes
    public_key: _Bytes48
    time_ms: _Uint64
    code: _Name


class CommandRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """A Command under the number that its verdict will carry."""

    number: _Uint64
    claims: tuple[ClaimRow, ...]
    story: DutyRow | ExtensionRow | NoteRow
    kept: KeptRow | None = None
