"""What is on record about keys besides the marks that stop them: those that wait, those that move, and their tags."""

from dataclasses import dataclass

from signer.operations.migrate import Migration
from signer.operations.quarantine import Quarantine
from signer.operations.tag_keys import KeyTagging
from signer.operations.undo_migration import MigrationUndo


@dataclass(frozen=True, slots=True)
class Custody:
    """One instance for the life of the process."""

    quarantine: Quarantine
    migration: Migration
    undo: MigrationUndo
    tagging: KeyTagging
