"""Keys leave for another signer, or come from one: never both at once.

Out: one commit (`move_keys.py`) disables the keys on every instance of this record, with its audit entry; from there on
their history stands still, so what is exported afterwards is all there will ever be. A crash between the two costs a
repetition: the same order again gives the same history under a receipt of the same numbers.

In: receipt and history are compared with each other and with what is known here before anything changes. The history is
merged, and one commit lets the keys sign. A crash between the two leaves more history than before, and keys that do not
sign yet; the same receipt completes it.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from interchange import (
    Fault,
    InterchangeError,
    Metadata,
    SignedAttestation,
    SignedBlock,
    ValidatorHistory,
    parse,
    serialise,
)
from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Caller
from signer.crypto.ed25519 import PRIVATE_KEY_BYTES
from signer.crypto.secret import Secret
from signer.durable import read_private, stream_durably
from signer.errors import ReceiptError, SignerError, UnknownKeyError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.data_key import create_key_file
from signer.operations.horizon import Horizon
from signer.operations.importing import other_network
from signer.operations.kept_record import read_database_id
from signer.operations.migration_receipt import (
    Claims,
    MovedKey,
    Receipt,
    read_receipt,
    receipt_id,
    sign_receipt,
    signer_of,
)
from signer.operations.move_keys import check_is_new
from signer.operations.move_orders import ArriveKeys, Arriving, LeaveKeys, Move
from signer.operations.orders import Orders
from signer.operations.protect import ImportOptions, Imports
from signer.slashing.exchange import Wanted, export_history
from signer.slashing.locking import wait_for_signatures
from signer.slashing.network import recorded_network
from signer.slashing.status import find_key_record, greatest_source
from signer.slashing.watermarks import read_watermarks
from signer.units import PublicKey

KEY_FILE = "migration.key"
"""In the data directory: the Ed25519 key that signs receipts, 32 random bytes, made when it is first needed."""

_PIECE_BYTES = 1 << 20

_Beginning = tuple[int | None, int | None, int | None]
"""Slot, source and target; None where there is no record of the kind."""


@dataclass(frozen=True, slots=True)
class Departure:
    """What has left."""

    receipt: bytes
    keys: tuple[PublicKey, ...]
    signed_by: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """What has come."""

    keys: tuple[PublicKey, ...]
    signed_by: str
    receipt: str
    """How the audit log names it."""


class Migration:
    """One instance for the life of the process."""

    def __init__(
        self,
        *,
        orders: Orders,
        imports: Imports,
        reading: Reading,
        horizon: Horizon,
        loaded: Callable[[], Sequence[PublicKey]],
        data_directory: Path,
    ) -> None:
        """`loaded` gives the public keys that serve."""
        self._orders = orders
        self._imports = imports
        self._reading = reading
        self._horizon = horizon
        self._loaded = loaded
        self._data_directory = data_directory

    async def leave(self, keys: Sequence[PublicKey] | None, caller: Caller, *, into: Path) -> Departure:
        """Sign nothing more with these keys (None: all that are loaded), write their history, and make the receipt.

        Raises:
            ForbiddenError; UnknownKeyError: neither loaded nor on record; KeyStateError: deleted, or in quarantine.
            JournalDownError, OutcomeUnknownError. OSError: `into` cannot be written; asking again is safe.
        """
        check_authorized(caller.principal, Action.KEYS_MIGRATE)
        wanted = tuple(dict.fromkeys(self._loaded() if keys is None else keys))
        for key in wanted:
            if not may_see(caller.principal, key):
                raise UnknownKeyError("0x" + key.hex())
        if not wanted:
            raise UnknownKeyError("no key is loaded")
        private_key = await asyncio.to_thread(self._private_key)
        left = await self._orders.carry_out(LeaveKeys(wanted), caller)
        numbers = {one.public_key: int(one.message) for one in left}
        return await asyncio.to_thread(self._export, numbers, private_key, into)

    async def arrive(self, text: bytes, document: Path, caller: Caller, *, signed_by: str | None = None) -> Arrival:
        """Take over what the receipt names, with its history; the keys sign at once.

        Args:
            text: the receipt.
            document: the history, a file that imports can read.
            caller: who asks.
            signed_by: whose receipt it must be; None where anybody's will do.

        Raises:
            ForbiddenError; ReceiptError: receipt or history are not what they should be; ReceiptUsedError;
            WrongNetworkError; KeyDeletedError; what an import raises. Nothing was changed.
        """
        check_authorized(caller.principal, Action.KEYS_MIGRATE)
        receipt = read_receipt(text)
        if signed_by is not None and signed_by.lower() != receipt.claims.signed_by:
            raise ReceiptError(f"the receipt was signed by {receipt.claims.signed_by}, and not by {signed_by}")
        for one in receipt.claims.keys:
            if not may_see(caller.principal, one.key):
                raise UnknownKeyError(one.public_key)
        arriving = await asyncio.to_thread(self._check_arrival, receipt, document)
        # Whatever the receipt vouches for is taken, a floor far ahead too: it stopped these keys at the sender already,
        # and to refuse it here would leave them nowhere.
        await self._imports.merge(document, caller, ImportOptions(far_ahead=True))
        await self._orders.carry_out(ArriveKeys(arriving, receipt_id(text)), caller)
        return Arrival(tuple(one.key for one in receipt.claims.keys), receipt.claims.signed_by, receipt_id(text))

    def _private_key(self) -> Secret:
        file = self._data_directory / KEY_FILE
        if not file.exists():
            create_key_file(file)
        return Secret(read_private(file, limit_bytes=PRIVATE_KEY_BYTES))

    def _export(self, numbers: Mapping[PublicKey, int], private_key: Secret, into: Path) -> Departure:
        # On a shared database another signer may have judged a vote before the keys were disabled, and commit it now.
        wait_for_signatures(self._reading, tuple(numbers))
        with self._reading() as moment:
            root = recorded_network(moment)
            if root is None:
                raise SignerError("nothing has pinned a network yet: there is no history to leave with")
            digest = hashlib.sha256()
            stream_durably(
                into, _seen(serialise(Metadata(root), _histories(moment, numbers)), digest.update), private=True
            )
            claims = Claims(
                genesis_validators_root="0x" + root.hex(),
                database_id=read_database_id(moment).hex(),
                epoch=self._horizon.epoch,
                time=datetime.fromtimestamp(self._horizon.now_ms / 1000, UTC).isoformat(timespec="seconds"),
                interchange_sha256=digest.hexdigest(),
                keys=[_moved(moment, key, number) for key, number in sorted(numbers.items())],
                signed_by=signer_of(private_key),
            )
        return Departure(sign_receipt(claims, private_key), tuple(sorted(numbers)), claims.signed_by)

    def _check_arrival(self, receipt: Receipt, document: Path) -> tuple[Arriving, ...]:
        claims = receipt.claims
        with self._reading() as moment:
            recorded = recorded_network(moment)
            if recorded is not None and recorded != claims.root:
                raise other_network("receipt", claims.root, recorded)
            check_is_new(moment, moves_of(receipt))
        digest = hashlib.sha256()
        try:
            beginnings = _beginnings(parse(_pieces(document, digest.update)), claims)
        except InterchangeError as error:
            raise ReceiptError(f"the history beside the receipt cannot be read: {error}") from None
        if digest.hexdigest() != claims.interchange_sha256:
            raise ReceiptError("the history is not the one that the receipt was written for: its SHA-256 differs")
        if set(beginnings) != {one.key for one in claims.keys}:
            raise ReceiptError("the receipt and the history beside it are about different keys")
        return tuple(Arriving(one.key, one.moves, *beginnings[one.key]) for one in claims.keys)


def moves_of(receipt: Receipt) -> tuple[Move, ...]:
    """The keys of a receipt, and which move of each it was."""
    return tuple(Move(one.key, one.moves) for one in receipt.claims.keys)


def _histories(moment: Transaction, numbers: Mapping[PublicKey, int]) -> Iterator[ValidatorHistory]:
    """Every key has an element, also one that has never signed."""
    told = set()
    for history in export_history(moment, Wanted(frozenset(numbers))):
        told.add(history.pubkey)
        yield history
    low = read_watermarks(moment)  # it holds for keys without a record too: those of a database that went back
    blocks = () if low.low_slot is None else (SignedBlock(low.low_slot),)
    votes = () if low.low_epoch is None else (SignedAttestation(low.low_epoch, low.low_epoch),)
    yield from (ValidatorHistory(key, blocks, votes) for key in sorted(numbers) if key not in told)


def _moved(moment: Transaction, key: PublicKey, number: int) -> MovedKey:
    record = find_key_record(moment, key)
    if record is None:
        return MovedKey("0x" + key.hex(), number, None, None, None)
    floor, vote, block = record.vote_floor, record.newest_vote, record.newest_block
    return MovedKey(
        "0x" + key.hex(),
        number,
        _greatest(greatest_source(moment, key), None if floor is None else floor.source_epoch),
        _greatest(None if vote is None else vote.target_epoch, None if floor is None else floor.target_epoch),
        _greatest(None if block is None else block.slot, record.block_floor),
    )


def _greatest(*values: int | None) -> int | None:
    return max((value for value in values if value is not None), default=None)


def _beginnings(events: Iterator[Metadata | ValidatorHistory | Fault], claims: Claims) -> dict[PublicKey, _Beginning]:
    """The least slot, source and target of each key of the history. Raises ReceiptError: it is another chain's."""
    least: dict[PublicKey, _Beginning] = {}
    for event in events:
        match event:
            case Metadata() if event.genesis_validators_root != claims.root:
                raise ReceiptError("the history beside the receipt is another network's")
            case ValidatorHistory():
                slot, source, target = least.get(PublicKey(event.pubkey), (None, None, None))
                least[PublicKey(event.pubkey)] = (
                    _least(slot, *(block.slot for block in event.blocks)),
                    _least(source, *(vote.source_epoch for vote in event.attestations)),
                    _least(target, *(vote.target_epoch for vote in event.attestations)),
                )
            case _:
                pass
    return least


def _least(*values: int | None) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _seen(pieces: Iterator[bytes], see: Callable[[bytes], object]) -> Iterator[bytes]:
    for piece in pieces:
        see(piece)
        yield piece


def _pieces(document: Path, see: Callable[[bytes], object]) -> Iterator[bytes]:
    with document.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            see(piece)
            yield piece
