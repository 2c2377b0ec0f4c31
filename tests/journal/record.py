"""A journal on disk for tests, with the ledgers of the real service."""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from signer.approvals.ledger import ApprovalLedger
from signer.audit.entry import Entry, Kind, Outcome, encode_entry
from signer.audit.head import HeadFile, create_head_file
from signer.audit.ledger import AuditLog, read_log_head
from signer.journal.command import Command, Verdict
from signer.journal.embedded import Embedded
from signer.journal.sqlite import SqliteDatabase, create_database, database_id, open_writer
from signer.journal.writer import Writer
from signer.keys.ledger import KeyStateLedger
from signer.keys.preference_ledger import PreferenceLedger
from signer.policy.counters import CounterLedger
from signer.policy.policy_set_ledger import PolicySetLedger
from signer.slashing.ledger import AttestationClaim, AttestationLedger, BlockClaim, BlockLedger
from signer.slashing.network import NetworkLedger
from signer.units import Epoch, PublicKey, Root, Slot


@dataclass(frozen=True)
class PlainStory:
    """Tells outcome and code only."""

    key: bytes = b""

    def entry(self, verdict: Verdict) -> bytes:
        refusal = verdict.refusal
        outcome = Outcome.ALLOWED if refusal is None else Outcome.REFUSED
        return encode_entry(
            Entry(Kind.DUTY, outcome, 1, public_key=self.key, code="" if refusal is None else refusal.code)
        )


@dataclass
class Record:
    """An open journal and what it rests on."""

    directory: Path
    database: SqliteDatabase
    log: AuditLog
    writer: Writer
    deaths: list[Exception]

    def close(self) -> None:
        self.writer.close()
        self.log.close()


def open_record(
    directory: Path, *, max_batch: int = 512, observer: object = None, deadline_seconds: float = math.inf
) -> Record:
    path, head_path = directory / "journal.sqlite", directory / "audit-head"
    if not path.exists():
        create_database(path, database_id=os.urandom(16))
    database = open_writer(path)
    head = read_log_head(database, database_id=database_id(database))
    if not head_path.exists():
        create_head_file(head_path, head)
    log = AuditLog(head, HeadFile(head_path))
    deaths: list[Exception] = []
    writer = Writer(
        Embedded(database, log),
        ledgers=[
            KeyStateLedger(),
            PreferenceLedger(),
            PolicySetLedger(),
            ApprovalLedger(),
            CounterLedger(),
            AttestationLedger(),
            BlockLedger(),
            NetworkLedger(),
        ],
        log=log,
        on_death=deaths.append,
        max_batch=max_batch,
        observer=observer,
        deadline_seconds=deadline_seconds,
    )
    writer.start()
    return Record(directory, database, log, writer, deaths)


def public_key(number: int) -> PublicKey:
    return PublicKey(number.to_bytes(48, "big"))


def root(number: int) -> Root:
    return Root(number.to_bytes(32, "big"))


def vote(source: int, target: int, *, key: int = 1, mark: int = 1) -> Command:
    claim = AttestationClaim(public_key(key), Epoch(source), Epoch(target), root(mark))
    return Command((claim,), PlainStory(claim.public_key))


def block(slot: int, *, key: int = 1, mark: int = 1) -> Command:
    claim = BlockClaim(public_key(key), Slot(slot), root(mark))
    return Command((claim,), PlainStory(claim.public_key))
