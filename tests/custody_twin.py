"""An in-memory twin of quarantine and migration, for the edges."""

from collections.abc import Sequence
from pathlib import Path

from freezing_twin import TaggingTwin

from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import MalformedRequestError, ReceiptError, SignerError
from signer.operations.migrate import Arrival, Departure
from signer.operations.orders import Carried
from signer.operations.quarantine import Wait
from signer.operations.undo_migration import TakenBack
from signer.units import Epoch, PublicKey

SIGNED_BY = "0x" + "5a" * 32
HISTORY = b'{"metadata": {}, "data": []}\n'


class CustodyTwin:
    """Holds a few keys in quarantine, gives any key away, and takes over what `receipt` names."""

    def __init__(self, waiting: Sequence[PublicKey] = ()) -> None:
        self.waiting = list(waiting)
        self.new = frozenset[PublicKey]()
        self.left: list[tuple[PublicKey, ...] | None] = []
        self.came: list[tuple[bytes, bytes, str | None]] = []
        self.taken_back: list[tuple[bytes, str]] = []
        self.error: SignerError | None = None
        self.tagging = TaggingTwin()

    @property
    def quarantine(self) -> "CustodyTwin":
        return self

    @property
    def migration(self) -> "CustodyTwin":
        return self

    @property
    def undo(self) -> "CustodyTwin":
        return self

    async def waits(self, caller: Caller) -> tuple[Wait, ...]:
        check_authorized(caller.principal, Action.KEYS_LIST)
        return tuple(Wait(key, Epoch(300_003), "2026-01-02T03:04:05+00:00") for key in self.waiting)

    async def newcomers(self, keys: Sequence[PublicKey], caller: Caller) -> frozenset[PublicKey]:
        check_authorized(caller.principal, Action.KEYS_LIST)
        return self.new & frozenset(keys)

    async def release(self, keys: Sequence[PublicKey], caller: Caller) -> tuple[Carried, ...]:
        check_authorized(caller.principal, Action.KEYS_RELEASE)
        self._fail()
        done = tuple(Carried(key, "released" if key in self.waiting else "not_in_quarantine") for key in keys)
        self.waiting = [key for key in self.waiting if key not in keys]
        return done

    async def leave(self, keys: Sequence[PublicKey] | None, caller: Caller, *, into: Path) -> Departure:
        check_authorized(caller.principal, Action.KEYS_MIGRATE)
        self._fail()
        self.left.append(None if keys is None else tuple(keys))
        into.write_bytes(HISTORY)
        return Departure(b'{"format":"a receipt"}', tuple(keys or ()), SIGNED_BY)

    async def arrive(self, text: bytes, document: Path, caller: Caller, *, signed_by: str | None = None) -> Arrival:
        check_authorized(caller.principal, Action.KEYS_MIGRATE)
        self._fail()
        if text == b"nonsense":
            raise ReceiptError("this is no migration receipt")
        self.came.append((text, document.read_bytes(), signed_by))
        return Arrival((PublicKey(b"\x01" * 48),), SIGNED_BY, "00112233")

    async def take_back(self, text: bytes, caller: Caller, *, reason: str, nothing_else_signs: bool) -> TakenBack:
        check_authorized(caller.principal, Action.KEYS_MIGRATE)
        self._fail()
        if not nothing_else_signs or not reason:
            raise MalformedRequestError("no word, or no reason")
        if text == b"nonsense":
            raise ReceiptError("this is no migration receipt")
        self.taken_back.append((text, reason))
        return TakenBack((PublicKey(b"\x01" * 48),), "00112233", Epoch(300_004))

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error
