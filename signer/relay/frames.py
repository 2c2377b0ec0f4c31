"""What the main process and a worker say to each other: each message an array in MessagePack, its number first.

Rule 1: both ends are one program, the worker is exec'd by the main process: one VERSION, and nothing to negotiate.
Rule 2: shapes are checked before anything is done with a message; one that does not fit ends its link.
Rule 3: what becomes an argument of the record (claims, stories) is spelled out field by field, in `command_rows.py`.
"""

from typing import Annotated

from msgspec import Meta, Struct

from signer.crypto.secret import STARS
from signer.operations.orders import Carried, Order
from signer.operations.record_orders import RecordAnswer, RecordOrder
from signer.relay.approval_orders import ApprovalOrderDone, AskApprovalOrder
from signer.relay.command_rows import CommandRow, ProblemRow
from signer.relay.policy_orders import AskPolicyOrder, PolicyOrderDone
from signer.units import PublicKey, Root

VERSION = 4
"""Of these messages; the worker refuses a welcome of another one."""

_PublicKey = Annotated[PublicKey, Meta(min_length=48, max_length=48)]
_Root = Annotated[Root, Meta(min_length=32, max_length=32)]
_RequestId = Annotated[bytes, Meta(min_length=8, max_length=8)]
_Uint64 = Annotated[int, Meta(ge=0)]  # MessagePack has no larger integers
_Name = Annotated[str, Meta(max_length=64)]


# --- parts ---------------------------------------------------------------------------------------


class KeyRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False):
    """A Key, secret and all: the reader wipes `secret` once it is in a SecretKey."""

    public_key: _PublicKey
    secret: bytearray
    origin: str
    source_file: str
    derivation_path: str | None
    namespace: str

    def __repr__(self) -> str:
        return f"KeyRow({STARS})"


class SourceRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A SourceHealth."""

    source: str
    keys_loaded: int
    error_count: int


class FloorsRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The Floors of a validator."""

    slot: _Uint64 | None
    source_epoch: _Uint64 | None
    target_epoch: _Uint64 | None
    held: bool


class ValidatorRow(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An ImportedValidator."""

    public_key: _PublicKey | None
    blocks: int
    attestations: int
    error: str | None
    differing: int
    floors_before: FloorsRow | None
    floors_after: FloorsRow | None
    ends_quarantine: bool


# --- a worker says -------------------------------------------------------------------------------


class Ready(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=1):
    """It is built and would listen."""


class Serving(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=2):
    """It listens."""


class Commands(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=3):
    """All that one turn of its event loop wants on record."""

    commands: list[CommandRow]


class AskState(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=4):
    """How are the loads of keys and the journal? Answered by StateIs."""

    number: _Uint64


class AskReload(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=5):
    """Begin to load keys. Answered by Done or Failed."""

    number: _Uint64


class AskImport(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=6):
    """Merge an EIP-3076 document, a file of the data directory. Answered by Imported or Failed."""

    number: _Uint64
    file_name: str
    principal: _Name
    request_id: _RequestId
    partial: bool
    dry_run: bool
    far_ahead: bool


class KeysTaken(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=7):
    """The answer to Keys: it serves them."""

    number: _Uint64


class AskRecordOrder(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=11):
    """Carry an operator's order about the slashing record out. Answered by RecordOrderDone or Failed."""

    number: _Uint64
    order: RecordOrder
    principal: _Name
    request_id: _RequestId


class Counted(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=8):
    """The answer to AskTallies; telemetry knows what is in it."""

    number: _Uint64
    tallies: bytes


class Lines(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=9):
    """Finished log lines with their levels."""

    lines: list[tuple[int, str]]


class AskOrder(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=10):
    """Carry an order out; the caller's right to it was judged by the worker. Answered by OrderCarried or Failed."""

    number: _Uint64
    order: Order
    principal: _Name
    request_id: _RequestId


FromWorker = (
    Ready
    | Serving
    | Commands
    | AskState
    | AskReload
    | AskImport
    | AskRecordOrder
    | KeysTaken
    | Counted
    | Lines
    | AskOrder
    | AskPolicyOrder
    | AskApprovalOrder
)


# --- the main process says -----------------------------------------------------------------------


class SharedHome(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """How a worker reads a record that several signers share."""

    address: str
    """With its password."""

    database_id: bytes
    web3signer_schema: str
    instance: bytes

    def __repr__(self) -> str:
        return f"SharedHome({STARS})"


class Welcome(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=1):
    """The first message: everything that a worker is built from.

    The configuration is the one that the main process runs with, and not read again: a worker that is started anew next
    month must not differ from its neighbours because somebody has edited a file since.
    """

    version: int
    program: str
    """The program's version."""

    config: bytes
    """`config/passing_on.py` knows what is in it."""

    network: bytes
    pinned: _Root | None
    shared: SharedHome | None = None
    """None where the record is in the data directory."""

    def __repr__(self) -> str:
        return f"Welcome({STARS})"


class Serve(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=2):
    """Listen now. Said to all at once, so that the first connections are shared out evenly."""


class Verdicts(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=3):
    """Receipts (number, repeat, audit index) and refusals, for a whole batch."""

    receipts: list[tuple[int, bool, int]]
    refusals: list[tuple[int, ProblemRow]]


class StateIs(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=4):
    """The answer to AskState."""

    number: int
    reload_status: str
    last_operation_time: float | None
    last_error: str | None
    sources: list[SourceRow]
    journal_healthy: bool
    journal: dict[str, str | int | float | None]


class Done(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=5):
    """The answer to AskReload."""

    number: int


class Imported(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=6):
    """The answer to AskImport."""

    number: int
    validators: list[ValidatorRow]


class RecordOrderDone(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=14):
    """The answer to AskRecordOrder."""

    number: int
    answer: RecordAnswer


class Failed(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=7):
    """The answer to a question that raised an error."""

    number: int
    problem: ProblemRow


class Keys(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=8):
    """Serve these keys and no others from now on."""

    number: int
    keys: list[KeyRow]


class Complete(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=12):
    """Every worker serves the keys: whoever asks one whether it is ready may turn to another."""


class AskTallies(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=9):
    """What have you counted?"""

    number: int


class Pinned(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=10):
    """The record belongs to this chain from now on."""

    genesis_validators_root: _Root


class Stop(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=11):
    """Finish what is under way within the grace, then end."""


class OrderCarried(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=13):
    """The answer to AskOrder."""

    number: int
    carried: tuple[Carried, ...]


FromMain = (
    Welcome
    | Serve
    | Verdicts
    | StateIs
    | Done
    | Imported
    | RecordOrderDone
    | Failed
    | Keys
    | Complete
    | AskTallies
    | Pinned
    | Stop
    | OrderCarried
    | PolicyOrderDone
    | ApprovalOrderDone
)
