"""The list of every key, drawn from the sections themselves: the manual, the example file, `config reference`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any, get_args, get_origin

from signer.config.journal_url import JournalUrl
from signer.config.load import variable_name
from signer.config.presets import PRESET_REFUSALS, PRESET_VALUES
from signer.config.reading import choices, number_text, plain_type, split_optional
from signer.config.sections import Config, Preset
from signer.config.setting import Member, Setting, find_entry_type, is_section, leaves, members
from signer.config.show import value_text
from signer.config.web3signer_options import OPTIONS

LINE_CHARACTERS = 110

_TYPE_NAMES = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    bytes: "hexadecimal",
    JournalUrl: "`sqlite` or a `postgresql://` URL",
}


@dataclass(frozen=True, slots=True)
class KeyReference:
    """What there is to say about one key."""

    key: str
    type_text: str
    unit: str
    default_text: str
    reason: str
    variable: str
    """Empty for a key inside a list's entries: those are set as a whole."""


def key_references() -> tuple[KeyReference, ...]:
    """Every key, in the order of the sections."""
    return tuple(
        KeyReference(
            leaf.key,
            type_text(leaf.member.hint, leaf.member.setting),
            leaf.member.setting.unit,
            default_text(leaf.member),
            leaf.member.setting.reason,
            # The preset has no section, so it has no variable: only names with two underscores are configuration.
            variable_name(leaf.key) if "." in leaf.key and "[]" not in leaf.key else "",
        )
        for leaf in leaves(Config)
    )


def type_text(hint: Any, rules: Setting) -> str:
    """The type of a key in words, with its limits."""
    _, inner = split_optional(hint)
    if find_entry_type(inner) is not None:
        return "list of entries"
    if get_origin(inner) is tuple:
        return "list of " + type_text(get_args(inner)[0], rules)
    if words := choices(inner):
        return "`" + "`, `".join(words) + "`"
    kind = plain_type(inner)
    if kind is bytes:
        return f"{rules.byte_count} bytes in hexadecimal"
    if rules.minimum is not None and rules.maximum is not None:
        return f"{_TYPE_NAMES[kind]}, {number_text(rules.minimum)} to {number_text(rules.maximum)}"
    return _TYPE_NAMES[kind]


def default_text(member: Member) -> str:
    """The default in words."""
    rules = member.setting
    if rules.required:
        return "none: must be given"
    if rules.default_text:
        return rules.default_text
    if rules.in_data_directory:
        return f"`{member.default}` in the data directory"
    if member.default is None:
        return "not set"
    return f"`{value_text(member.default)}`"


def render_keys() -> str:
    """Every key as Markdown: a table for each section."""
    lines: list[str] = []
    section = ""
    for each in key_references():
        head, dot, _ = each.key.partition(".")
        if head != section:
            section = head
            lines += ["", f"### `{section}`", "", _section_reason(section), ""] if dot else ["", "### `preset`", ""]
            lines += ["| key | type | unit | default | reason |", "|---|---|---|---|---|"]
        cells = (f"`{each.key}`", each.type_text, each.unit or "-", each.default_text, each.reason)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines).strip() + "\n"


def render_presets() -> str:
    """What each preset sets and refuses, as Markdown."""
    lines: list[str] = []
    for preset in Preset:
        lines += [f"### `{preset}`", ""]
        values, refusals = PRESET_VALUES[preset], PRESET_REFUSALS[preset]
        lines.append("Sets:" if values else "Sets nothing: the defaults below are its own.")
        lines += [f"- `{key}: {value.text}` ({value.reason})" for key, value in values.items()]
        lines += ["", "Refuses:" if refusals else "Refuses nothing beyond what is always refused."]
        lines += [f"- {refusal}" for refusal in refusals]
        lines.append("")
    return "\n".join(lines).strip() + "\n"


def render_web3signer_map() -> str:
    """Web3Signer's options and ours, as Markdown."""
    lines = ["| Web3Signer | Holdfast | note |", "|---|---|---|"]
    for option in OPTIONS:
        ours = f"`{option.ours}`" if option.ours else "none"
        lines.append(f"| `{option.name}` | {ours} | {option.note.replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def render_example() -> str:
    """The example file: every key with unit, default and reason; what is commented out has no default to show."""
    lines = [
        "# Every key of Holdfast's configuration with its default. Nothing here needs to be written:",
        "# keep the lines you change. Made by `python -m signer.config`; docs/configuration.md has the rest.",
        "",
    ]
    for member in members(Config):
        lines += _example_of(member, depth=0)
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def render_text() -> str:
    """What `config reference` prints: every key, its default and its reason, for a terminal."""
    lines: list[str] = []
    for each in key_references():
        unit = f" [{each.unit}]" if each.unit else ""
        lines.append(f"{each.key}{unit}  (default: {each.default_text.replace('`', '')})")
        lines += ["    " + line for line in wrap(each.reason.replace("`", ""), LINE_CHARACTERS - 4)]
        if each.variable:
            lines.append(f"    {each.variable}")
        lines.append("")
    return "\n".join(lines)


def replace_generated(text: str, name: str, block: str) -> str:
    """The text with what stands between `<!-- name -->` and `<!-- /name -->` replaced.

    Raises:
        ValueError: the marks are not there.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"the text has no marks {begin.strip()} and {end}")
    return f"{before}{begin}\n{block}\n{end}{after}"


def render_manual(text: str) -> str:
    """docs/configuration.md with its three generated parts as they should be."""
    for name, block in (
        ("presets", render_presets()),
        ("keys", render_keys()),
        ("web3signer", render_web3signer_map()),
    ):
        text = replace_generated(text, name, block)
    return text


def _section_reason(name: str) -> str:
    return next(member.setting.reason for member in members(Config) if member.name == name)


def _example_of(member: Member, *, depth: int) -> Iterator[str]:
    indent = "  " * depth
    yield from _comments(member, indent)
    if is_section(member.hint):
        yield f"{indent}{member.name}:"
        for inner in members(member.hint):
            yield from _example_of(inner, depth=depth + 1)
        return
    entry = find_entry_type(member.hint)
    if entry is not None:
        yield f"{indent}{member.name}: []"
        yield f"{indent}# Each entry:"
        for index, inner in enumerate(members(entry)):
            yield from _entry_example(inner, indent=indent, mark="- " if index == 0 else "  ")
        return
    yield indent + _assignment(member)


def _comments(member: Member, indent: str) -> Iterator[str]:
    rules = member.setting
    text = rules.reason
    if not is_section(member.hint):
        unit = f", in {rules.unit}" if rules.unit else ""
        text += f" Default{unit}: {default_text(member)}."
    for line in wrap(text.replace("`", ""), LINE_CHARACTERS - len(indent) - 2):
        yield f"{indent}# {line}"


def _assignment(member: Member) -> str:
    """A line that sets the default; commented out where the default is no value that could stand in every file."""
    rules = member.setting
    if member.default is None:
        return f"# {member.name}:"
    if rules.in_data_directory:
        return f"# {member.name}: {member.default}"
    return f"{member.name}: {value_text(member.default)}"


def _entry_example(member: Member, *, indent: str, mark: str) -> Iterator[str]:
    """A key of a list's entries: commented out as a whole."""
    rules = member.setting
    if is_section(member.hint):
        yield f"{indent}#   {mark}{member.name}:  # {rules.reason.replace('`', '')}"
        for inner in members(member.hint):
            yield f"{indent}#       {inner.name}:  # {inner.setting.reason.replace('`', '')}"
        return
    value = "" if member.default is None else " " + value_text(member.default)
    yield f"{indent}#   {mark}{member.name}:{value}  # {rules.reason.replace('`', '')}"
