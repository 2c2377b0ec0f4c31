"""The folder that an author keeps a policy in: its manifest, its source, its cases, and what was built of it.

    treasury/
        manifest.yaml    what the policy is and may
        policy.rs        the source: policy.rs, .ts, .c, .wat, .rego; of rules policy.yaml
        cases.yaml       requests, and the verdicts expected of them (policies/rules.md, "Cases")
        policy.wasm      the module: what `build` makes of the source. Rules have none: their source decides
        data.json        only of Rego, and only if named: the `data` document

manifest.yaml, version 1; `version`, `name` and one of `build` and `kind` must be there:

    version: 1
    name: treasury                   # 1 to 64 of a-z, 0-9 and hyphen
    description: Payments to listed receivers.
    build: rust                      # rust, assemblyscript, c, wat, rego or yaml
    source: policy.rs                # unless it is policy.rs, .ts, .c, .wat, .rego or .yaml
    module: policy.wasm              # unless it is policy.wasm
    cases: cases.yaml                # unless it is cases.yaml
    functions: [list_contains, log]  # what the module may import of `holdfast`
    counters: [eth:spend]            # counters that it may read
    lists: [receivers]               # lists that it may ask
    fuel: 2000000                    # limits of one decision, unless they are the defaults
    memory_bytes: 1048576
    wall_milliseconds: 100
    data: data.json                  # of Rego
    entry_point: treasury/verdict    # of Rego: the rule that decides

A module that something else builds (TinyGo, Zig) says `kind: module` instead of `build`. A folder with a policy.yaml
and no manifest holds rules, and the policy is named after the folder.

Rule 1: everything that a manifest names lies in its folder.
Rule 2: what stands in a pack is in the folder: the same files make the same pack, wherever and whenever it is made.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from signer.durable import read_regular
from signer.errors import ConfigError, UnreadableFileError
from signer.policy.limits import MAX_MODULE_BYTES
from signer.policy.manifest_file import CASES, NAME, NAME_TEXT, RULES, Language, read_manifest_file
from signer.policy.pack import MAX_DATA_BYTES, MAX_MANIFEST_BYTES, Kind, Manifest, Pack
from signer.policy.rules.file import MAX_FILE_BYTES

MANIFEST = "manifest.yaml"


@dataclass(frozen=True, slots=True)
class Folder:
    """A policy's folder, by its manifest. Whether the other files are there is seen when they are read."""

    directory: Path
    manifest: Manifest
    language: Language | None
    """None where something else builds the module."""

    source: Path | None
    content: Path
    """What decides: the module, or the file of rules."""

    cases: Path
    data: Path | None = None


def read_folder(directory: Path) -> Folder:
    """The policy in this folder.

    Raises:
        ConfigError: there is none, or its manifest is at fault; with file, line, key and remedy.
        UnreadableFileError: the manifest cannot be read.
    """
    file = directory / MANIFEST
    if not file.exists():
        return _without_manifest(directory)
    written = read_manifest_file(read_text_file(file, limit_bytes=MAX_MANIFEST_BYTES), name=str(file))
    return Folder(
        directory,
        written.manifest,
        language=written.language,
        source=directory / written.source if written.source else None,
        content=directory / written.content,
        cases=directory / written.cases,
        data=directory / written.data if written.data else None,
    )


def pack_folder(folder: Folder, *, content: bytes | None = None) -> Pack:
    """The policy as it is in the folder now, or as it will be with this content. Whether that is one is not looked at.

    Raises:
        ConfigError: the module is not there yet.
        UnreadableFileError: a file cannot be read.
    """
    data = read_regular(folder.data, limit_bytes=MAX_DATA_BYTES) if folder.data else b""
    return Pack(folder.manifest, _content(folder) if content is None else content, data)


def _content(folder: Folder) -> bytes:
    rules = folder.manifest.kind is Kind.RULES
    if not rules and not folder.content.exists():
        raise ConfigError(
            f"{folder.content} is not there",
            where=str(folder.content),
            key="module",
            remedy=f"build it: `holdfast policy build {shlex.quote(str(folder.directory))}`"
            if folder.language
            else "put the module there",
        )
    return read_regular(folder.content, limit_bytes=MAX_FILE_BYTES if rules else MAX_MODULE_BYTES)


def read_text_file(file: Path, *, limit_bytes: int) -> str:
    """The text of a file. Raises UnreadableFileError."""
    try:
        return read_regular(file, limit_bytes=limit_bytes).decode()
    except UnicodeDecodeError:
        raise UnreadableFileError(str(file), reason="it is not UTF-8") from None


def _without_manifest(directory: Path) -> Folder:
    rules = directory / RULES
    if not rules.exists():
        raise ConfigError(
            f"{directory} holds no policy: neither {MANIFEST} nor {RULES} is there",
            where=str(directory),
            key="",
            remedy="name the folder of a policy, or begin one with `holdfast policy new`",
        )
    name = directory.resolve().name
    if not re.fullmatch(NAME, name):
        raise ConfigError(
            f"{name!r} cannot be the name of a policy: that is {NAME_TEXT}",
            where=str(directory),
            key="name",
            remedy=f"rename the folder, or write a {MANIFEST} with a name",
        )
    manifest = Manifest(name=name, kind=Kind.RULES)
    return Folder(directory, manifest, language=Language.YAML, source=rules, content=rules, cases=directory / CASES)
