"""In-memory twins of what is asked and ordered of the slashing record."""

from collections.abc import Mapping

from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import SignerError
from signer.operations.explain import Explanation, Question, Room
from signer.operations.record_orders import Moved, MoveWatermarks, PruneRecord, PruneReport
from signer.operations.record_status import RecordStatus, ToldRecord, ToldWatermarks

MARKS = ToldWatermarks(low_epoch=90, low_slot=None, high_epoch=None, high_slot=6400)
UNSET: Mapping[str, int | None] = {"low_epoch": None, "low_slot": None, "high_epoch": None, "high_slot": None}


def told_record(public_key: bytes) -> ToldRecord:
    """A key that has voted."""
    return ToldRecord("0x" + public_key.hex(), 4, 5, None, 7, 8, 2**64 - 1, "0x" + "ab" * 32, 0, None, None)


class ExplainingTwin:
    """A record of one key."""

    def __init__(self, public_key: bytes) -> None:
        self.public_key = public_key
        self.questions: list[Question] = []
        self.asked: list[tuple[bytes | None, bytes, int]] = []

    async def status(
        self, caller: Caller, *, public_key: bytes | None = None, after: bytes = b"", limit: int = 500
    ) -> RecordStatus:
        check_authorized(caller.principal, Action.SLASHING_READ)
        self.asked.append((public_key, after, limit))
        return RecordStatus(MARKS, (told_record(self.public_key),), None if after else "0x" + self.public_key.hex())

    async def explain(self, question: Question, caller: Caller) -> Explanation:
        check_authorized(caller.principal, Action.SLASHING_READ)
        self.questions.append(question)
        return Explanation(
            "0x" + self.public_key.hex(),
            "refused",
            "DOUBLE_VOTE",
            "another vote is on record",
            {"recorded_target_epoch": 5, "signing_root": None},
            told_record(self.public_key),
            MARKS,
            Room(8, 2**64 - 1, None, None, 6399),
        )


class KeepingTwin:
    """Remembers what was ordered."""

    def __init__(self) -> None:
        self.error: SignerError | None = None
        self.moves: list[tuple[MoveWatermarks, bool]] = []
        self.prunes: list[PruneRecord] = []

    async def move(self, order: MoveWatermarks, caller: Caller, *, far_ahead: bool = False) -> Moved:
        check_authorized(caller.principal, Action.SLASHING_WRITE)
        if self.error is not None:
            raise self.error
        self.moves.append((order, far_ahead))
        return Moved(dict(UNSET), {**UNSET, "low_epoch": order.low_epoch})

    async def prune(self, order: PruneRecord, caller: Caller) -> PruneReport:
        check_authorized(caller.principal, Action.SLASHING_WRITE)
        if self.error is not None:
            raise self.error
        self.prunes.append(order)
        return PruneReport(250, 6, 1, more=len(self.prunes) == 1)
