"""The manifest that authors write, from its text to types; `folder.py` shows one. Pure: files are its caller's."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from msgspec import Struct

from signer.errors import ConfigError
from signer.policy.combine import BY_DEFAULT
from signer.policy.grants import HostFunction
from signer.policy.limits import DEFAULT_LIMITS, MAX_FUEL, MAX_MEMORY_BYTES, MAX_WALL_SECONDS
from signer.policy.pack import Kind, Manifest
from signer.policy.rules import values
from signer.written import NO_PATHS, Tree, parse_yaml
from signer.written import Mapping as TreeMapping

VERSION = 1
"""Of the manifest's format."""

MODULE = "policy.wasm"
CASES = "cases.yaml"
RULES = "policy.yaml"
"""The files' names where the manifest does not say others."""

NAME = r"[a-z0-9][a-z0-9-]{0,63}"
NAME_TEXT = "1 to 64 of the characters a-z, 0-9 and hyphen"

_GRANTED = r"[A-Za-z0-9_.:/-]{1,128}"
_GRANTED_TEXT = "a name of letters, digits and _ . : / -, at most 128"
_MOST_GRANTED = 256
_FILE = r"(?!.*(?:^|/)\.\.?(?:/|$))[A-Za-z0-9_.][A-Za-z0-9_./-]{0,199}"
_KEYS = ("version", "name", "description", "kind", "build", "source", "cases")
_OF_REGO = ("data", "entry_point")
_OF_MODULES = ("module", "functions", "counters", "lists", "fuel", "memory_bytes", "wall_milliseconds", *_OF_REGO)


class Language(StrEnum):
    """What a policy is written in."""

    RUST = "rust"
    ASSEMBLYSCRIPT = "assemblyscript"
    C = "c"
    WAT = "wat"
    REGO = "rego"
    YAML = "yaml"
    """Rules: nothing is built."""


SOURCES: Mapping[Language, str] = MappingProxyType(
    {
        Language.RUST: "policy.rs",
        Language.ASSEMBLYSCRIPT: "policy.ts",
        Language.C: "policy.c",
        Language.WAT: "policy.wat",
        Language.REGO: "policy.rego",
        Language.YAML: RULES,
    }
)
"""The source's name where the manifest does not say another."""


class ManifestFile(Struct, frozen=True, kw_only=True):
    """What an author says of a policy. File names are relative to the manifest's folder, and inside of it."""

    manifest: Manifest
    language: Language | None
    """None where something else builds the module."""

    source: str
    """Empty where there is none."""

    content: str
    """What decides: the module, or the file of rules."""

    cases: str
    data: str
    """Empty where there is none."""


def read_manifest_file(text: str, *, name: str) -> ManifestFile:
    """What the file says; `name` is what errors call it.

    Raises:
        ConfigError: anything in it that is wrong or missing, with file, line, key and remedy.
    """
    root = parse_yaml(text, name=name, directory=NO_PATHS, begin="version")
    entries = values.read_entries(root, "", known=(*_KEYS, *_OF_MODULES))
    if "version" not in entries:
        raise _missing(root, "version", f"add `version: {VERSION}`")
    if values.read_whole(entries["version"], "version") != VERSION:
        raise values.wrong(entries["version"], "version", str(VERSION))
    if "name" not in entries:
        raise _missing(root, "name", "add `name:`")
    if getattr(entries["name"], "text", "") == BY_DEFAULT:
        raise values.wrong(entries["name"], "name", "another name: answers call the namespace's default so")
    language = Language(values.read_choice(entries["build"], "build", Language)) if "build" in entries else None
    kind = _kind(entries, root, language)
    _check_belongs(entries, kind, language)
    source = _file(entries, "source", SOURCES[language] if language else RULES if kind is Kind.RULES else "")
    return ManifestFile(
        manifest=_manifest(entries, kind),
        language=Language.YAML if kind is Kind.RULES else language,
        source=source,
        content=source if kind is Kind.RULES else _file(entries, "module", MODULE),
        cases=_file(entries, "cases", CASES),
        data=_file(entries, "data", ""),
    )


def _kind(entries: Mapping[str, Tree], root: TreeMapping, language: Language | None) -> Kind:
    built = None if language is None else Kind.RULES if language is Language.YAML else Kind.MODULE
    said = Kind(values.read_choice(entries["kind"], "kind", Kind)) if "kind" in entries else None
    if built and said and built is not said:
        raise _misplaced(entries, "kind", f"what is built of {language} is {built}, not {said}")
    found = built or said
    if found is None:
        raise _missing(root, "build", f"add `build:` with one of {', '.join(Language)}; or `kind: module`")
    return found


def _check_belongs(entries: Mapping[str, Tree], kind: Kind, language: Language | None) -> None:
    """What says nothing about this kind of policy is an error: its author believes that it does."""
    for key in _OF_MODULES:
        if key in entries and kind is Kind.RULES:
            raise _misplaced(entries, key, f"{key} says nothing about a file of rules")
    for key in _OF_REGO:
        if key in entries and language not in {Language.REGO, None}:
            raise _misplaced(entries, key, f"{key} is of Rego alone")
    if language is None and kind is Kind.MODULE and "source" in entries:
        raise _misplaced(entries, "source", "source says nothing without `build`, which names its language")


def _manifest(entries: Mapping[str, Tree], kind: Kind) -> Manifest:
    functions = (
        values.read_choices(entries["functions"], "functions", HostFunction) if "functions" in entries else frozenset()
    )
    wall_milliseconds = int(DEFAULT_LIMITS.wall_seconds * 1000)
    return Manifest(
        name=values.read_text(entries["name"], "name", pattern=NAME, expected=NAME_TEXT),
        kind=kind,
        description=_text(entries, "description", pattern=r"[^\n]{1,1024}"),
        functions=tuple(map(HostFunction, sorted(functions))),
        counters=_names(entries, "counters"),
        lists=_names(entries, "lists"),
        entry_point=_text(entries, "entry_point", pattern=r"[A-Za-z0-9_./-]{1,256}"),
        fuel=_number(entries, "fuel", DEFAULT_LIMITS.fuel, most=MAX_FUEL),
        memory_bytes=_number(
            entries, "memory_bytes", DEFAULT_LIMITS.memory_bytes, least=1 << 16, most=MAX_MEMORY_BYTES
        ),
        wall_milliseconds=_number(entries, "wall_milliseconds", wall_milliseconds, most=int(MAX_WALL_SECONDS * 1000)),
    )


def _text(entries: Mapping[str, Tree], key: str, *, pattern: str) -> str:
    return values.read_text(entries[key], key, pattern=pattern) if key in entries else ""


def _number(entries: Mapping[str, Tree], key: str, otherwise: int, *, most: int, least: int = 1) -> int:
    return values.read_whole(entries[key], key, least=least, most=most) if key in entries else otherwise


def _names(entries: Mapping[str, Tree], key: str) -> tuple[str, ...]:
    if key not in entries:
        return ()
    names = values.read_texts(entries[key], key, pattern=_GRANTED, expected=_GRANTED_TEXT)
    if len(names) > _MOST_GRANTED:
        raise values.wrong(entries[key], key, f"at most {_MOST_GRANTED} names")
    return tuple(sorted(names))


def _file(entries: Mapping[str, Tree], key: str, otherwise: str) -> str:
    if key not in entries:
        return otherwise
    return values.read_text(entries[key], key, pattern=_FILE, expected="the name of a file in this folder")


def _missing(root: TreeMapping, key: str, remedy: str) -> ConfigError:
    return ConfigError(f"the manifest names no {key}", where=root.origin.where, key=key, remedy=remedy)


def _misplaced(entries: Mapping[str, Tree], key: str, sentence: str) -> ConfigError:
    return ConfigError(sentence, where=entries[key].origin.where, key=key, remedy=f"take `{key}` out")
