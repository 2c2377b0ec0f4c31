"""From what was written to the typed Config, remembering for each key where its value came from."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from signer.config.reading import read_value, wrong_value
from signer.config.sections import Config
from signer.config.setting import Member, find_entry_type, is_section, leaves, members
from signer.config.state import StorageSettings
from signer.config.unknown import unknown_key
from signer.errors import ConfigError
from signer.written import Listing, Mapping, Origin, Scalar, Tree, parse_inline

S = TypeVar("S")

DATA_DIRECTORY_KEY = "storage.data_directory"


@dataclass(slots=True)
class _Reading:
    """One pass over a tree; owned by `build_config` for its length."""

    data_directory: Path
    """Where defaults that are names in the data directory stand."""

    sources: dict[str, str] = field(default_factory=dict)


def build_config(tree: Mapping, *, file: Path | None) -> Config:
    """The typed configuration of a tree; contradictions between its keys are not looked for here.

    Raises:
        ConfigError: an unknown key, a wrong type, a value beyond its limits, an entry that lacks a required key.
    """
    reading = _Reading(_data_directory(tree))
    config = _build(Config, tree, prefix="", reading=reading)
    return replace(config, file=file, sources=MappingProxyType(reading.sources))


def _data_directory(tree: Mapping) -> Path:
    """Read ahead of all others: other defaults stand in it."""
    member = next(each for each in members(StorageSettings) if each.name == "data_directory")
    storage = tree.entries.get("storage")
    written = storage.entries.get("data_directory") if isinstance(storage, Mapping) else None
    if written is None:
        return Path(member.default)
    return Path(read_value(written, member.hint, member.setting, DATA_DIRECTORY_KEY))


def _build(of: type[S], tree: Tree, *, prefix: str, reading: _Reading) -> S:
    entries = _entries(tree, prefix)
    known = {member.name: member for member in members(of)}
    for name, written in entries.items():
        if name not in known:
            raise unknown_key(name, prefix=prefix, where=written.origin.where, beside=known, every_key=_every_key())
    given = {
        name: _member_value(member, entries.get(name), key=prefix + name, where=tree.origin, reading=reading)
        for name, member in known.items()
    }
    return of(**given)


def _entries(tree: Tree, prefix: str) -> dict[str, Tree]:
    """What a section holds; a section whose lines are all commented out is null in YAML, and empty to us."""
    if isinstance(tree, Mapping):
        return dict(tree.entries)
    if isinstance(tree, Scalar) and tree.kind == "null":
        return {}
    key = prefix.removesuffix(".")
    raise ConfigError(
        f"{key} is a section, not a value",
        where=tree.origin.where,
        key=key,
        remedy=f"name a key in it: {', '.join(each for each in _every_key() if each.startswith(prefix))}",
    )


def _every_key() -> Iterator[str]:
    return (leaf.key for leaf in leaves(Config) if "[]" not in leaf.key)


def _member_value(member: Member, written: Tree | None, *, key: str, where: Origin, reading: _Reading) -> Any:
    if is_section(member.hint):
        return _build(member.hint, written or Mapping({}, where), prefix=key + ".", reading=reading)
    if written is None:
        return _default(member, key=key, where=where, reading=reading)
    reading.sources[key] = written.origin.where
    entry = find_entry_type(member.hint)
    if entry is None:
        return read_value(written, member.hint, member.setting, key)
    return tuple(
        _build(entry, each, prefix=f"{key}[{index}].", reading=reading)
        for index, each in enumerate(_list_of_sections(written, member, key))
    )


def _default(member: Member, *, key: str, where: Origin, reading: _Reading) -> Any:
    if member.setting.required:
        raise ConfigError(f"{key} is missing", where=where.where, key=key, remedy=f"add `{member.name}:` there")
    if member.setting.in_data_directory:
        return reading.data_directory / member.default
    return member.default


def _list_of_sections(written: Tree, member: Member, key: str) -> tuple[Tree, ...]:
    if isinstance(written, Scalar) and written.kind == "raw":
        written = parse_inline(written.text or "[]", origin=written.origin, key=key)
    if isinstance(written, Listing):
        return written.items
    if isinstance(written, Scalar) and written.kind == "null":
        return ()
    raise wrong_value(written, member.setting, key, expected="a list of entries", hint="begin each entry with `- `")
