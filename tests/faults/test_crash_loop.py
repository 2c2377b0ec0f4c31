"""`kill -9` at random moments under load: a crash may cost a duty, never a slashing.

Every signature that a client received is remembered in this process. After each kill the database is read as it lies on
the disk, and after each restart the signer is asked again: every received signature has its record and its audit entry,
the chain verifies, the same signature comes again and a conflicting one is refused.
"""

import random
import shutil
import time
from pathlib import Path

import pytest
from duty_requests import NO_GUARD, line_to
from faults.witness import Asked, LoadingClient, Witness
from running import RunningSigner, interop_secret, running_signer

from signer.audit.chain import EMPTY_HEAD, unpack
from signer.audit.entry import Outcome, decode_entry
from signer.audit.head import read_head
from signer.audit.verify import stored_batches, verify_log
from signer.crypto.bls import SecretKey, load
from signer.journal.sqlite import open_writer

KEYS = 12
CLIENTS = 6
MOST_LOAD_SECONDS = 0.35
START_KILLED = 0.15
"""How often, of all rounds, the signer is killed while it starts too."""


class RecordAtRest:
    """What the killed signer left on the disk, read by another connection to a copy of it."""

    def __init__(self) -> None:
        self.size = 0
        self.head = EMPTY_HEAD
        self.allowed: set[tuple[bytes, bytes]] = set()
        """Public key and signing root of every duty that the audit log says was allowed."""

    def read(self, data: Path, scratch: Path) -> None:
        """Verify what was appended since the last time, and learn its entries."""
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        for file in data.glob("journal.sqlite*"):
            shutil.copy(file, scratch / file.name)
        database = open_writer(scratch / "journal.sqlite")
        try:
            batches = list(stored_batches(database, start=self.size))
            found = verify_log(batches, size=self.size, head=self.head)
            anchor = read_head(data / "head")
            assert anchor is None or anchor.size <= found.size, "the head file is never ahead of the database"
            self.size, self.head = found.size, found.head
            for batch in batches:
                for entry in map(decode_entry, unpack(batch.entries)):
                    if entry.outcome is Outcome.ALLOWED:
                        self.allowed.add((entry.public_key, entry.signing_root))
            self.recorded = {
                (bytes(key), bytes(root))
                for table in ("signed_attestations", "signed_blocks")
                for key, root in database.rows(
                    f"SELECT public_key, signing_root FROM {table} JOIN validators ON validators.id = validator_id"
                )
            }
        finally:
            database.close()


def load_until_killed(signer: RunningSigner, witness: Witness, *, seed: str, round_: int, seconds: float) -> None:
    clients = [
        LoadingClient(signer.port, witness, seed=f"{seed} {number}", start_at=10 + 2 * round_)
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    time.sleep(seconds)  # the random moment
    signer.kill()
    for client in clients:
        client.join(timeout=60)
        assert not client.is_alive()


def check_asked_again(signer: RunningSigner, witness: Witness, asked: list[Asked]) -> None:
    """The same signature for the same duty; a refusal for another one in its place."""
    with line_to(signer.port) as line:
        repeats = line.sign_all([(witness.keys[one.key], one.body()) for one in asked])
        conflicts = line.sign_all([(witness.keys[one.key], one.against().body()) for one in asked])
    for one, repeat, conflict in zip(asked, repeats, conflicts, strict=True):
        assert repeat == witness.received[one], one
        assert conflict.startswith("412 "), (one, conflict)


def crash(tmp_path: Path, *, rounds: int, seed: str, workers: int = 1) -> Witness:
    """The loop. What happened is in the witness."""
    draw = random.Random(seed)
    bls = load()
    secrets = [SecretKey.from_bytes(interop_secret(number).to_bytes(32, "big")) for number in range(KEYS)]
    keys = ["0x" + bls.public_key(secret).hex() for secret in secrets]
    witness, at_rest = Witness(keys, secrets, bls), RecordAtRest()
    sections = {**NO_GUARD, "server": {"workers": workers}}
    all_keys = map(interop_secret, range(KEYS))
    with running_signer(tmp_path, secrets=all_keys, sections=sections) as signer:
        for round_ in range(rounds):
            before = set(witness.received)
            seconds = draw.uniform(0.01, MOST_LOAD_SECONDS)
            load_until_killed(signer, witness, seed=f"{seed} {round_}", round_=round_, seconds=seconds)
            fresh = [asked for asked in witness.received if asked not in before]
            at_rest.read(signer.data_directory, tmp_path / "copy")
            for asked in fresh:
                mark = (bytes.fromhex(keys[asked.key][2:]), witness.root(asked))
                assert mark in at_rest.allowed, f"no audit entry: {asked}"
                assert mark in at_rest.recorded, f"no record: {asked}"
                witness.check_signature(asked)
            if draw.random() < START_KILLED:
                signer.start()
                time.sleep(draw.uniform(0, 1))
                signer.kill()
            signer.restart()
            older = draw.sample(sorted(before, key=repr), min(len(before), 20))
            check_asked_again(signer, witness, fresh + older)
        verified = signer.holdfast("audit", "verify")
        assert verified.returncode == 0, verified.stderr
        assert signer.stop() == 0
    at_rest.read(signer.data_directory, tmp_path / "copy")
    witness.check_no_conflicts()
    assert witness.received, "a run in which nobody received anything proves nothing"
    assert witness.refused, "a run without a refusal never asked for a conflict"
    return witness


def test_fifty_kills_under_load_lose_nothing_that_was_given_out(tmp_path: Path) -> None:
    witness = crash(tmp_path, rounds=50, seed="ci")
    assert len(witness.received) > 500, "the kills came before the load"


def test_kills_of_a_main_process_with_workers_lose_nothing_either(tmp_path: Path) -> None:
    """The workers die with it: what they released, the main process had recorded."""
    crash(tmp_path, rounds=8, seed="ci workers", workers=2)


@pytest.mark.torture
@pytest.mark.parametrize("part", range(5))
def test_five_hundred_kills_under_load_lose_nothing_that_was_given_out(tmp_path: Path, part: int) -> None:
    crash(tmp_path, rounds=100, seed=f"torture {part} {time.time()}", workers=1 + part % 2)
