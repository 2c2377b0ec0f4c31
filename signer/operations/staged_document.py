"""A document staged for an import: in a process of its own where it is long, so that no signature waits for it.

Reading a long document is pure Python: on a thread of this process it would take the interpreter from the requests.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from signer.errors import SignerError
from signer.slashing.staging import Furthest, Staged, Unusable, decode_outcome, stage

OWN_PROCESS_BYTES = 1 << 20
"""A shorter document is read on a thread: some tens of milliseconds, less than a process takes to start."""

_PARTS_PREFIX = ".holdfast-writing-parts-"
"""A crash leaves the parts behind under this name; the next start sweeps them (durable.py)."""

_LAST_WORDS = 500
"""Characters of what a failed process said that an error repeats."""


@contextmanager
def parts_file(directory: Path) -> Iterator[Path]:
    """A private file for the parts, which is gone afterwards. Raises OSError."""
    with tempfile.NamedTemporaryFile(dir=directory, prefix=_PARTS_PREFIX) as file:
        yield Path(file.name)


async def stage_document(document: Path, parts: Path, furthest: Furthest | None) -> Staged | Unusable:
    """See `staging.stage`.

    Raises:
        SignerError: the process that should read it has failed.
    """
    if await asyncio.to_thread(_is_long, document):
        return await _stage_apart(document, parts, furthest)
    return await asyncio.to_thread(stage, document, parts, furthest)


def _is_long(document: Path) -> bool:
    try:
        return document.stat().st_size > OWN_PROCESS_BYTES
    except OSError:
        return False  # the reading itself will tell


async def _stage_apart(document: Path, parts: Path, furthest: Furthest | None) -> Staged | Unusable:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "signer.slashing.staging", document, parts),
        *map(str, furthest or ()),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    try:
        told, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        words = complaint.decode(errors="replace").strip()[-_LAST_WORDS:]
        raise SignerError(
            f"the process that reads {document.name} has failed ({process.returncode}); nothing was changed: {words}"
        )
    return decode_outcome(told)
