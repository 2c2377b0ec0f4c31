"""A large document passes through in little memory: measured from outside, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

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
    """In our own spelling, which test_interchange_sizes.py compares too; written as text, which is quick."""
    root = "0x" + "4b" * 32
    own = ",\n".join(
        f'        {{"source_epoch": "{n}", "target_epoch": "{n + 1}", "signing_root": "{root}"}}' for n in range(votes)
    )
    tail = f'      "signed_blocks": [],\n      "signed_attestations": [\n{own}\n      ]\n    }}'
    with path.open("w") as stream:
        stream.write(
            '{\n  "metadata": {\n    "interchange_format_version": "5",\n'
            f'    "genesis_validators_root": "{root}"\n  }},\n  "data": ['
        )
        for number in range(validators):
            stream.write(f'{"," if number else ""}\n    {{\n      "pubkey": "0x{number:096x}",\n{tail}')
        stream.write("\n  ]\n}\n")


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
