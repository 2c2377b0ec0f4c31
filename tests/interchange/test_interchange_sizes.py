"""Documents of hundreds of megabytes pass through in bounded memory: measured from outside, in a process of its own."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
MEGABYTE = 1_000_000
MOST_MEMORY = 200 * MEGABYTE

THROUGH = """
import hashlib, sys
from interchange import parse, serialise
from interchange.parse import find_metadata, histories

def pieces():
    with open(sys.argv[1], "rb") as stream:
        while piece := stream.read(1 << 20):
            yield piece

written = hashlib.sha256()
for piece in serialise(find_metadata(parse(pieces())), histories(parse(pieces()))):
    written.update(piece)
with open("/proc/self/status") as status:  # ru_maxrss would count the parent's memory too: it survives fork and exec
    most = next(line for line in status if line.startswith("VmHWM")).split()[1]
print(written.hexdigest(), int(most) * 1024)
"""
"""Reads a file, writes the same document to a digest, and prints that and the most memory it had, bytes."""


def write_document(path: Path, *, size: int) -> str:
    """A document in our own spelling of about this size, and its SHA-256. Each validator has 5,000 votes."""
    votes = ",\n".join(
        f'        {{"source_epoch": "{n}", "target_epoch": "{n + 1}", "signing_root": "0x{n:064x}"}}'
        for n in range(5_000)
    )
    tail = f'      "signed_blocks": [],\n      "signed_attestations": [\n{votes}\n      ]\n    }}'
    head = (
        '{\n  "metadata": {\n    "interchange_format_version": "5",\n'
        f'    "genesis_validators_root": "0x{7:064x}"\n  }},\n  "data": ['
    )
    digest, written, number = hashlib.sha256(), 0, 0
    with path.open("wb") as file:
        text = head
        while written < size:
            element = f'\n    {{\n      "pubkey": "0x{number:096x}",\n{tail}'
            text += element if number == 0 else "," + element
            piece = text.encode()
            file.write(piece)
            digest.update(piece)
            written, number, text = written + len(piece), number + 1, ""
        end = b"\n  ]\n}\n"
        file.write(end)
        digest.update(end)
    return digest.hexdigest()


def pass_through(path: Path, *, seconds: float) -> tuple[str, int]:
    """What came out, and the most memory."""
    command = [sys.executable, "-c", THROUGH, str(path)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=seconds)
    digest, memory = done.stdout.split()
    return digest, int(memory)


@pytest.mark.parametrize(
    ("megabytes", "seconds"), [(300, 240), pytest.param(5_000, 3_600, marks=pytest.mark.torture)], ids=["300MB", "5GB"]
)
def test_a_large_document_passes_through_whole_in_bounded_memory(tmp_path: Path, megabytes: int, seconds: int) -> None:
    file = tmp_path / "large.json"
    expected = write_document(file, size=megabytes * MEGABYTE)
    try:
        assert file.stat().st_size >= megabytes * MEGABYTE
        digest, memory = pass_through(file, seconds=seconds)
    finally:
        file.unlink()
    assert digest == expected
    assert memory < MOST_MEMORY
