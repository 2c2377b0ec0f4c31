"""What an operator changes about the slashing record by hand: watermarks, and how much of the past is kept."""

from signer.audit.entry import Kind
from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import BadWatermarkError, ForbiddenError, MalformedRequestError
from signer.journal.ledger import Transaction
from signer.operations.horizon import FURTHEST_LOW_EPOCHS, Horizon
from signer.operations.protect import Changes
from signer.operations.prune import RecordPruning
from signer.operations.record_orders import (
    LEAST_KEPT_EPOCHS,
    Moved,
    MoveWatermarks,
    PruneRecord,
    PruneReport,
    RecordOrders,
)
from signer.operations.story import NoteStory
from signer.slashing.status import find_key_record
from signer.slashing.watermarks import (
    FloorLimits,
    clear_high_watermark,
    raise_floors,
    raise_low_watermark,
    read_floor_limits,
    read_high_limits,
    read_watermarks,
    set_high_watermark,
)
from signer.units import Epoch, PublicKey, Slot


class RecordKeeping:
    """Checks who orders what, and has it carried out. One instance for the life of the process."""

    def __init__(self, *, orders: RecordOrders, horizon: Horizon) -> None:
        self._orders = orders
        self._horizon = horizon

    async def move(self, order: MoveWatermarks, caller: Caller, *, far_ahead: bool = False) -> Moved:
        """Raise low watermarks, or set or clear the high one; the marks before and after.

        Raises:
            ForbiddenError; MalformedRequestError: nothing is ordered, or what contradicts itself.
            BadWatermarkError: a low one further ahead than FURTHEST_LOW_EPOCHS (unless `far_ahead`), or above the high.
        """
        _check_may_write(caller, order.public_key)
        _check_order(order)
        if not far_ahead:
            self._check_near(order)
        return await self._orders.move(order, caller)

    async def prune(self, order: PruneRecord, caller: Caller) -> PruneReport:
        """Delete old records, for a few seconds. Raises ForbiddenError, MalformedRequestError."""
        _check_may_write(caller, order.public_key)
        if order.keep_epochs is not None and order.keep_epochs < LEAST_KEPT_EPOCHS:
            raise MalformedRequestError(f"keep_epochs must be at least {LEAST_KEPT_EPOCHS}", path="keep_epochs")
        if order.keep_slots is not None and order.keep_slots < 1:
            raise MalformedRequestError("keep_slots must be at least 1", path="keep_slots")
        return await self._orders.prune(order, caller)

    def _check_near(self, order: MoveWatermarks) -> None:
        now = self._horizon.epoch
        if now is None:
            return
        epoch = Epoch(now + FURTHEST_LOW_EPOCHS)
        slot = self._horizon.last_slot_of(epoch)
        for name, asked, furthest in (("low_epoch", order.low_epoch, epoch), ("low_slot", order.low_slot, slot)):
            if asked is not None and asked > furthest:
                raise BadWatermarkError(
                    f"{name} {asked} is more than {FURTHEST_LOW_EPOCHS} epochs ahead of the clock, and no low watermark"
                    ' is ever lowered: say so if it is meant (--far-ahead; "far_ahead": true over HTTP)',
                    evidence={"field": name, "requested": asked, "furthest": furthest, "epoch_now": now},
                )


class LocalRecordOrders:
    """Orders, by the writer of this process."""

    def __init__(self, *, changes: Changes, pruning: RecordPruning, horizon: Horizon) -> None:
        self._changes = changes
        self._pruning = pruning
        self._horizon = horizon

    async def move(self, order: MoveWatermarks, caller: Caller) -> Moved:
        """See RecordOrders."""

        def story(done: Moved) -> NoteStory:
            changed = [f"{name}={done.before[name]}->{value}" for name, value in done.after.items()]
            return NoteStory(
                Kind.WATERMARK_MOVED,
                self._horizon.now_ms,
                " ".join(word for word in changed if _is_a_change(word)) or "nothing changed",
                caller.principal.name,
                caller.request_id,
                order.public_key or b"",
            )

        return await self._changes.perform(lambda transaction: _move(transaction, order), story)

    async def prune(self, order: PruneRecord, caller: Caller) -> PruneReport:
        """See RecordOrders."""
        return await self._pruning.carry_out(order, caller)


def _check_may_write(caller: Caller, public_key: PublicKey | None) -> None:
    check_authorized(caller.principal, Action.SLASHING_WRITE, public_key=public_key)
    if public_key is None and caller.principal.keys is not None:
        raise ForbiddenError(
            f"principal {caller.principal.name} is granted single keys, and this is about all of them: name one",
            evidence={"principal": caller.principal.name},
        )


def _check_order(order: MoveWatermarks) -> None:
    high = order.high_epoch is not None or order.high_slot is not None
    if not (high or order.clear_high or order.low_epoch is not None or order.low_slot is not None):
        raise MalformedRequestError("no watermark is named: nothing would change")
    if high and order.clear_high:
        raise MalformedRequestError("the high watermark is either set or cleared", path="clear_high")
    if order.public_key is not None and (high or order.clear_high):
        raise MalformedRequestError(
            "the high watermark is one for all keys; to stop a single key, freeze it", path="public_key"
        )


def _move(transaction: Transaction, order: MoveWatermarks) -> Moved:
    before = _marks(transaction, order.public_key)
    low_epoch = None if order.low_epoch is None else Epoch(order.low_epoch)
    low_slot = None if order.low_slot is None else Slot(order.low_slot)
    if order.public_key is not None:
        _check_floors(order, read_floor_limits(transaction))
        raise_floors(transaction, order.public_key, epoch=low_epoch, slot=low_slot)
        return Moved(before, _marks(transaction, order.public_key))
    planned = _planned(before, order)
    _check_room(planned, "epoch")
    _check_room(planned, "slot")
    _check_high(order, read_high_limits(transaction))
    if order.clear_high:
        clear_high_watermark(transaction)
    raise_low_watermark(transaction, epoch=low_epoch, slot=low_slot)
    set_high_watermark(
        transaction,
        epoch=None if order.high_epoch is None else Epoch(order.high_epoch),
        slot=None if order.high_slot is None else Slot(order.high_slot),
    )
    return Moved(before, _marks(transaction, None))


def _planned(before: dict[str, int | None], order: MoveWatermarks) -> dict[str, int | None]:
    """The marks of all keys as the order wants them."""

    def low(known: int | None, asked: int | None) -> int | None:
        return max((one for one in (known, asked) if one is not None), default=None)

    def high(known: int | None, asked: int | None) -> int | None:
        return None if order.clear_high else known if asked is None else asked

    return {
        "low_epoch": low(before["low_epoch"], order.low_epoch),
        "low_slot": low(before["low_slot"], order.low_slot),
        "high_epoch": high(before["high_epoch"], order.high_epoch),
        "high_slot": high(before["high_slot"], order.high_slot),
    }


def _check_floors(order: MoveWatermarks, limits: FloorLimits) -> None:
    """What Web3Signer's tables would not take."""
    for unit, asked, limit in (("epoch", order.low_epoch, limits.epoch), ("slot", order.low_slot, limits.slot)):
        if asked is not None and limit is not None and asked > limit:
            raise BadWatermarkError(
                f"low_{unit} {asked} is above high_{unit} {limit}: clear the high watermark first",
                evidence={f"low_{unit}": asked, f"high_{unit}": limit},
            )


def _check_high(order: MoveWatermarks, limits: FloorLimits) -> None:
    for unit, asked, limit in (("epoch", order.high_epoch, limits.epoch), ("slot", order.high_slot, limits.slot)):
        if asked is not None and limit is not None and asked <= limit:
            raise BadWatermarkError(
                f"high_{unit} {asked} is not above {limit}, the floor of one of the keys: Web3Signer's tables hold no"
                " such mark; to stop every key, freeze them",
                evidence={f"high_{unit}": asked, f"floor_{unit}": limit},
            )


def _marks(transaction: Transaction, public_key: PublicKey | None) -> dict[str, int | None]:
    if public_key is None:
        marks = read_watermarks(transaction)
        return {
            "low_epoch": marks.low_epoch,
            "low_slot": marks.low_slot,
            "high_epoch": marks.high_epoch,
            "high_slot": marks.high_slot,
        }
    record = find_key_record(transaction, public_key)
    floor = None if record is None else record.vote_floor
    return {
        "floor_source": None if floor is None else floor.source_epoch,
        "floor_target": None if floor is None else floor.target_epoch,
        "floor_slot": None if record is None else record.block_floor,
    }


def _check_room(marks: dict[str, int | None], unit: str) -> None:
    low, high = marks[f"low_{unit}"], marks[f"high_{unit}"]
    if low is not None and high is not None and high <= low + 1:
        raise BadWatermarkError(
            f"between low_{unit} {low} and high_{unit} {high} nothing could be signed: to stop every key, freeze them;"
            " to go on after a planned stop, clear the high watermark first",
            evidence={f"low_{unit}": low, f"high_{unit}": high},
        )


def _is_a_change(word: str) -> bool:
    before, _, after = word.partition("=")[2].partition("->")
    return before != after
