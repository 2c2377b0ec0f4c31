"""What operations rest on: the record and the loads of keys, in this process or at the other end of a link."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from signer.journal.command import Journal
from signer.keys.key import DEFAULT_NAMESPACE
from signer.keys.ring import KeyRing
from signer.operations.approval_orders import ApprovalOrders
from signer.operations.custody import Custody
from signer.operations.explain import Explaining
from signer.operations.freeze_keys import KeyFreezing
from signer.operations.guard_policies import PolicyGuard
from signer.operations.horizon import Horizon
from signer.operations.keep_preferences import PreferenceKeeping, Preferences
from signer.operations.keep_record import RecordKeeping
from signer.operations.kept_decisions import DecisionReading
from signer.operations.kept_record import RecordView
from signer.operations.key_manager import KeyManager
from signer.operations.manage_keys import KeyLoads, KeyManagement
from signer.operations.manage_policies import PolicyManagement
from signer.operations.migrate import Migration
from signer.operations.orders import Orders
from signer.operations.policy_orders import PolicyOrders
from signer.operations.protect import Imports, Protection
from signer.operations.quarantine import Quarantine
from signer.operations.read_audit import AuditReading
from signer.operations.record_orders import RecordOrders
from signer.operations.tag_keys import KeyTagging
from signer.operations.undo_migration import MigrationUndo
from signer.operations.verify_audit import AuditVerification
from signer.operations.who_can import Access, WhoCan


@dataclass(frozen=True, slots=True)
class Mainstay:
    """In the main process the writer and the reloader themselves; in a worker what relays to them."""

    journal: Journal
    loads: KeyLoads
    imports: Imports

    record_orders: RecordOrders

    journal_state: Callable[[], Awaitable[Mapping[str, str | int | float | None]]]
    """What the journal tells of itself. Raises JournalDownError in a worker whose main process does not answer."""

    journal_healthy: Callable[[], Awaitable[bool]]
    """True while the journal takes commands. Never raises."""

    orders: Orders
    """Where an operator's orders about keys are carried out."""

    policy_orders: PolicyOrders
    """And those about policies."""

    approval_orders: ApprovalOrders
    """And those about requests that wait for people."""


@dataclass(frozen=True, slots=True)
class RecordOperations:
    """What is done with keys and record besides signing."""

    keys: KeyManagement
    protection: Protection
    verify_audit: AuditVerification
    read_audit: AuditReading
    explaining: Explaining
    keeping: RecordKeeping
    freezing: KeyFreezing
    custody: Custody
    key_manager: KeyManager
    preferences: PreferenceKeeping
    policy_management: PolicyManagement
    who_can: WhoCan
    kept_decisions: DecisionReading

    @classmethod
    def over(
        cls,
        mainstay: Mainstay,
        ring: KeyRing,
        view: RecordView,
        *,
        archive_directory: Path,
        key_directory: Path,
        horizon: Horizon,
        quarantine_epochs: int,
        defaults: Preferences,
        access: Access,
        guard: PolicyGuard,
    ) -> Self:
        """The operations over a mainstay; they read the record through connections of their own."""
        return cls(
            KeyManagement(ring, mainstay.loads),
            Protection(imports=mainstay.imports, reading=view.reading, loaded=lambda: ring.public_keys),
            AuditVerification(view, archive_directory=archive_directory),
            AuditReading(reading=view.reading),
            Explaining(
                read=view.reading,
                horizon=horizon,
                loaded=lambda key: ring.find(key) is not None if ring.public_keys or ring.ready else None,
                quarantine_epochs=quarantine_epochs,
            ),
            RecordKeeping(orders=mainstay.record_orders, horizon=horizon),
            KeyFreezing(orders=mainstay.orders, reading=view.reading),
            _custody(mainstay, ring, view, horizon, quarantine_epochs=quarantine_epochs),
            KeyManager(
                orders=mainstay.orders,
                ring=ring,
                data_directory=view.data_directory,
                config_directory=key_directory,
            ),
            PreferenceKeeping(orders=mainstay.orders, reading=view.reading, ring=ring, defaults=defaults),
            PolicyManagement(orders=mainstay.policy_orders, reading=view.reading, guard=guard),
            WhoCan(
                access=access,
                reading=view.reading,
                namespace_of=lambda key: DEFAULT_NAMESPACE if (found := ring.find(key)) is None else found.namespace,
            ),
            DecisionReading(view, archive_directory=archive_directory),
        )


def _custody(
    mainstay: Mainstay, ring: KeyRing, view: RecordView, horizon: Horizon, *, quarantine_epochs: int
) -> Custody:
    reading = view.reading
    return Custody(
        Quarantine(orders=mainstay.orders, reading=reading, horizon=horizon, epochs=quarantine_epochs),
        Migration(
            orders=mainstay.orders,
            imports=mainstay.imports,
            reading=reading,
            horizon=horizon,
            loaded=lambda: ring.public_keys,
            data_directory=view.data_directory,
        ),
        MigrationUndo(orders=mainstay.orders, reading=reading, horizon=horizon, raises_floors=quarantine_epochs > 0),
        tagging=KeyTagging(orders=mainstay.orders, reading=reading),
    )
