"""One configuration key: its default, its reason, its limits. Documentation and checks are both drawn from here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

METADATA_KEY = "setting"
"""Where a dataclass field keeps its Setting."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is known of one key besides its name, type and default."""

    reason: str
    """What it is for and why the default is what it is: one or two sentences, shown in every listing."""

    unit: str = ""
    """The unit of the value where the type does not say it: `seconds`, `bytes`."""

    default_text: str = ""
    """The default in words, where the value alone would not tell."""

    minimum: float | None = None
    maximum: float | None = None
    pattern: str = ""
    """A regular expression that the whole text must match."""

    pattern_text: str = ""
    """The pattern in words."""

    byte_count: int | None = None
    """The exact length of a hexadecimal value."""

    optional_prefix: str = ""
    """What may stand before a hexadecimal value to name its kind."""

    must_exist: Literal["", "file", "directory"] = ""
    """What must be there when the operator names it."""

    in_data_directory: bool = False
    """The default is a name inside storage.data_directory."""

    secret: bool = False
    """Its value is never shown, not even in an error about it."""

    private_file: bool = False
    """It names a file whose content is secret: nobody else may read it."""

    required: bool = False
    """There is no default: whoever writes the entry writes this key."""


def about(reason: str, **limits: Any) -> Mapping[str, Setting]:
    """The metadata of a dataclass field; `limits` are further members of Setting."""
    return {METADATA_KEY: Setting(reason, **limits)}


@dataclass(frozen=True, slots=True)
class Member:
    """One field of a section."""

    name: str
    hint: Any
    """Its type, as annotated."""

    setting: Setting
    default: Any


def members(of: type) -> tuple[Member, ...]:
    """The fields of a section that are settings or sections, in the order they are written."""
    hints = get_type_hints(of)
    return tuple(
        Member(
            each.name,
            hints[each.name],
            each.metadata[METADATA_KEY],
            None if each.metadata[METADATA_KEY].required or is_section(hints[each.name]) else each.default,
        )
        for each in fields(of)
        if METADATA_KEY in each.metadata
    )


def is_section(hint: Any) -> bool:
    """True when this type is a section of its own."""
    return isinstance(hint, type) and is_dataclass(hint)


def find_entry_type(hint: Any) -> type | None:
    """The section that each entry of a list is, or None when this type is not a list of sections."""
    if get_origin(hint) is tuple and is_section(get_args(hint)[0]):
        entry: type = get_args(hint)[0]
        return entry
    return None


@dataclass(frozen=True, slots=True)
class Leaf:
    """One key of the whole configuration, by its dotted name (`security.principals[].name` inside lists)."""

    key: str
    member: Member


def leaves(of: type, prefix: str = "") -> Iterator[Leaf]:
    """Every key below a section, depth first; a list of sections is a key itself, followed by its entries' keys."""
    for member in members(of):
        key = prefix + member.name
        entry = find_entry_type(member.hint)
        if is_section(member.hint):
            yield from leaves(member.hint, key + ".")
            continue
        yield Leaf(key, member)
        if entry is not None:
            yield from leaves(entry, key + "[].")


@dataclass(frozen=True, slots=True)
class Value:
    """One key with the value it has."""

    key: str
    member: Member
    value: Any


def values(of: Any, prefix: str = "") -> Iterator[Value]:
    """Every key below a built section with its value; entries of lists carry their index (`principals[0].name`)."""
    for member in members(type(of)):
        key, value = prefix + member.name, getattr(of, member.name)
        if is_section(member.hint):
            yield from values(value, key + ".")
        elif value and find_entry_type(member.hint) is not None:
            for index, entry in enumerate(value):
                yield from values(entry, f"{key}[{index}].")
        else:
            yield Value(key, member, value)
