"""Which keys this signer may sign with although it did not always: those that wait, and those that move."""

from dataclasses import dataclass

from signer.operations.migrate import Migration
from signer.operations.quarantine import Quarantine
from signer.operations.undo_migration import MigrationUndo


@dataclass(frozen=True, slots=True)
class Custody:
    """One instance for the life of the process."""

    quarantine: Quarantine
    migration: Migration
    undo: MigrationUndo
