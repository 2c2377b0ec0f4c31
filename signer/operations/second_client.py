"""Notice a second live client of a key: two requests for one duty, with different contents, within a few minutes.

The record refuses the second one and nothing is lost; but that there was a second one is the last warning before some
other signer, which shares no record with this one, signs it.

What is no sign of it, and raises nothing:
- the same root again (a client that was restarted): a repeat, which is signed;
- a root that nobody was given within the last two epochs, by this signer or by another one on the same database: it was
  imported, or the question is about the past;
- a record without a root: an import did not carry it.
What may be one client alone is told apart: both requests came under one name. A client that lost its own memory in a
restart asks again for the epoch it has voted in, with a newer head. Under two names there are two.

The first request is looked up in the audit log, on a shared database in every signer's. One look serves all conflicts
of a second; no signature waits for it.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from signer.audit.chain import unpack
from signer.audit.entry import Entry, Flag, Kind, Outcome, decode_entry, entry_time_ms
from signer.audit.reading import batches_backwards, step_through_logs
from signer.errors import DoubleProposalError, DoubleVoteError
from signer.events import ConflictingRequests, Events, RequestRefused
from signer.journal.command import Command, Journal
from signer.journal.reader import Reading
from signer.operations.horizon import Horizon
from signer.operations.story import NoteStory

YOUNG_EPOCHS = 2
"""How long ago the first of the two was signed at most: later, both clients would have met in another epoch."""

GATHER_SECONDS = 1.0
"""Conflicts of so long share one look into the audit log."""

MAX_WAITING = 4096
"""Conflicts that wait for the next look; more are only counted as refusals."""

MAX_REMEMBERED = 65_536
"""Conflicts that are not told twice: clients ask again and again."""

_CODES = frozenset({DoubleVoteError.code, DoubleProposalError.code})

_log = logging.getLogger("holdfast.second_client")


@dataclass(frozen=True, slots=True)
class _Conflict:
    """A refused request, and the root that stands against it."""

    refused: RequestRefused
    public_key: bytes
    recorded_root: bytes


class SecondClientWatch:
    """One for each process that answers requests, on its event loop. `run` until cancelled."""

    def __init__(self, *, read: Reading, journal: Journal, horizon: Horizon, events: Events) -> None:
        self._read = read
        self._journal = journal
        self._horizon = horizon
        self._events = events
        self._waiting: list[_Conflict] = []
        self._told: OrderedDict[tuple[bytes, bytes, str], None] = OrderedDict()
        self._wake = asyncio.Event()

    def notice(self, refused: RequestRefused) -> None:
        """A request was refused: keep it for the next look if it is one of two that conflict. Quick."""
        if refused.code not in _CODES or len(self._waiting) >= MAX_WAITING:
            return
        recorded, asked = (refused.evidence.get(name) for name in ("recorded_signing_root", "signing_root"))
        if not isinstance(recorded, str) or not isinstance(asked, str):
            return
        conflict = _Conflict(refused, _bytes(refused.public_key), _bytes(recorded))
        mark = (conflict.public_key, conflict.recorded_root, asked)
        if mark in self._told:
            return
        self._told[mark] = None
        if len(self._told) > MAX_REMEMBERED:
            self._told.popitem(last=False)
        self._waiting.append(conflict)
        self._wake.set()

    async def run(self) -> None:
        """Look after each conflict, once a second at most."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(GATHER_SECONDS)
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - whatever it was, the refusals themselves are told elsewhere
                _log.warning("conflicting requests could not be looked up: %s", error)

    async def look(self) -> None:
        """Tell of every conflict whose first request was signed here within the last epochs.

        Raises:
            AuditError: the log cannot be read. JournalDownError, OutcomeUnknownError: what was found is told, but not
                in the audit log.
        """
        self._wake.clear()
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        found = await asyncio.to_thread(self._find, waiting)
        for told in found:
            self._events.publish(told)
        # Together: of a large batch from a second client every entry may be one.
        await asyncio.gather(*self._journal.commit_all([Command((), self._story(told)) for told in found]))

    def _find(self, waiting: Sequence[_Conflict]) -> list[ConflictingRequests]:
        wanted: dict[tuple[bytes, bytes], list[_Conflict]] = {}
        for conflict in waiting:
            wanted.setdefault((conflict.public_key, conflict.recorded_root), []).append(conflict)
        found: list[ConflictingRequests] = []
        for entry in self._signed_lately({conflict.recorded_root for conflict in waiting}):
            met = wanted.pop((entry.public_key, entry.signing_root), ())
            found.extend(_told(conflict.refused, entry) for conflict in met)
            if not wanted:
                break
        return found

    def _signed_lately(self, roots: set[bytes]) -> Iterator[Entry]:
        """What was allowed for the first time, with one of these roots, newest first."""
        network = self._horizon.network
        since_ms = self._horizon.now_ms - YOUNG_EPOCHS * network.preset.slots_per_epoch * network.slot_milliseconds
        with self._read() as moment:
            for _ in step_through_logs(moment):
                for batch in batches_backwards(moment, before=None):
                    if entry_time_ms(next(iter(unpack(batch.entries)))) < since_ms:
                        break
                    if any(root in batch.entries for root in roots):
                        yield from _allowed(batch.entries, roots)

    def _story(self, told: ConflictingRequests) -> NoteStory:
        note = (
            f"{told.field}={told.value}; signing_root={told.signing_root};"
            f" recorded_signing_root={told.recorded_signing_root}; signed_for={told.recorded_principal};"
            f" signed_request_id={told.recorded_request_id}; signed_ms={told.recorded_ms}; address={told.address}"
        )
        return NoteStory(
            Kind.CONFLICTING_REQUESTS,
            self._horizon.now_ms,
            note,
            told.principal,
            bytes.fromhex(told.request_id),
            _bytes(told.public_key),
            told.code,
        )


def _allowed(packed: bytes, roots: set[bytes]) -> Iterator[Entry]:
    for data in unpack(packed):
        entry = decode_entry(data)
        allowed = entry.kind is Kind.DUTY and entry.outcome is Outcome.ALLOWED
        if allowed and not entry.flags & Flag.REPEAT and entry.signing_root in roots:
            yield entry


def _told(refused: RequestRefused, signed: Entry) -> ConflictingRequests:
    field = "slot" if refused.code == DoubleProposalError.code else "target_epoch"
    return ConflictingRequests(
        public_key=refused.public_key,
        duty_type=refused.duty_type,
        code=refused.code,
        field=field,
        value=int(refused.evidence.get(field) or 0),
        signing_root=str(refused.evidence["signing_root"]),
        recorded_signing_root=str(refused.evidence["recorded_signing_root"]),
        principal=refused.principal,
        address=refused.address,
        request_id=refused.request_id,
        recorded_principal=signed.principal,
        recorded_request_id=signed.request_id.hex(),
        recorded_ms=signed.time_ms,
    )


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
