"""Undo `migrate out`, where the other signer never began: an operator's word against a second signer, audited.

Nobody here can know what the other side has done with the receipt (decision 0020). So the operator says that nothing
else signs with the keys and never will by this receipt, and why they come back. Where new keys wait
(`keys.quarantine_epochs`), these lose as much: nothing is signed with them up to the furthest epoch that anybody with
this receipt can have signed by now. If the word was wrong about the past, that costs an epoch or two and no slashing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Caller
from signer.errors import MalformedRequestError, ReceiptError, SignerError, UnknownKeyError
from signer.journal.reader import Reading
from signer.operations.horizon import Horizon
from signer.operations.kept_record import read_database_id
from signer.operations.migration_receipt import Receipt, read_receipt, receipt_id
from signer.operations.move_keys import check_is_away
from signer.operations.move_orders import Move, TakeBackKeys
from signer.operations.orders import Orders
from signer.units import Epoch, PublicKey

MAX_REASON_LETTERS = 200
"""Of an operator's words in the audit log; a note holds the keys too."""

REACH_EPOCHS = 1
"""Least distance ahead of the clock that another signer may have signed: a duty is asked for an epoch early at most."""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """What has come back."""

    keys: tuple[PublicKey, ...]
    receipt: str
    """How the audit log names it."""

    floor_epoch: Epoch | None
    """No vote with a source below it, or a target at or below it, is signed; None: they sign at once."""


class MigrationUndo:
    """One instance for the life of the process."""

    def __init__(self, *, orders: Orders, reading: Reading, horizon: Horizon, raises_floors: bool) -> None:
        """`raises_floors`: whether a key of unknown past waits at this signer."""
        self._orders = orders
        self._reading = reading
        self._horizon = horizon
        self._raises_floors = raises_floors

    async def take_back(self, text: bytes, caller: Caller, *, reason: str, nothing_else_signs: bool) -> TakenBack:
        """Let the keys of a receipt sign here again, which were disabled when it was written here.

        Raises:
            ForbiddenError; MalformedRequestError: no word, or no reason; ReceiptError: it is not of this record, or its
            keys are not away; KeyDeletedError; SignerError: nobody knows which epoch it is. Nothing was changed.
            JournalDownError, OutcomeUnknownError.
        """
        check_authorized(caller.principal, Action.KEYS_MIGRATE)
        _check_words(reason, nothing_else_signs=nothing_else_signs)
        receipt = read_receipt(text)
        moves = tuple(Move(one.key, one.moves) for one in receipt.claims.keys)
        for one in moves:
            if not may_see(caller.principal, one.key):
                raise UnknownKeyError("0x" + one.key.hex())
        await asyncio.to_thread(self._check_is_ours, receipt, moves)
        floor = self._floor() if self._raises_floors else None
        await self._orders.carry_out(TakeBackKeys(moves, receipt_id(text), reason, floor), caller)
        return TakenBack(tuple(one.key for one in moves), receipt_id(text), floor)

    def _check_is_ours(self, receipt: Receipt, moves: Sequence[Move]) -> None:
        with self._reading() as moment:
            if receipt.claims.database_id != read_database_id(moment).hex():
                raise ReceiptError("the receipt was written by another signer: take it over with `holdfast migrate in`")
            check_is_away(moment, moves)

    def _floor(self) -> Epoch:
        now = self._horizon.epoch
        if now is None:
            raise SignerError(
                "the network's genesis_time is unknown, so nobody can say how far another signer may have signed: set"
                " network.genesis_time"
            )
        return Epoch(now + max(self._horizon.far_future_epochs or 0, REACH_EPOCHS))


def _check_words(reason: str, *, nothing_else_signs: bool) -> None:
    if not nothing_else_signs:
        raise MalformedRequestError(
            "a move is undone only on your word that nothing else signs with these keys, nor ever will by this receipt",
            path="nothing_else_signs",
        )
    if not reason.strip() or len(reason) > MAX_REASON_LETTERS or not reason.isprintable():
        raise MalformedRequestError(
            f"say why, on one line of at most {MAX_REASON_LETTERS} letters: it is kept in the audit log", path="reason"
        )
