"""This process as a signer that answers commands, where no server runs."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from signer.auth.principal import OPERATOR, Caller
from signer.cli.answers import (
    DeletedKeys,
    FrozenGroup,
    FrozenKey,
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
from signer.cli.host import Operations
from signer.cli.parcel import Parcel, closed_parcel
from signer.cli.policy_service import LocalPolicies
from signer.operations.explain import Explanation, Question
from signer.operations.exporting import ALL, Receipt, Selection
from signer.operations.freeze_keys import (
    parse_keys,
    parse_public_key,
    parse_public_keys,
    parse_targets,
    shown,
    target_of,
    why_silent,
)
from signer.operations.orders import Carried, SetPreferences
from signer.operations.protect import WHOLE, ImportOptions
from signer.operations.read_audit import AuditPage, AuditQuery
from signer.operations.record_orders import MoveWatermarks, PruneRecord
from signer.operations.record_status import RecordStatus
from signer.operations.tag_keys import tag_order
from signer.units import PublicKey

CALLER = Caller(OPERATOR, address="command line")
"""Who asks: whoever may open the data directory."""


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

    @property
    def policies(self) -> LocalPolicies:
        """See `Service.policies`."""
        return LocalPolicies(self._operations, self._runner)

    def keys(self) -> list[ListedKey]:
        """See `Service.keys`."""
        tags = self._runner.run(self._operations.custody.tagging.tags(CALLER))
        waits = {one.public_key: one for one in self._runner.run(self._operations.custody.quarantine.waits(CALLER))}
        silent = self._runner.run(self._operations.freezing.why_silent(CALLER))
        described = self._operations.keys.describe_keys(CALLER)
        named = [key.public_key for key in described]
        newcomers = self._runner.run(self._operations.custody.quarantine.newcomers(named, CALLER))
        return [
            ListedKey(
                "0x" + key.public_key.hex(),
                key.namespace,
                str(key.origin),
                key.derivation_path,
                None if (wait := waits.get(key.public_key)) is None else wait.until_epoch,
                None if wait is None else wait.until,
                tags.get(key.public_key, ()),
                why_silent(silent, key.public_key),
                key.public_key in newcomers,
            )
            for key in described
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
        return _ordered(self._runner.run(self._operations.freezing.freeze(parse_targets(keys), CALLER)))

    def thaw(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.thaw`."""
        return _ordered(self._runner.run(self._operations.freezing.thaw(parse_targets(keys), CALLER)))

    def tag(self, keys: Sequence[str], *, add: Sequence[str], remove: Sequence[str]) -> list[OrderedKey]:
        """See `Service.tag`."""
        order = tag_order(parse_public_keys(keys), add=add, remove=remove)
        return _ordered(self._runner.run(self._operations.custody.tagging.tag(order, CALLER)))

    def release(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.release`."""
        return _ordered(self._runner.run(self._operations.custody.quarantine.release(parse_keys(keys), CALLER)))

    def migrate_out(self, keys: Sequence[str], parcel: Parcel) -> MigratedOut:
        """See `Service.migrate_out`."""
        named = [key for key in parse_keys(keys) if key] or None
        migration = self._operations.custody.migration
        return closed_parcel(self._runner.run(migration.leave(named, CALLER, into=parcel.history)).receipt, parcel)

    def migrate_in(self, parcel: Parcel, *, signed_by: str | None) -> MigratedIn:
        """See `Service.migrate_in`."""
        migration = self._operations.custody.migration
        arrived = migration.arrive(parcel.receipt_text(), parcel.history, CALLER, signed_by=signed_by)
        done = self._runner.run(arrived)
        return MigratedIn(["0x" + key.hex() for key in done.keys], done.signed_by, done.receipt)

    def migrate_undo(self, parcel: Parcel, *, reason: str) -> MigrationUndone:
        """See `Service.migrate_undo`."""
        undo = self._operations.custody.undo
        done = self._runner.run(undo.take_back(parcel.receipt_text(), CALLER, reason=reason, nothing_else_signs=True))
        floor = None if done.floor_epoch is None else str(done.floor_epoch)
        return MigrationUndone(["0x" + key.hex() for key in done.keys], done.receipt, floor)

    def frozen(self) -> FrozenKeys:
        """See `Service.frozen`."""
        frozen = self._runner.run(self._operations.freezing.frozen(CALLER))
        return FrozenKeys(
            frozen.all_since_ms,
            [FrozenKey(shown(key.public_key), key.since_ms) for key in frozen.keys],
            tuple(FrozenGroup(one.tag, one.since_ms, one.keys) for one in frozen.tags),
        )

    def delete_keys(self, keys: Sequence[str]) -> DeletedKeys:
        """See `Service.delete_keys`."""
        done = self._runner.run(self._operations.key_manager.delete_keys(parse_public_keys(keys), CALLER))
        return DeletedKeys(_ordered(done.keys), done.interchange.decode())

    def allow_keys(self, keys: Sequence[str]) -> list[OrderedKey]:
        """See `Service.allow_keys`."""
        return _ordered(self._runner.run(self._operations.key_manager.allow_keys(parse_public_keys(keys), CALLER)))

    def preferences(self, public_key: str) -> KeyPreferences:
        """See `Service.preferences`."""
        keeping = self._operations.preferences
        own = self._runner.run(keeping.own(parse_public_key(public_key), CALLER))
        return KeyPreferences(public_key, own.told(), keeping.defaults.told())

    def set_preferences(self, order: SetPreferences) -> list[OrderedKey]:
        """See `Service.set_preferences`."""
        return _ordered(self._runner.run(self._operations.preferences.set(order, CALLER)))

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


def _ordered(carried: Sequence[Carried]) -> list[OrderedKey]:
    return [OrderedKey(target_of(each), each.status, each.message) for each in carried]
