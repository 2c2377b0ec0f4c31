"""The policy that a command is about: a folder, or a pack that was made of one; its cases, and a context to try."""

import sys
from dataclasses import dataclass
from pathlib import Path

from signer.cli.problem import UsageFault
from signer.durable import read_regular
from signer.errors import ConfigError, UnreadableFileError
from signer.policy.cases import Case, read_cases, read_facts
from signer.policy.facts import MAX_FACTS_BYTES, Facts
from signer.policy.folder import Folder, pack_folder, read_folder, read_text_file
from signer.policy.given import NOTHING_GIVEN, Given
from signer.policy.limits import MAX_MODULE_BYTES
from signer.policy.pack import MAX_DATA_BYTES, MAX_MANIFEST_BYTES, Kind, Pack, read_pack

MAX_PACK_BYTES = MAX_MANIFEST_BYTES + MAX_MODULE_BYTES + MAX_DATA_BYTES + 64
"""The largest pack, with what frames its parts."""

MAX_CASES_BYTES = 4 << 20

STANDARD_INPUT = Path("-")


@dataclass(frozen=True, slots=True)
class Target:
    """What was named on the command line."""

    pack: Pack
    where: Path
    folder: Folder | None
    """None where it was a pack."""

    @property
    def name(self) -> str:
        """What findings call the rules: their file; of a pack the policy's name, as a signer does."""
        return str(self.folder.content) if self.folder else self.pack.manifest.name


def find_target(path: Path) -> Target:
    """The policy in a folder, or of a pack.

    Raises:
        ConfigError, UnreadableFileError, PolicyPackError: there is none, or it is at fault.
    """
    if path.is_file():
        return Target(read_pack(read_regular(path, limit_bytes=MAX_PACK_BYTES)), path, None)
    folder = read_folder(path)
    return Target(pack_folder(folder), path, folder)


def find_cases(target: Target, file: Path | None) -> tuple[Case, ...]:
    """The cases of this file, or of the folder where none is named.

    Rules are answered nothing: a case that says what is counted or listed would be believed to be heard.

    Raises:
        ConfigError, UnreadableFileError, UsageFault: there are none, or they are at fault.
    """
    wanted = file or (target.folder.cases if target.folder else None)
    if wanted is None:
        raise UsageFault(f"{target.where} is a pack, and holds no cases", remedy="add --cases FILE")
    if not wanted.exists():
        raise ConfigError(
            f"{wanted} is not there",
            where=str(wanted),
            key="cases",
            remedy="write requests with the verdicts that you expect: see `holdfast policy test --help`",
        )
    cases = read_cases(read_text_file(wanted, limit_bytes=MAX_CASES_BYTES), name=str(wanted))
    for case in cases:
        if case.given != NOTHING_GIVEN and target.pack.manifest.kind is Kind.RULES:
            raise ConfigError(
                "rules read no counters and ask no lists: `given` says nothing to them",
                where=case.where,
                key="given",
                remedy="take `given` out; limits are compared by `reserves`",
            )
    return cases


def find_context(target: Target, *, facts: Path | None, case: str | None, cases: Path | None) -> tuple[Facts, Given]:
    """The context of --facts or of --case.

    Raises:
        ConfigError, UnreadableFileError: it cannot be read.
        UsageFault: neither is named, or both, or no case has this name.
    """
    if (facts is None) is (case is None):
        raise UsageFault("a context is needed", remedy="name it with --facts FILE (- is standard input) or --case NAME")
    if facts is not None:
        return _read_facts(facts), NOTHING_GIVEN
    known = find_cases(target, cases)
    found = next((each for each in known if each.name == case), None)
    if found is None:
        some = ", ".join(f"`{each.name}`" for each in known[:5])
        raise UsageFault(f"no case is named {case!r}", remedy=f"name one of {some}{', ...' if known[5:] else ''}")
    return found.facts, found.given


def _read_facts(file: Path) -> Facts:
    if file != STANDARD_INPUT:
        return read_facts(read_text_file(file, limit_bytes=MAX_FACTS_BYTES), name=str(file))
    text = sys.stdin.buffer.read(MAX_FACTS_BYTES + 1)
    if len(text) > MAX_FACTS_BYTES:
        raise UnreadableFileError("standard input", reason=f"it has more than {MAX_FACTS_BYTES} bytes")
    try:
        return read_facts(text.decode(), name="standard input")
    except UnicodeDecodeError:
        raise UnreadableFileError("standard input", reason="it is not UTF-8") from None
