"""Finding and running compilers, which are programs of the author's machine."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from signer.durable import read_regular
from signer.errors import PolicyBuildError, PolicyToolMissingError
from signer.policy.limits import MAX_MODULE_BYTES

TIMEOUT_SECONDS = 600.0
"""A compiler that takes longer hangs; the slowest we know takes ten seconds."""

_MOST_SAID = 8000
"""Characters of a compiler's words that are kept, the first of them: the first error is the one that counts."""


@dataclass(frozen=True, slots=True)
class Source:
    """What is built."""

    directory: Path
    file: Path
    """Inside of the directory."""

    entry_point: str = ""
    """Of Rego: the rule that decides."""

    @property
    def name(self) -> str:
        """The file as compilers are told it: relative to the folder in which they run."""
        return str(self.file.relative_to(self.directory))


@dataclass(frozen=True, slots=True)
class Built:
    """What came of it."""

    module: bytes
    said: str = ""
    """The compiler's warnings."""


def find_program(name: str) -> Path | None:
    """The program of this name on the path."""
    found = shutil.which(name)
    return Path(found) if found else None


def missing(program: str, *, language: str, remedy: str) -> PolicyToolMissingError:
    """The error about a compiler that is not there."""
    return PolicyToolMissingError(
        f"{language} is built with {program}, and it is not installed here", program=program, remedy=remedy
    )


def run(program: Path, arguments: Sequence[str], source: Source, *, remedy: str) -> str:
    """Run a compiler in the source's folder; what it said.

    Raises:
        PolicyBuildError: it failed; holds what it said. `remedy` is for where that does not show what to do.
    """
    command = [str(program), *arguments]
    try:
        ended = subprocess.run(  # noqa: S603 - a compiler that the author installed, without a shell
            command,
            cwd=source.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except OSError as error:
        raise PolicyBuildError(
            f"{program} cannot be run: {error.strerror or error}", said="", remedy="look at the program's permissions"
        ) from None
    except subprocess.TimeoutExpired:
        raise PolicyBuildError(
            f"{program.name} has not ended after {TIMEOUT_SECONDS:.0f} s", said="", remedy="run it by hand and look"
        ) from None
    said = ended.stdout.decode(errors="replace").strip()[:_MOST_SAID]
    if ended.returncode != 0:
        raise PolicyBuildError(f"{program.name} does not build {source.file}", said=said, remedy=remedy)
    return said


@contextmanager
def output_file(name: str) -> Iterator[Path]:
    """A place for what the compiler writes; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="holdfast-policy-") as directory:
        yield Path(directory) / name


def read_module(file: Path) -> bytes:
    """The module that a compiler wrote. Raises UnreadableFileError."""
    return read_regular(file, limit_bytes=MAX_MODULE_BYTES)
