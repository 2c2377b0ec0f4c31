"""A large document passes through in little memory: measured from outside, in a process of its own."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from interchange import Metadata, SignedAttestation, ValidatorHistory, serialise

REPOSITORY = Path(__file__).resolve().parents[2]

COPY = """
import resource, sys
from interchange import Metadata, parse, serialise
from interchange.parse import find_metadata, histories

def pieces():
    with open(sys.argv[1], "rb") as stream:
        while piece := stream.read(65536):
            yield piece

idle = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open(sys.argv[2], "wb") as copy:
    copy.writelines(serialise(find_metadata(parse(pieces())), histories(parse(pieces()))))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - idle)
"""
"""Reads one file, writes another, and prints by how many kibibytes it grew meanwhile."""


def write_document(path: Path, *, validators: int, votes: int) -> None:
    source = random.Random(3076)
    root = source.randbytes(32)

    def histories() -> Iterator[ValidatorHistory]:
        for _ in range(validators):
            pubkey = source.randbytes(48)
            for epochs in batches(votes):
                yield ValidatorHistory(pubkey, (), tuple(SignedAttestation(n, n + 1, root) for n in epochs))

    with path.open("wb") as stream:
        stream.writelines(serialise(Metadata(root), histories()))


def batches(votes: int) -> Iterator[range]:
    return (range(start, min(start + 4096, votes)) for start in range(0, votes, 4096))


def growth_in_kibibytes(source: Path, copy: Path) -> int:
    command = [sys.executable, "-c", COPY, str(source), str(copy)]
    return int(subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize(("validators", "votes"), [(1, 220_000), (500, 440), (55_000, 4)])
def test_thirty_megabytes_pass_through_in_little_memory(tmp_path: Path, validators: int, votes: int) -> None:
    source, copy = tmp_path / "source.json", tmp_path / "copy.json"
    write_document(source, validators=validators, votes=votes)
    assert source.stat().st_size > 30_000_000
    assert growth_in_kibibytes(source, copy) < 24 * 1024
    assert copy.read_bytes() == source.read_bytes()
