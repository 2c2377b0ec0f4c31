"""`python -m interchange`: check, minify, merge, compare and show EIP-3076 files. The only I/O of the library."""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from interchange.check import check
from interchange.diff import diff
from interchange.errors import InterchangeError, NetworkMismatchError
from interchange.merge import merge
from interchange.parse import Event, Reading, find_metadata, histories, parse
from interchange.report import (
    counted,
    difference_line,
    difference_values,
    finding_line,
    finding_values,
    hex_of,
    summary_line,
    summary_values,
)
from interchange.serialise import serialise
from interchange.summary import Summary, summarise_each

_PIECE_BYTES = 262_144
"""How much of a file is read at once."""

_SHOWN_FINDINGS = 100
"""Findings of one file printed for people; `--json` has all."""

_EXIT_CODES = """exit codes:
  0  done; nothing slashable found, no difference found
  1  check: a file holds slashable messages; diff: the files differ
  2  a file cannot be read or is not EIP-3076, or the command line is wrong"""

_HELP = {
    "check": (
        "find slashable messages",
        "Say whether the messages in a file are slashable among themselves:\nwhich validator's, and which pair.",
    ),
    "minify": (
        "keep the highest of each field",
        "Keep one block and one vote for each validator,\nwhich refuse all that the whole history refuses.",
    ),
    "merge": (
        "make one file of several",
        """Make one file of several of one chain: per validator the highest slot, source and target
of any file. Whole histories are not joined, because nobody knows what was signed in the
gap between two of them.""",
    ),
    "diff": (
        "compare two files",
        """List the validators whose records differ.
  +      only the second file knows the validator
  -      only the first file knows it
  ~      both do
  LOWER  a highest slot, source or target falls: who imports the second file alone may sign again""",
    ),
    "show": (
        "show what is in a file",
        "Show the chain, and for each validator how many records there are and their ranges.",
    ),
}
"""A line and a description for each command."""


class _FileError(Exception):
    """A file and what is wrong with it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except _FileError as error:
        print(f"interchange: {error}", file=sys.stderr)
    except OSError as error:
        told = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"interchange: {told}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    text = "Read and rewrite slashing protection interchange files (EIP-3076, version 5)."
    parser = argparse.ArgumentParser("python -m interchange", None, text, _EXIT_CODES, formatter_class=layout)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    runs = {"check": _check, "minify": _merge, "merge": _merge, "diff": _diff, "show": _show}
    for name, run in runs.items():
        brief, description = _HELP[name]
        command = commands.add_parser(name, help=brief, description=description, epilog=_EXIT_CODES)
        command.formatter_class = layout
        command.set_defaults(run=run)
        if name == "diff":
            command.add_argument("first", type=Path, metavar="FIRST")
            command.add_argument("second", type=Path, metavar="SECOND")
        else:
            command.add_argument("files", type=Path, nargs=1 if name == "minify" else "+", metavar="FILE")
        if run is _merge:
            command.add_argument(
                "-o", "--output", type=Path, metavar="FILE", help="write here instead of standard output"
            )
        else:
            command.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _check(options: argparse.Namespace) -> int:
    reports = {}
    for file in options.files:
        findings = check(_reading(file))
        reports[str(file)] = [finding_values(finding) for finding in findings]
        if options.json:
            continue
        for finding in findings[:_SHOWN_FINDINGS]:
            print(finding_line(finding))
        if len(findings) > _SHOWN_FINDINGS:
            print(f"and {len(findings) - _SHOWN_FINDINGS} more (--json prints all)")
        validators = len({finding.pubkey for finding in findings})
        verdict = (
            f"{counted(len(findings), 'conflict')} in {counted(validators, 'validator')}"
            if findings
            else "nothing slashable"
        )
        print(f"{file}: {verdict}")
    if options.json:
        print(json.dumps(reports, indent=2))
    return 1 if any(reports.values()) else 0


def _merge(options: argparse.Namespace) -> int:
    """Minifying is merging one file."""
    opened: list[Path] = []
    try:
        document = merge(_each_document(options.files, opened))
    except NetworkMismatchError as error:
        raise _FileError(f"{opened[-1]}: {error}") from None
    _write(serialise(document.metadata, document.validators), options.output)
    return 0


def _each_document(files: Iterable[Path], opened: list[Path]) -> Iterator[Iterable[Event]]:
    for file in files:
        opened.append(file)
        yield _reading(file)()


def _diff(options: argparse.Namespace) -> int:
    try:
        differences = diff(_reading(options.first), _reading(options.second))
    except NetworkMismatchError as error:
        raise _FileError(f"{options.second}: {error}") from None
    if options.json:
        print(json.dumps([difference_values(difference) for difference in differences], indent=2))
    else:
        for difference in differences:
            print(difference_line(difference))
    return 1 if differences else 0


def _show(options: argparse.Namespace) -> int:
    reports = {}
    for file in options.files:
        root = hex_of(find_metadata(_reading(file)()).genesis_validators_root)
        summaries = summarise_each(histories(_reading(file)()))
        values = {hex_of(pubkey): summary_values(summary) for pubkey, summary in summaries.items()}
        reports[str(file)] = {"genesis_validators_root": root, "validators": values}
        if not options.json:
            _print_summaries(file, root, summaries)
    if options.json:
        print(json.dumps(reports, indent=2))
    return 0


def _print_summaries(file: Path, root: str, summaries: dict[bytes, Summary]) -> None:
    print(f"{file}: genesis_validators_root {root}, {counted(len(summaries), 'validator')}")
    for pubkey, summary in summaries.items():
        print(f"{hex_of(pubkey)}: {summary_line(summary)}")


def _reading(file: Path) -> Reading:
    """Reads the file anew each time; its errors name the file."""

    def events() -> Iterator[Event]:
        try:
            yield from parse(_pieces(file))
        except InterchangeError as error:
            raise _FileError(f"{file}: {error}") from None

    return events


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


def _write(pieces: Iterable[bytes], output: Path | None) -> None:
    """To standard output, or to a file that is there whole or not at all."""
    if output is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.flush()
        return
    try:
        descriptor, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
    except OSError as error:
        raise _FileError(f"{output}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.writelines(pieces)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(output)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    sys.exit(main())
