"""Keys as an operator sees them: list, reload, health."""

from dataclasses import dataclass
from typing import Literal, Protocol

from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Caller
from signer.errors import JournalDownError, NotReadyError
from signer.keys.reload import Reloader
from signer.keys.report import SOURCE_NAMES, SourceName
from signer.keys.ring import KeyRing
from signer.units import PublicKey


@dataclass(frozen=True, slots=True)
class KeyList:
    """The keys one caller may see, sorted, with a tag that changes when they do."""

    public_keys: tuple[PublicKey, ...]
    tag: str


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How the last load of one kind of source went."""

    source: SourceName
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


class KeyLoads(Protocol):
    """The loads of a signer's keys: the reloader here, or a worker's link to it. Never retries.

    A worker asks each time, so that all of them tell the same; where the main process does not answer, it raises
    JournalDownError.
    """

    async def status(self) -> ReloadStatus:
        """How the last load went."""
        ...

    async def health(self) -> tuple[SourceHealth, ...]:
        """What the last load found, per kind of source; empty before the first."""
        ...

    async def start(self) -> None:
        """Begin to load. Raises BusyError while a load runs."""
        ...


class KeyManagement:
    """One instance for the life of the process."""

    def __init__(self, ring: KeyRing, loads: KeyLoads) -> None:
        self._ring = ring
        self._loads = loads

    def list_keys(self, caller: Caller) -> KeyList:
        """The public keys. Raises NotReadyError until the first load is complete, ForbiddenError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        self._check_ready()
        current = self._ring.current
        if caller.principal.keys is None:
            return KeyList(current.public_keys, current.tag)
        visible = tuple(key for key in current.public_keys if may_see(caller.principal, key))
        # The whole set's tag with the caller's name: it changes whenever the caller's list can have changed.
        return KeyList(visible, f"{current.tag}-{caller.principal.name}")

    def describe_keys(self, caller: Caller) -> tuple[KeyDescription, ...]:
        """Every key with its origin. Raises NotReadyError, ForbiddenError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        self._check_ready()
        keys = self._ring.current.keys
        return tuple(
            KeyDescription(key.public_key, key.namespace, str(key.origin), key.derivation_path)
            for public_key in self._ring.public_keys
            if may_see(caller.principal, public_key) and (key := keys.get(public_key)) is not None
        )

    async def health(self) -> tuple[SourceHealth, ...]:
        """How the last load went, per kind of source; never raises."""
        try:
            found = await self._loads.health()
        except JournalDownError:
            found = ()
        return found or tuple(SourceHealth(name, 0, 0) for name in SOURCE_NAMES)

    async def reload_status(self, caller: Caller) -> ReloadStatus:
        """How the last load went, the first one included. Raises ForbiddenError, JournalDownError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        return await self._loads.status()

    async def start_reload(self, caller: Caller) -> None:
        """Begin loading in the background. Raises BusyError while one runs, ForbiddenError, JournalDownError."""
        check_authorized(caller.principal, Action.KEYS_RELOAD)
        await self._loads.start()

    @property
    def ready(self) -> bool:
        """True once the first load is complete."""
        return self._ring.ready

    def _check_ready(self) -> None:
        if not self._ring.ready:
            raise NotReadyError("the first load of keys is not complete; ask again in a moment")


class LocalLoads:
    """The reloader of this process as `KeyLoads`."""

    def __init__(self, reloader: Reloader) -> None:
        self._reloader = reloader

    async def status(self) -> ReloadStatus:
        """See KeyLoads."""
        status = self._reloader.status
        return ReloadStatus(status.state, status.changed_at, status.last_error)

    async def health(self) -> tuple[SourceHealth, ...]:
        """See KeyLoads."""
        report = self._reloader.report
        if report is None:
            return ()
        return tuple(SourceHealth(count.source, count.keys_loaded, count.error_count) for count in report.counts)

    async def start(self) -> None:
        """See KeyLoads."""
        self._reloader.start()
