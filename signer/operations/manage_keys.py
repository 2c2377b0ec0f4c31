"""Keys as an operator sees them: list, reload, health."""

from dataclasses import dataclass
from typing import Literal

from signer.auth.principal import Caller
from signer.errors import SignerError
from signer.units import PublicKey


@dataclass(frozen=True, slots=True)
class KeyList:
    """The keys one caller may see, sorted, with a tag that changes when they do."""

    public_keys: tuple[PublicKey, ...]
    tag: str


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How the last load of one kind of source went."""

    source: Literal["config-files-loading", "keystores-bulk-loading"]
    keys_loaded: int
    error_count: int


@dataclass(frozen=True, slots=True)
class ReloadStatus:
    """What `GET /reload` tells."""

    status: Literal["idle", "running", "completed", "completed_with_errors", "failed"]
    last_operation_time: float | None
    """Seconds since the Unix epoch."""

    last_error: str | None


@dataclass(frozen=True, slots=True)
class KeyDescription:
    """One key for a listing: never its secret."""

    public_key: PublicKey
    namespace: str
    origin: str
    derivation_path: str | None


class KeyManagement:
    """One instance for the life of the process."""

    def list_keys(self, caller: Caller) -> KeyList:
        """Raises NotReadyError until the first load is complete, ForbiddenError."""
        raise SignerError("not built yet")

    def describe_keys(self, caller: Caller) -> tuple[KeyDescription, ...]:
        """Raises NotReadyError, ForbiddenError."""
        raise SignerError("not built yet")

    def health(self) -> tuple[SourceHealth, ...]:
        """How the last load went, per kind of source; never raises."""
        raise SignerError("not built yet")

    def reload_status(self, caller: Caller) -> ReloadStatus:
        """Raises ForbiddenError."""
        raise SignerError("not built yet")

    def start_reload(self, caller: Caller) -> None:
        """Begin loading in the background. Raises BusyError while one runs, ForbiddenError."""
        raise SignerError("not built yet")

    @property
    def ready(self) -> bool:
        """True once the first load is complete."""
        raise SignerError("not built yet")
