"""What commands ask of a signer, whoever answers: a running server, or this process where none runs."""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

import msgspec

from signer.auth.principal import OPERATOR, Caller
from signer.cli.connection import Connection
from signer.cli.host import Operations
from signer.cli.parcel import Parcel, split
from signer.durable import stream_durably, write_durably
from signer.errors import ReceiptError, UnreachableError
from signer.operations.explain import Explanation, Question, RecordStatus
from signer.operations.exporting import ALL, Receipt, Selection
from signer.operations.freeze_keys import parse_keys, parse_public_keys, shown
from signer.operations.migration_receipt import read_receipt
from signer.operations.orders import Carried
from signer.operations.protect import WHOLE, ImportOptions
from signer.operations.read_audit import AuditPage, AuditQuery
from signer.operations.record_orders import MoveWatermarks, PruneRecord
from signer.units import PublicKey

T = TypeVar("T")

CALLER = Caller(OPERATOR, address="command line")
"""Who asks where a command works in this process: whoever may open the data directory."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """One key, as the admin route tells it."""

    public_key: str
    namespace: str
    origin: str
    derivation_path: str | None
    quarantined_until_epoch: int | None = None
    """Its votes and blocks before this epoch are refused; None where it does not wait."""

    quarantined_until: str | None = None
    """When that epoch begins, UTC."""


@dataclass(frozen=True, slots=True)
class ToldFloors:
    """The floors of one validator, as the admin route tells them."""

    slot: str | None
    source_epoch: str | None
    target_epoch: str | None
    held: bool


@dataclass(frozen=True, slots=True)
class ImportedHistory:
    """What an import did for one validator, or would do, as the admin route tells it."""

    public_key: str | None
    blocks: int
    attestations: int
    error: str | None
    differing: int = 0
    floors_before: ToldFloors | None = None
    floors_after: ToldFloors | None = None


@dataclass(frozen=True, slots=True)
class VerifiedAudit:
    """A log that verifies, as the admin route tells it."""

    entries: int
    head: str


@dataclass(frozen=True, slots=True)
class MarksMoved:
    """Watermarks or floors by their names, before an order and after it, as the admin route tells them."""

    before: dict[str, int | None]
    after: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class RowsPruned:
    """What was deleted, as the admin route tells it."""

    votes: int
    blocks: int
    more: bool


@dataclass(frozen=True, slots=True)
class OrderedKey:
    """What became of one key of an order, as the admin routes tell it."""

    public_key: str
    """`all` where the order was for every key."""

    status: str
    message: str


@dataclass(frozen=True, slots=True)
class DeletedKeys:
    """A deletion, as the admin route tells it."""

    keys: list[OrderedKey]
    slashing_protection: str
    """An EIP-3076 document."""


@dataclass(frozen=True, slots=True)
class FrozenKey:
    """One frozen key, as the admin route tells it."""

    public_key: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class FrozenKeys:
    """What is frozen, as the admin route tells it."""

    all_since_ms: int | None
    keys: list[FrozenKey]


@dataclass(frozen=True, slots=True)
class MigratedOut:
    """Keys that have left."""

    keys: list[str]
    signed_by: str


@dataclass(frozen=True, slots=True)
class MigratedIn:
    """Keys that have come, as the admin route tells it."""

    keys: list[str]
    signed_by: str
    receipt: str


@dataclass(frozen=True, slots=True)
class _OrderAnswer:
    keys: list[OrderedKey]


@dataclass(frozen=True, slots=True)
class _KeysAnswer:
    keys: list[ListedKey]


@dataclass(frozen=True, slots=True)
class _ImportAnswer:
    validators: list[ImportedHistory]


class Service(Protocol):
    """A signer that answers commands. Every call blocks and raises SignerError."""

    @property
    def where(self) -> str:
        """Who answers, in words."""
        ...

    def keys(self) -> list[ListedKey]:
        """Every loaded key, sorted by public key."""
        ...

    def export_slashing(self, selection: Selection = ALL) -> Iterator[bytes]:
        """The slashing record, or a part of it, as an EIP-3076 document, in pieces."""
        ...

    def slashing_receipt(self) -> Receipt:
        """What every later export holds at least."""
        ...

    def import_slashing(self, file: Path, options: ImportOptions = WHOLE) -> list[ImportedHistory]:
        """Merge an EIP-3076 file into the record."""
        ...

    def freeze(self, keys: Sequence[str]) -> list[OrderedKey]:
        """Sign nothing with these keys any more; what became of each."""
        ...

    def thaw(self, keys: Sequence[str]) -> list[OrderedKey]:
        """Let these keys sign again; what became of each."""
        ...

    def release(self, keys: Sequence[str]) -> list[OrderedKey]:
        """End the wait of these keys; what became of each."""
        ...

    def migrate_out(self, keys: Sequence[str], parcel: Parcel) -> MigratedOut:
        """Sign nothing more with these keys, and write receipt and history."""
        ...

    def migrate_in(self, parcel: Parcel, *, signed_by: str | None) -> MigratedIn:
        """Take over the keys of a receipt."""
        ...

    def frozen(self) -> FrozenKeys:
        """What is frozen."""
        ...

    def delete_keys(self, keys: Sequence[str]) -> DeletedKeys:
        """Destroy these keys; what became of each, and the history of those that are gone."""
        ...

    def allow_keys(self, keys: Sequence[str]) -> list[OrderedKey]:
        """Let deleted keys be brought in again; what became of each."""
        ...

    def verify_audit(self) -> VerifiedAudit:
        """Walk the whole audit log."""
        ...

    def audit_page(self, query: AuditQuery) -> AuditPage:
        """The newest entries that match, from a bounded piece of the log."""
        ...

    def slashing_status(self, *, public_key: bytes | None, after: bytes) -> RecordStatus:
        """What is on record for one key, or for the next keys behind another."""
        ...

    def explain(self, question: Question) -> Explanation:
        """Whether a vote or a block would be signed."""
        ...

    def move_watermarks(self, order: MoveWatermarks, *, far_ahead: bool) -> MarksMoved:
        """Raise low watermarks, set or clear the high one."""
        ...

    def prune(self, order: PruneRecord) -> RowsPruned:
        """Delete old records, for some seconds."""
        ...


class RemoteService:
    """A running server, over its admin routes (the docstring of `api/admin.py`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def where(self) -> str:
        """The socket or the URL."""
        return self._connection.where

    def status(self) -> Mapping[str, Any]:
        """What the server tells of itself: `GET /admin/status`."""
        return self._read(self._connection.get("/admin/status"), dict[str, Any])

    def keys(self) -> list[ListedKey]:
        """See `Service.keys`."""
        return self._read(self._connection.get("/admin/keys"), _KeysAnswer).keys

    def reload(self) -> Mapping[str, Any]:
        """Order a reload of all key files; it runs on after this returns."""
        return self._read(self._connection.post("/admin/reload"), dict[str, Any])

    def reload_status(self) -> Mapping[str, Any]:
        """How the last reload stands: `GET /reload`."""
        return self._read(self._connection.get("/reload"), dict[str, Any])

    def export_slashing(self, selection: Selection = ALL) -> Iterator[bytes]:
        """See `Service.export_slashing`."""
        if selection == ALL:
            return self._connection.stream("/admin/slashing/export")
        keys = None if selection.keys is None else ["0x" + key.hex() for key in selection.keys]
        body = msgspec.json.encode({"keys": keys, "since": selection.since})
        return self._connection.stream("/admin/slashing/export", body)

    def slashing_receipt(self) -> Receipt:
        """See `Service.slashing_receipt`."""
        return self._read(self._connection.get("/admin/slashing/receipt"), Receipt)

    def import_slashing(self, file: Path, options: ImportOptions = WHOLE) -> list[ImportedHistory]:
        """See `Service.import_slashing`."""
        flags = {"partial": options.partial, "dry_run": options.dry_run}
        query = "&".join(f"{name}=true" for name, is_set in flags.items() if is_set)
        with file.open("rb") as body:
            answer = self._connection.post(f"/admin/slashing/import{'?' if query else ''}{query}", body)
        return self._read(answer, _ImportAnswer).validators

    def freeze(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.freeze`."""
        return self._order("/admin/keys/freeze", keys)

    def thaw(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.thaw`."""
        return self._order("/admin/keys/thaw", keys)

    def release(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.release`."""
        return self._order("/admin/keys/release", keys)

    def migrate_out(self, keys: Sequence[str], parcel: Parcel) -> MigratedOut:
        """See `Service.migrate_out`."""
        body = msgspec.json.encode({"keys": list(keys)})
        receipt, history = split(self._connection.stream("/admin/migration/out", body))
        stream_durably(parcel.history, history, private=True)
        return _departed(receipt, parcel)

    def migrate_in(self, parcel: Parcel, *, signed_by: str | None) -> MigratedIn:
        """See `Service.migrate_in`."""
        query = "?" + urlencode({"signed_by": signed_by}) if signed_by else ""
        with parcel.as_one() as body:
            return self._read(self._connection.post("/admin/migration/in" + query, body), MigratedIn)

    def frozen(self) -> FrozenKeys:
        """See `Service.frozen`."""
        return self._read(self._connection.get("/admin/keys/frozen"), FrozenKeys)

    def delete_keys(self, keys: Sequence[str]) -> DeletedKeys:
        """See `Service.delete_keys`."""
        body = msgspec.json.encode({"keys": list(keys)})
        return self._read(self._connection.post("/admin/keys/delete", body), DeletedKeys)

    def allow_keys(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.allow_keys`."""
        return self._order("/admin/keys/allow", keys)

    def _order(self, path: str, keys: Sequence[str]) -> list[OrderedKey]:
        return self._read(self._connection.post(path, msgspec.json.encode({"keys": list(keys)})), _OrderAnswer).keys

    def verify_audit(self) -> VerifiedAudit:
        """See `Service.verify_audit`."""
        return self._read(self._connection.post("/admin/audit/verify"), VerifiedAudit)

    def audit_page(self, query: AuditQuery) -> AuditPage:
        """See `Service.audit_page`."""
        asked = {
            "last": str(query.last),
            "before": None if query.before is None else str(query.before),
            "request_id": query.request_id and query.request_id.hex(),
            "public_key": query.public_key and "0x" + query.public_key.hex(),
        }
        text = urlencode({name: value for name, value in asked.items() if value})
        return self._read(self._connection.get(f"/admin/audit/entries?{text}"), AuditPage)

    def slashing_status(self, *, public_key: bytes | None, after: bytes) -> RecordStatus:
        """See `Service.slashing_status`."""
        asked = {"public_key": public_key, "after": after}
        text = urlencode({name: "0x" + value.hex() for name, value in asked.items() if value})
        return self._read(self._connection.get(f"/admin/slashing/status?{text}"), RecordStatus)

    def explain(self, question: Question) -> Explanation:
        """See `Service.explain`."""
        return self._read(self._connection.get(f"/admin/slashing/explain?{urlencode(question.told())}"), Explanation)

    def move_watermarks(self, order: MoveWatermarks, *, far_ahead: bool) -> MarksMoved:
        """See `Service.move_watermarks`."""
        body = {
            "public_key": order.public_key and "0x" + order.public_key.hex(),
            "low_epoch": order.low_epoch,
            "low_slot": order.low_slot,
            "high_epoch": order.high_epoch,
            "high_slot": order.high_slot,
            "clear_high": order.clear_high,
            "far_ahead": far_ahead,
        }
        return self._read(self._connection.post("/admin/slashing/watermark", msgspec.json.encode(body)), MarksMoved)

    def prune(self, order: PruneRecord) -> RowsPruned:
        """See `Service.prune`."""
        body = {
            "public_key": order.public_key and "0x" + order.public_key.hex(),
            "keep_epochs": order.keep_epochs,
            "keep_slots": order.keep_slots,
        }
        return self._read(self._connection.post("/admin/slashing/prune", msgspec.json.encode(body)), RowsPruned)

    def _read(self, answer: Any, of: type[T]) -> T:
        try:
            return msgspec.convert(answer, of)
        except msgspec.ValidationError as error:
            raise UnreachableError(
                f"{self.where} answers something else than this program expects: {error}",
                remedy="use the `holdfast` of the server's own version",
            ) from error


class LocalService:
    """The operations of a data directory that this process holds. Owned by one command; calls come one at a time."""

    def __init__(self, operations: Operations, runner: asyncio.Runner, *, data_directory: Path) -> None:
        """`runner` is the one whose loop the operations were opened on."""
        self._operations = operations
        self._runner = runner
        self._data_directory = data_directory

    @property
    def where(self) -> str:
        """The data directory."""
        return f"{self._data_directory} (no server is running)"

    def keys(self) -> list[ListedKey]:
        """See `Service.keys`."""
        waits = {one.public_key: one for one in self._runner.run(self._operations.custody.quarantine.waits(CALLER))}
        return [
            ListedKey(
                "0x" + key.public_key.hex(),
                key.namespace,
                str(key.origin),
                key.derivation_path,
                None if (wait := waits.get(key.public_key)) is None else wait.until_epoch,
                None if wait is None else wait.until,
            )
            for key in self._operations.keys.describe_keys(CALLER)
        ]

    def export_slashing(self, selection: Selection = ALL) -> Iterator[bytes]:
        """See `Service.export_slashing`."""
        return self._operations.protection.export_interchange(CALLER, selection)

    def slashing_receipt(self) -> Receipt:
        """See `Service.slashing_receipt`."""
        return self._runner.run(self._operations.protection.receipt(CALLER))

    def import_slashing(self, file: Path, options: ImportOptions = WHOLE) -> list[ImportedHistory]:
        """See `Service.import_slashing`."""
        done = self._runner.run(self._operations.protection.import_interchange(file, CALLER, options))
        return [msgspec.convert(each.told(), ImportedHistory) for each in done]

    def freeze(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.freeze`."""
        return _ordered(self._runner.run(self._operations.freezing.freeze(parse_keys(keys), CALLER)))

    def thaw(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.thaw`."""
        return _ordered(self._runner.run(self._operations.freezing.thaw(parse_keys(keys), CALLER)))

    def release(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.release`."""
        return _ordered(self._runner.run(self._operations.custody.quarantine.release(parse_keys(keys), CALLER)))

    def migrate_out(self, keys: Sequence[str], parcel: Parcel) -> MigratedOut:
        """See `Service.migrate_out`."""
        named = [key for key in parse_keys(keys) if key] or None
        migration = self._operations.custody.migration
        return _departed(self._runner.run(migration.leave(named, CALLER, into=parcel.history)).receipt, parcel)

    def migrate_in(self, parcel: Parcel, *, signed_by: str | None) -> MigratedIn:
        """See `Service.migrate_in`."""
        migration = self._operations.custody.migration
        arrived = migration.arrive(parcel.receipt_text(), parcel.history, CALLER, signed_by=signed_by)
        done = self._runner.run(arrived)
        return MigratedIn(["0x" + key.hex() for key in done.keys], done.signed_by, done.receipt)

    def frozen(self) -> FrozenKeys:
        """See `Service.frozen`."""
        frozen = self._runner.run(self._operations.freezing.frozen(CALLER))
        return FrozenKeys(frozen.all_since_ms, [FrozenKey(shown(key.public_key), key.since_ms) for key in frozen.keys])

    def delete_keys(self, keys: Sequence[str]) -> DeletedKeys:
        """See `Service.delete_keys`."""
        done = self._runner.run(self._operations.key_manager.delete_keys(parse_public_keys(keys), CALLER))
        return DeletedKeys(_ordered(done.keys), done.interchange.decode())

    def allow_keys(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.allow_keys`."""
        return _ordered(self._runner.run(self._operations.key_manager.allow_keys(parse_public_keys(keys), CALLER)))

    def verify_audit(self) -> VerifiedAudit:
        """See `Service.verify_audit`."""
        report = self._runner.run(self._operations.verify_audit(CALLER))
        return VerifiedAudit(report.entries, "0x" + report.head.hex())

    def audit_page(self, query: AuditQuery) -> AuditPage:
        """See `Service.audit_page`."""
        return self._runner.run(self._operations.read_audit(query, CALLER))

    def slashing_status(self, *, public_key: bytes | None, after: bytes) -> RecordStatus:
        """See `Service.slashing_status`."""
        key = None if public_key is None else PublicKey(public_key)
        return self._runner.run(self._operations.explaining.status(CALLER, public_key=key, after=after))

    def explain(self, question: Question) -> Explanation:
        """See `Service.explain`."""
        return self._runner.run(self._operations.explaining.explain(question, CALLER))

    def move_watermarks(self, order: MoveWatermarks, *, far_ahead: bool) -> MarksMoved:
        """See `Service.move_watermarks`."""
        moved = self._runner.run(self._operations.keeping.move(order, CALLER, far_ahead=far_ahead))
        return MarksMoved(moved.before, moved.after)

    def prune(self, order: PruneRecord) -> RowsPruned:
        """See `Service.prune`."""
        done = self._runner.run(self._operations.keeping.prune(order, CALLER))
        return RowsPruned(done.votes, done.blocks, done.more)


def _departed(text: bytes, parcel: Parcel) -> MigratedOut:
    """Read what was written before it counts: a receipt that fits the history, last of all. Raises ReceiptError."""
    claims = read_receipt(text).claims
    with parcel.history.open("rb") as history:
        if hashlib.file_digest(history, "sha256").hexdigest() != claims.interchange_sha256:
            raise ReceiptError("the history did not arrive whole; give the same command again")
    write_durably(parcel.receipt, text + b"\n", private=True)
    return MigratedOut([one.public_key for one in claims.keys], claims.signed_by)


def _ordered(carried: Sequence[Carried]) -> list[OrderedKey]:
    return [OrderedKey(shown(each.public_key), each.status, each.message) for each in carried]
