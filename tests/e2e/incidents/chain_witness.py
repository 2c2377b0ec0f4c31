"""What the chain sees in a replayed incident: every vote that any signer released, and whether two of them slash."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from duty_requests import line_to, network_of_age, vote_body
from running import RunningSigner, interop_secret, merged, running_signer

NOW = 100
"""The epoch in which an incident begins."""

SECRET = interop_secret(7)

Vote = tuple[int, int, str]


@dataclass
class Witness:
    """Collects the votes of one validator, whoever signed them."""

    votes: set[Vote] = field(default_factory=set)

    def ask(self, signer: RunningSigner, source: int, target: int, mark: str = "") -> str:
        """`signed`, or status and code; a vote that leaves a signer is on the chain."""
        with line_to(signer.port) as line:
            verdict = line.sign(signer.public_keys()[0], vote_body(source, target, mark)).verdict
        if verdict == "signed":
            self.votes.add((source, target, mark))
        return verdict

    @property
    def slashed(self) -> bool:
        """True when two votes on the chain are a double or a surround vote (phase0, is_slashable_attestation_data)."""
        return any(_slashes(one, other) for one, other in combinations(self.votes, 2))


@contextmanager
def signer_at(directory: Path, sections: Mapping[str, Any] | None = None) -> Iterator[RunningSigner]:
    """A running signer of the one validator, on a chain that is NOW epochs old; no safeguard is switched off."""
    directory.mkdir(exist_ok=True)
    quarantine = {"keys": {"quarantine_epochs": 2}}
    chain = network_of_age(directory, NOW + 0.25)
    with running_signer(
        directory, secrets=[SECRET], sections=merged(merged(quarantine, chain), sections or {})
    ) as signer:
        yield signer


WITHOUT_QUARANTINE = {"keys": {"quarantine_epochs": 0}}
"""As every signer is that knows no quarantine."""


def forget_everything(signer: RunningSigner) -> None:
    """Take away whatever could tell that there was a record."""
    shutil.rmtree(signer.data_directory)
    signer.data_directory.mkdir(mode=0o700)


def _slashes(one: Vote, other: Vote) -> bool:
    double = one[1] == other[1] and one != other
    return double or one[0] < other[0] <= other[1] < one[1] or other[0] < one[0] <= one[1] < other[1]
