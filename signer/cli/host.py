"""What the command line needs of the program it is the command line of; `app/` implements it.

Rule 1: the command line names no concrete class of the service. It asks a server where one runs, and asks here where
none does.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # Names of types alone: a line that asks a running server loads none of it.
    from signer.auth.principal import Caller
    from signer.config.sections import Config
    from signer.operations.custody import Custody
    from signer.operations.explain import Explaining
    from signer.operations.freeze_keys import KeyFreezing
    from signer.operations.keep_preferences import PreferenceKeeping
    from signer.operations.keep_record import RecordKeeping
    from signer.operations.kept_decisions import DecisionReading
    from signer.operations.key_manager import KeyManager
    from signer.operations.manage_keys import KeyManagement
    from signer.operations.manage_policies import PolicyManagement
    from signer.operations.protect import Protection
    from signer.operations.read_audit import AuditPage, AuditQuery
    from signer.operations.restore import RestorePlan
    from signer.operations.who_can import WhoCan


class AuditReport(Protocol):
    """A log that verifies, and where it stands."""

    @property
    def entries(self) -> int:
        """How many there are."""
        ...

    @property
    def head(self) -> bytes:
        """The chain's head after the last, 32 bytes."""
        ...


class Operations(Protocol):
    """The operations of one data directory, in this process and under its lock."""

    @property
    def keys(self) -> KeyManagement:
        """The keys; none is loaded unless the directory was opened with `load_keys`."""
        ...

    @property
    def protection(self) -> Protection:
        """The slashing record."""
        ...

    @property
    def explaining(self) -> Explaining:
        """What the record says of votes, blocks and keys."""
        ...

    @property
    def keeping(self) -> RecordKeeping:
        """What operators change about the record by hand."""
        ...

    @property
    def custody(self) -> Custody:
        """Keys in quarantine, and keys that move."""
        ...

    @property
    def freezing(self) -> KeyFreezing:
        """What is frozen, and is to be."""
        ...

    @property
    def key_manager(self) -> KeyManager:
        """Bringing keys in and deleting them."""
        ...

    @property
    def preferences(self) -> PreferenceKeeping:
        """Fee recipient, gas limit and graffiti of keys."""
        ...

    @property
    def policy_management(self) -> PolicyManagement:
        """Policies, and orders about them."""
        ...

    @property
    def who_can(self) -> WhoCan:
        """Who may do something with a key."""
        ...

    @property
    def kept_decisions(self) -> DecisionReading:
        """Decisions that are kept with their facts."""
        ...

    async def verify_audit(self, caller: Caller) -> AuditReport:
        """Walk the whole audit log. Raises AuditError at the first fault, ForbiddenError."""
        ...

    async def read_audit(self, query: AuditQuery, caller: Caller) -> AuditPage:
        """The newest entries that match. Raises AuditError, ForbiddenError."""
        ...


class Host(Protocol):
    """The program. Every call may block; one command runs at a time."""

    def version(self) -> str:
        """The version of the program, as `pyproject.toml` has it."""
        ...

    def serve(self, config: Config) -> int:
        """Serve until told to stop; the process's exit code.

        Raises:
            StartupError, ConfigError: a state in which the signer will not start.
        """
        ...

    def open_offline(self, config: Config, *, load_keys: bool) -> AbstractAsyncContextManager[Operations]:
        """Take the data directory's lock, open what `serve` would open, listen to nothing; close on leaving.

        Raises (on entering):
            DataDirectoryInUseError: a server holds the data directory.
            StartupError: a state in which the signer would not start.
        """
        ...

    def plan_restore(self, config: Config, *, anyway: bool) -> RestorePlan | None:
        """What accepting a restored database would do; None when it has lost nothing and nobody asks for it `anyway`.

        Raises:
            DataDirectoryInUseError: a server holds the data directory.
            StartupError: a fault that accepting a restore does not heal (a foreign or damaged database).
        """
        ...

    def accept_restore(self, config: Config, plan: RestorePlan) -> None:
        """Raise the floors as planned and write the head file anew, in one commit with its audit entry.

        Raises:
            DataDirectoryInUseError: a server holds the data directory.
            StartupError: the database is not the one that was planned for, or cannot be written.
        """
        ...
