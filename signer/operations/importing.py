"""EIP-3076 documents into the record, while signatures go on.

A document is read to its end and checked before the record is touched (`staged_document.py`). A short one is one
transaction. A long one is many: first its validators are held, then its parts are added one at a time, so that waiting
votes pass between any two; the last transaction lifts the hold (`slashing/incoming.py`). Every transaction is audited.

Rule 1: all or nothing is decided before the first transaction; what stops an import after that (a crash, a full disk)
leaves its validators held, and the same import completes it.
Rule 2: one import at a time.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from signer.audit.entry import Kind
from signer.auth.principal import Caller
from signer.errors import MalformedRequestError, SignerError, UnusableHistoriesError, WrongNetworkError
from signer.eth2.builtin_networks import network_of_root
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.operations.ended_waits import Waits, ended_by, read_waits
from signer.operations.horizon import Horizon
from signer.operations.protect import WHOLE, Changes, ImportedValidator, ImportOptions
from signer.operations.staged_document import parts_file, stage_document
from signer.operations.story import NoteStory
from signer.slashing.incoming import (
    SLICE,
    Floors,
    ImportCount,
    ImportReport,
    add_part,
    admit,
    check_floor_limits,
    compare_part,
    floors_after,
    lift_hold,
    read_floors,
    slices,
)
from signer.slashing.network import bind_network, recorded_network
from signer.slashing.staging import Furthest, Part, Staged, StagedValidator, Unusable, read_parts
from signer.units import PublicKey, Root


@dataclass(frozen=True, slots=True)
class _Standing:
    """How the validators of a document stand in the record at one moment."""

    floors: Mapping[PublicKey, Floors]
    waits: Waits


@dataclass(slots=True)
class _Import:
    """One import on its way. Owned by the call that runs it."""

    staged: Staged
    parts: Path
    caller: Caller
    report: ImportReport = field(default_factory=ImportReport)
    ended: frozenset[PublicKey] = frozenset()
    """Keys whose wait in quarantine this import ends, or would end."""

    @property
    def root(self) -> Root:
        return Root(bytes.fromhex(self.staged.genesis_validators_root))

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.staged.digest)

    @property
    def name(self) -> str:
        """How its audit entries name it."""
        return self.staged.digest[:16]


class WriterImports:
    """Imports through the writer of this process. One for its whole life."""

    def __init__(
        self,
        *,
        changes: Changes,
        horizon: Horizon,
        pinned: Callable[[], Root | None],
        reading: Reading,
        data_directory: Path,
    ) -> None:
        """`data_directory` takes the parts of a document while it is imported."""
        self._changes = changes
        self._horizon = horizon
        self._pinned = pinned
        self._reading = reading
        self._directory = data_directory
        self._one_at_a_time = asyncio.Lock()

    async def merge(self, file: Path, caller: Caller, options: ImportOptions = WHOLE) -> tuple[ImportedValidator, ...]:
        """See Imports."""
        async with self._one_at_a_time:
            with parts_file(self._directory) as parts:
                return await self._merge(file, parts, caller, options)

    async def _merge(
        self, file: Path, parts: Path, caller: Caller, options: ImportOptions
    ) -> tuple[ImportedValidator, ...]:
        staged = await stage_document(file, parts, None if options.far_ahead else self._furthest())
        if isinstance(staged, Unusable):
            raise MalformedRequestError(staged.sentence, path=staged.path)
        run = _Import(staged, parts, caller)
        self._check_network(run.root, self._pinned())
        if staged.fault_count and not (options.partial or options.dry_run):
            raise _unusable(staged)
        before = await asyncio.to_thread(self._look, run, compare=options.dry_run)
        if not options.dry_run and (staged.validators or not staged.fault_count):
            # What has begun goes on to its end, though the caller hangs up: half an import holds its validators.
            await asyncio.shield(asyncio.ensure_future(self._add(run)))
        after = before if options.dry_run else await asyncio.to_thread(self._standing, run)
        if not options.dry_run:
            run.ended = frozenset(before.waits) - frozenset(after.waits)
        held = frozenset(key for key, floors in after.floors.items() if floors.held)
        return tuple(_told(run, before.floors, held=held))

    def _standing(self, run: _Import) -> _Standing:
        with self._reading() as moment:
            return self._read_standing(run, moment)

    def _read_standing(self, run: _Import, moment: Transaction) -> _Standing:
        floors = read_floors(moment, [one.public_key for one in run.staged.validators])
        return _Standing(floors, read_waits(moment, self._horizon))

    def _furthest(self) -> Furthest | None:
        """What is taken without being asked for; None where nobody knows when the chain began."""
        epoch = self._horizon.last_imported_epoch
        return None if epoch is None else Furthest(epoch, self._horizon.last_slot_of(epoch))

    def _check_network(self, root: Root, pinned: Root | None) -> None:
        if pinned is not None and root != pinned:
            raise other_network("document", root, pinned)

    def _look(self, run: _Import, *, compare: bool) -> _Standing:
        """How it stands now, and with `compare` what the parts would add, counted in the report."""
        with self._reading() as moment:
            self._check_network(run.root, recorded_network(moment))
            known = self._read_standing(run, moment)
            check_floor_limits(moment, run.staged.validators, known.floors)
            if compare:
                for part in read_parts(run.parts):
                    compare_part(moment, part, run.report)
                    run.ended |= ended_by(part, known.waits)
            return known

    async def _add(self, run: _Import) -> None:
        if run.staged.parts <= 1 and len(run.staged.validators) <= SLICE:
            await self._perform(run, partial(self._add_at_once, run), "")
            return
        total = run.staged.parts
        for some in slices(run.staged.validators):
            # Crash before this commit: nothing of these validators has changed. After it: they are held.
            await self._perform(
                run, partial(self._hold, run, some), f"begun document={run.name} parts={total} validators={len(some)}"
            )
        parts = read_parts(run.parts)
        number = 0
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            number += 1
            # Crash on either side of this commit: the hold refuses whatever the missing parts would.
            await self._perform(run, partial(_add_part, part), f"part={number}/{total} document={run.name}")
        await self._perform(run, partial(_lift, run), "")

    async def _perform(self, run: _Import, change: Callable[[Transaction], ImportReport], note: str) -> None:
        """A change tells what it has done, and counts only once it is on record: it may run more than once."""

        def story(done: ImportReport) -> NoteStory:
            return self._story(run, note or _summary(run, done))

        run.report.add(await self._changes.perform(change, story))

    def _hold(self, run: _Import, some: Sequence[StagedValidator], transaction: Transaction) -> ImportReport:
        self._bind(run, transaction)
        admit(transaction, some, hold_for=run.digest)
        return ImportReport()

    def _add_at_once(self, run: _Import, transaction: Transaction) -> ImportReport:
        self._bind(run, transaction)
        admit(transaction, run.staged.validators)
        done = ImportReport()
        for part in read_parts(run.parts):
            add_part(transaction, part, done)
        return done

    def _bind(self, run: _Import, transaction: Transaction) -> None:
        self._check_network(run.root, recorded_network(transaction))
        bind_network(transaction, run.root)

    def _story(self, run: _Import, note: str) -> NoteStory:
        caller = run.caller
        now_ms = self._horizon.now_ms
        return NoteStory(Kind.INTERCHANGE_IMPORTED, now_ms, note, caller.principal.name, caller.request_id)


def _add_part(part: Part, transaction: Transaction) -> ImportReport:
    done = ImportReport()
    add_part(transaction, part, done)
    return done


def _lift(run: _Import, transaction: Transaction) -> ImportReport:
    lift_hold(transaction, run.digest)
    return ImportReport()


def _summary(run: _Import, last: ImportReport) -> str:
    counts = [*run.report.validators.values(), *last.validators.values()]
    blocks, attestations = sum(one.blocks for one in counts), sum(one.attestations for one in counts)
    refused = f" refused={run.staged.fault_count}" if run.staged.fault_count else ""
    return f"validators={len(run.staged.validators)} blocks={blocks} attestations={attestations}{refused}"


def _told(
    run: _Import, before: Mapping[PublicKey, Floors], *, held: frozenset[PublicKey]
) -> Iterator[ImportedValidator]:
    """The report: the document's validators in its order, then what could not be used of it.

    `held`: those that an import which is not complete holds now, another one's after this was.
    """
    for one in run.staged.validators:
        key = PublicKey(bytes.fromhex(one.public_key))
        count = run.report.validators.get(key, ImportCount(key))
        known = before.get(key)
        after = replace(floors_after(known or Floors(), one, count), held=key in held)
        ends = key in run.ended and one.targets is not None
        yield ImportedValidator(key, count.blocks, count.attestations, None, count.differing, known, after, ends)
    for fault in run.staged.faults:
        spoiled = None if fault.public_key is None else PublicKey(bytes.fromhex(fault.public_key))
        yield ImportedValidator(spoiled, 0, 0, fault.sentence)


def other_network(what: str, theirs: Root, ours: Root) -> WrongNetworkError:
    """What was brought (a document, a receipt) is of one chain, and the record here of another."""
    return WrongNetworkError(
        requested=theirs,
        pinned=ours,
        sentence=f"the {what} is of {_named(theirs)}, and the record here of {_named(ours)}: nothing was changed",
        remedy=f"bring the {what} of this network; or, if this signer is meant for the other one, set network.name"
        " (`holdfast config show`) to it and begin with a new storage.data_directory or database: a record keeps its"
        " network (`holdfast init`)",
    )


def _named(root: Root) -> str:
    name = network_of_root(root)
    return f"the network {name}" if name else f"a network that is not built in (0x{root.hex()[:8]}...)"


def _unusable(staged: Staged) -> SignerError:
    first = staged.faults[0]
    whose = "" if first.public_key is None else f"0x{first.public_key}: "
    return UnusableHistoriesError(
        whose + first.sentence, path=first.path, unusable=staged.fault_count, usable=len(staged.validators)
    )
