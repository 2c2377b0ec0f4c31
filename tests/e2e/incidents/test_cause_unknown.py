"""2023-11, Bitcoin Suisse, some 100 validators; and whatever else was never explained. Nobody knows what to replay, so
this replays everything that is known to have gone wrong elsewhere, in random order: clients that vote twice or late,
restarts, databases that go back in time, keys that appear on a second machine, moves, moves that are asked for again,
old receipts and old files used once more.

The operators keep the words that they give: a restored record is accepted only where nothing has left it since.
"""

import random
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import pytest
from journal.record import public_key
from operations.migrating_twin import Place, opened
from operations.record_twin import NOW
from operations.test_quarantine import load

from signer.errors import RolledBackError, SignerError
from signer.eth2.builtin_networks import find_network
from signer.operations.restore import Moment, accept_restore, plan_restore

KEY = public_key(1)
EPOCH_SECONDS = 384
MAINNET = find_network("mainnet")
assert MAINNET is not None
EPOCH = MAINNET.epoch_at(NOW) or 0
STEPS = 40
PATIENCE = 2
"""Whole epochs until somebody takes the keys away from a machine where they should not be."""

Vote = tuple[int, int, int]


def slashed(votes: set[Vote]) -> bool:
    """Double or surround votes on the chain (phase0, is_slashable_attestation_data)."""
    return any(
        (one[1] == other[1]) or (one[0] < other[0] and other[1] < one[1]) or (other[0] < one[0] and one[1] < other[1])
        for one, other in combinations(votes, 2)
    )


class Machine:
    """One signer of ours, with a client that votes whenever it can."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seconds = NOW
        self.backup: Path | None = None
        self._open: AbstractContextManager[Place] | None = None
        self.start()

    def start(self) -> None:
        """Start it; a record that went back is accepted."""
        try:
            self._begin()
        except RolledBackError:
            self._accept()
            self._begin()

    def _begin(self) -> None:
        opening = opened(self.directory)
        self.place = opening.__enter__()
        self.place.house.clock.seconds = self.seconds
        self._open = opening

    def _accept(self) -> None:
        places = self.place.house.places
        plan = plan_restore(places, Moment(replace(MAINNET), self.seconds, 1))
        assert plan is not None
        accept_restore(places, plan, now_ms=int(self.seconds * 1000), principal="operator")

    def stop(self) -> None:
        assert self._open is not None
        self._open.__exit__(None, None, None)
        self._open = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def back_up(self) -> None:
        self.stop()
        self.backup = self.directory / "backup.sqlite"
        shutil.copy2(self.directory / "data" / "journal.sqlite", self.backup)
        self.start()

    def restore(self) -> None:
        if self.backup is None:
            return
        self.stop()
        for file in (self.directory / "data").glob("journal.sqlite*"):
            file.unlink()
        shutil.copy2(self.backup, self.directory / "data" / "journal.sqlite")
        self.start()

    def at(self, seconds: float) -> None:
        self.seconds = self.place.house.clock.seconds = seconds

    def vote(self, vote: Vote) -> bool:
        return self.place.votes(1, vote[0], vote[1], mark=vote[2]) == "signed"

    def deploy(self) -> None:
        load(self.place.house, self.place.record, KEY)

    def leave(self) -> tuple[bytes, bytes]:
        receipt = self.place.leave(KEY).receipt
        self.backup = None  # the operator would resurrect a key that has left
        return receipt, self.place.parcel.read_bytes()

    def arrive(self, parcel: tuple[bytes, bytes]) -> bool:
        document = self.directory / "arriving.json"
        document.write_bytes(parcel[1])
        try:
            self.place.arrive(parcel[0], document)
        except SignerError:
            return False
        self.backup = None
        return True


@dataclass
class Forgetful:
    """The same without safeguards: it remembers what it has signed itself, and believes everybody."""

    votes: set[Vote] = field(default_factory=set)
    saved: set[Vote] | None = None

    def at(self, seconds: float) -> None:
        """It asks no clock."""

    def restart(self) -> None:
        """It keeps its memory on the disk."""

    def deploy(self) -> None:
        """A key is a key."""

    def stop(self) -> None:
        """It has nothing to close."""

    def vote(self, vote: Vote) -> bool:
        if vote not in self.votes and slashed(self.votes | {vote}):
            return False
        self.votes.add(vote)
        return True

    def back_up(self) -> None:
        self.saved = set(self.votes)

    def restore(self) -> None:
        self.votes = self.votes if self.saved is None else set(self.saved)

    def leave(self) -> set[Vote]:
        return set(self.votes)

    def arrive(self, parcel: set[Vote]) -> bool:
        self.votes |= parcel
        return True


@dataclass
class Story:
    """One run of mishaps over two machines; the second one should not have the keys yet."""

    chance: random.Random
    machines: tuple
    epoch: int = EPOCH
    home: int = 0
    astray_until: int | None = None
    """While the keys are on the other machine by mistake."""

    has_strayed: bool = False
    parcels: list = field(default_factory=list)
    released: set[Vote] = field(default_factory=set)

    def run(self) -> set[Vote]:
        steps = [self.vote] * 6 + [self.time_passes] * 4 + [
            self.restart, self.back_up, self.restore, self.stray, self.move, self.use_an_old_parcel,
        ]  # fmt: skip
        for _ in range(STEPS):
            self.chance.choice(steps)()
        return self.released

    @property
    def any_machine(self):
        return self.chance.choice(self.machines)

    def vote(self) -> None:
        """Every client that has a signer with the keys asks it, each with a head of its own."""
        late = self.chance.choice([0, 0, 0, 1, 2])
        # After a move nobody has stopped the clients of the machine that was left.
        asked = {0, 1} if self.astray_until is not None or self.parcels else {self.home}
        for number in sorted(asked):
            vote = (self.epoch - late - self.chance.choice([1, 1, 2]), self.epoch - late, self.chance.choice([1, 2]))
            if self.machines[number].vote(vote):
                self.released.add(vote)

    def time_passes(self) -> None:
        self.epoch += 1
        for machine in self.machines:
            machine.at(NOW + (self.epoch - EPOCH) * EPOCH_SECONDS)
        if self.astray_until is not None and self.epoch > self.astray_until:
            self.astray_until = None

    def restart(self) -> None:
        self.any_machine.restart()

    def back_up(self) -> None:
        self.any_machine.back_up()

    def restore(self) -> None:
        self.any_machine.restore()

    def stray(self) -> None:
        """The keys are deployed to the other machine too. Once: then somebody has looked at it."""
        if not self.has_strayed and not self.parcels:
            self.has_strayed, self.astray_until = True, self.epoch + PATIENCE
            self.machines[1 - self.home].deploy()

    def move(self) -> None:
        """The keys go to the other machine; sometimes the receipt is asked for twice."""
        if self.astray_until is not None:
            return
        parcel = self.machines[self.home].leave()
        if self.chance.random() < 0.3:
            parcel = self.machines[self.home].leave()
        self.parcels.append(parcel)
        assert self.machines[1 - self.home].arrive(parcel)
        self.home = 1 - self.home

    def use_an_old_parcel(self) -> None:
        """Somebody finds a parcel of long ago, and brings it in where he stands."""
        if self.parcels:
            self.any_machine.arrive(self.chance.choice(self.parcels))


@contextmanager
def two_machines(directory: Path) -> Iterator[tuple[Machine, Machine]]:
    machines = Machine(directory / "one"), Machine(directory / "two")
    machines[0].place.votes(1, EPOCH - 9, EPOCH - 8)  # it is in service, and has a past
    try:
        yield machines
    finally:
        for machine in machines:
            machine.stop()


STORIES = range(12)


def test_without_the_safeguards_many_of_these_stories_slash() -> None:
    endings = [slashed(Story(random.Random(seed), (Forgetful(), Forgetful())).run()) for seed in STORIES]
    assert sum(endings) > len(endings) / 2


@pytest.mark.parametrize(
    "seed", [*STORIES, *(pytest.param(seed, marks=pytest.mark.torture) for seed in range(12, 300))]
)
def test_no_order_of_mishaps_slashes(tmp_path: Path, seed: int) -> None:
    with two_machines(tmp_path) as machines:
        released = Story(random.Random(seed), machines).run()
    assert released, "a story in which nothing is signed tells nothing"
    assert not slashed(released)
