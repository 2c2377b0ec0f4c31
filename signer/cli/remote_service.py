"""A running server as a signer that answers commands: one admin route for each question."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from signer.cli.answers import (
    DeletedKeys,
    FrozenKeys,
    ImportedHistory,
    KeyPreferences,
    ListedKey,
    MarksMoved,
    MigratedIn,
    MigratedOut,
    MigrationUndone,
    OrderedKey,
    RowsPruned,
    VerifiedAudit,
)
from signer.cli.connection import Connection
from signer.cli.parcel import Parcel, closed_parcel, split
from signer.cli.policy_service import RemotePolicies
from signer.durable import stream_durably
from signer.errors import UnreachableError
from signer.operations.explain import Explanation, Question
from signer.operations.exporting import ALL, Receipt, Selection
from signer.operations.orders import SetPreferences
from signer.operations.protect import WHOLE, ImportOptions
from signer.operations.read_audit import AuditPage, AuditQuery
from signer.operations.record_orders import MoveWatermarks, PruneRecord
from signer.operations.record_status import RecordStatus

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _OrderAnswer:
    keys: list[OrderedKey]


@dataclass(frozen=True, slots=True)
class _KeysAnswer:
    keys: list[ListedKey]


@dataclass(frozen=True, slots=True)
class _ImportAnswer:
    validators: list[ImportedHistory]


class RemoteService:
    """A running server, over its admin routes (the docstring of `api/admin.py`)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def where(self) -> str:
        """The socket or the URL."""
        return self._connection.where

    @property
    def policies(self) -> RemotePolicies:
        """See `Service.policies`."""
        return RemotePolicies(self._connection)

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
        flags = {"partial": options.partial, "dry_run": options.dry_run, "far_ahead": options.far_ahead}
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

    def tag(self, keys: Sequence[str], *, add: Sequence[str], remove: Sequence[str]) -> list[OrderedKey]:
        """See `Service.tag`."""
        body = {"keys": list(keys), "add": list(add), "remove": list(remove)}
        return self._read(self._connection.post("/admin/keys/tag", msgspec.json.encode(body)), _OrderAnswer).keys

    def release(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.release`."""
        return self._order("/admin/keys/release", keys)

    def migrate_out(self, keys: Sequence[str], parcel: Parcel) -> MigratedOut:
        """See `Service.migrate_out`."""
        body = msgspec.json.encode({"keys": list(keys)})
        receipt, history = split(self._connection.stream("/admin/migration/out", body))
        stream_durably(parcel.history, history, private=True)
        return closed_parcel(receipt, parcel)

    def migrate_in(self, parcel: Parcel, *, signed_by: str | None) -> MigratedIn:
        """See `Service.migrate_in`."""
        query = "?" + urlencode({"signed_by": signed_by}) if signed_by else ""
        with parcel.as_one() as body:
            return self._read(self._connection.post("/admin/migration/in" + query, body), MigratedIn)

    def migrate_undo(self, parcel: Parcel, *, reason: str) -> MigrationUndone:
        """See `Service.migrate_undo`."""
        query = urlencode({"reason": reason, "nothing_else_signs": "true"})
        answer = self._connection.post(f"/admin/migration/undo?{query}", parcel.receipt_text())
        return self._read(answer, MigrationUndone)

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

    def preferences(self, public_key: str) -> KeyPreferences:
        """See `Service.preferences`."""
        return self._read(self._connection.get(f"/admin/keys/preferences/{public_key}"), KeyPreferences)

    def set_preferences(self, order: SetPreferences) -> list[OrderedKey]:
        """See `Service.set_preferences`."""
        body = {
            "keys": ["0x" + key.hex() for key in order.keys],
            "fee_recipient": None if order.fee_recipient is None else "0x" + order.fee_recipient.hex(),
            "gas_limit": None if order.gas_limit is None else str(order.gas_limit),
            "graffiti": order.graffiti,
            "cleared": order.cleared,
        }
        answer = self._connection.post("/admin/keys/preferences", msgspec.json.encode(body))
        return self._read(answer, _OrderAnswer).keys

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
