"""What commands ask of a signer, whoever answers: a running server, or this process where none runs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

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
from signer.cli.parcel import Parcel
from signer.cli.policy_service import PolicyService
from signer.operations.explain import Explanation, Question
from signer.operations.exporting import ALL, Receipt, Selection
from signer.operations.orders import SetPreferences
from signer.operations.protect import WHOLE, ImportOptions
from signer.operations.read_audit import AuditPage, AuditQuery
from signer.operations.record_orders import MoveWatermarks, PruneRecord
from signer.operations.record_status import RecordStatus


class Service(Protocol):
    """A signer that answers commands. Every call blocks and raises SignerError."""

    @property
    def where(self) -> str:
        """Who answers, in words."""
        ...

    @property
    def policies(self) -> PolicyService:
        """What answers about policies."""
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
        """Sign nothing with these keys and tags any more; what became of each."""
        ...

    def thaw(self, keys: Sequence[str]) -> list[OrderedKey]:
        """Let these keys and tags sign again; what became of each."""
        ...

    def tag(self, keys: Sequence[str], *, add: Sequence[str], remove: Sequence[str]) -> list[OrderedKey]:
        """Give tags to these keys, and take tags from them; what became of each key."""
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

    def migrate_undo(self, parcel: Parcel, *, reason: str) -> MigrationUndone:
        """Take the keys of a receipt back, on the word that nothing else signs with them."""
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

    def preferences(self, public_key: str) -> KeyPreferences:
        """What is set for a key, and the defaults."""
        ...

    def set_preferences(self, order: SetPreferences) -> list[OrderedKey]:
        """Set fee recipient, gas limit or graffiti, or clear them; what became of each key."""
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
