"""Turn Web3Signer's configuration, a YAML file and its variables, into ours, and say what could not be carried over."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from signer.config.building import build_config
from signer.config.contradictions import check_contradictions
from signer.config.from_jdbc import same_database
from signer.config.production import find_faults_on_paper
from signer.config.reading import plain_type, split_optional
from signer.config.sections import Config
from signer.config.setting import leaves
from signer.config.show import quoted
from signer.config.web3signer_options import (
    OPTIONS,
    Agree,
    Carry,
    Drop,
    Option,
    find_option,
    find_option_of_variable,
)
from signer.errors import ConfigError
from signer.written import Listing, Origin, Scalar, Tree, nested, overlay, parse_yaml
from signer.written import Mapping as TreeMapping

VARIABLE_PREFIX = "WEB3SIGNER_"

_NOWHERE = Origin("Web3Signer's configuration", Path("/"))


_PLAIN_KEYS = {
    leaf.key: plain_type(split_optional(leaf.member.hint)[1]) in {bool, int, float} for leaf in leaves(Config)
}
"""True for the keys whose values are no text, and so stand without quotes."""

_OPTION_OF_KEY = {option.ours: option.name for option in reversed(OPTIONS) if option.ours}
"""The first option that becomes a key, where none was given."""

_DATABASE_URL = "eth2.slashing-protection-db-url"
_DATABASE_USER = "eth2.slashing-protection-db-username"

_KEY = re.compile(r"[a-z]+(?:\.[a-z0-9_]+)+")
_ALTERNATIVE = re.compile(rf"({_KEY.pattern}) or ")


@dataclass(frozen=True, slots=True)
class NotCarried:
    """One option that has no place in our file."""

    option: str
    where: str
    reason: str


@dataclass(frozen=True, slots=True)
class Conversion:
    """Our file, and what it does not say."""

    yaml_text: str
    not_carried: tuple[NotCarried, ...]
    remarks: tuple[str, ...]
    """What was carried over and is different, and what must be added before `production` starts."""


@dataclass(frozen=True, slots=True)
class _Given:
    """One option as its operator wrote it."""

    option: Option | None
    name: str
    words: tuple[str, ...]
    origin: Origin


@dataclass(slots=True)
class _Converted:
    """What is gathered during one conversion."""

    lines: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Our key: its value as YAML, and the option it came from."""

    tree: TreeMapping = field(default_factory=lambda: TreeMapping({}, _NOWHERE))
    not_carried: list[NotCarried] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def convert(text: str, environ: Mapping[str, str], *, name: str = "web3signer.yaml") -> Conversion:
    """Our configuration for a Web3Signer file (`name` in messages) and its WEB3SIGNER_* variables, which win.

    Values of options that are not carried over are never repeated: some are passwords.

    Raises:
        ConfigError: the file is not YAML, or says something that Web3Signer would refuse too.
    """
    converted = _Converted()
    words: dict[str, str] = {}
    for given in _given(text, environ, name):
        _convert_one(given, converted)
        words[given.name if given.option is None else given.option.name] = "".join(given.words[:1]).strip()
    config = _checked(converted)
    converted.remarks.extend(f"{fault.sentence}: {fault.remedy}" for fault in find_faults_on_paper(config))
    _remark_paths(converted)
    _remark_database(words.get(_DATABASE_URL, ""), words.get(_DATABASE_USER, ""), converted)
    return Conversion(_render(converted), tuple(converted.not_carried), tuple(converted.remarks))


def _checked(converted: _Converted) -> Config:
    """The configuration, whose faults are told in the words of the file at hand. Raises ConfigError."""
    try:
        config = build_config(converted.tree, file=None)
        check_contradictions(config)
    except ConfigError as error:
        names = _OPTION_OF_KEY | {key: option for key, (_, option) in converted.lines.items()}
        raise ConfigError(
            _in_their_words(error.sentence, names),
            where=error.where,
            key=names.get(error.key, error.key),
            remedy=_in_their_words(error.remedy, names),
        ) from error
    return config


def _in_their_words(text: str, names: Mapping[str, str]) -> str:
    """A sentence about our keys as one about Web3Signer's options; an alternative that it does not have is left out."""
    text = _ALTERNATIVE.sub(lambda found: "" if found[1] in _PLAIN_KEYS.keys() - names.keys() else found[0], text)
    return _KEY.sub(lambda found: names.get(found[0], found[0]), text)


def _given(text: str, environ: Mapping[str, str], name: str) -> Iterator[_Given]:
    """What was given, each option once: a variable stands for the file's line."""
    found: dict[str, _Given] = {}
    for key, tree in _flat(parse_yaml(text, name=name, directory=Path("/"))):
        option = find_option(key)
        found[option.name if option else key] = _Given(option, key, _words(tree), tree.origin)
    for variable in sorted(environ):
        if variable.startswith(VARIABLE_PREFIX):
            option = find_option_of_variable(variable)
            origin = Origin(f"environment {variable}", Path("/"))
            words = _words(Scalar(environ[variable], "raw", origin))
            found[option.name if option else variable] = _Given(
                option, option.name if option else variable, words, origin
            )
    yield from found.values()


def _flat(tree: TreeMapping, prefix: str = "") -> Iterator[tuple[str, Tree]]:
    """Dotted names; a nested mapping (`eth2:` and options below it) means the same as dotted keys."""
    for name, each in tree.entries.items():
        if isinstance(each, TreeMapping):
            yield from _flat(each, f"{prefix}{name}.")
        else:
            yield prefix + name, each


def _words(tree: Tree) -> tuple[str, ...]:
    match tree:
        case Listing():
            return tuple(word for each in tree.items for word in _words(each))
        case Scalar():
            return (tree.text,)
        case TreeMapping():
            return ()


def _convert_one(given: _Given, converted: _Converted) -> None:
    if given.option is None:
        reason = "it is no option of Web3Signer that we know"
        converted.not_carried.append(NotCarried(given.name, given.origin.where, reason))
        return
    match given.option.convert(given.words):
        case Agree():
            return
        case Drop(reason):
            converted.not_carried.append(NotCarried(given.name, given.origin.where, reason))
        case Carry(keys, remark):
            for key, value in keys:
                _carry(key, value, given, converted)
            if remark:
                converted.remarks.append(f"{given.name}: {remark}")


def _carry(key: str, value: str | tuple[str, ...], given: _Given, converted: _Converted) -> None:
    tree: Tree
    if isinstance(value, tuple):
        tree = Listing(tuple(Scalar(each, "raw", given.origin) for each in value), given.origin)
        text = "[" + ", ".join(quoted(each) for each in value) + "]"
    else:
        tree = Scalar(value, "raw", given.origin)
        text = value if _PLAIN_KEYS[key] else quoted(value)
    converted.lines[key] = (text, given.name)
    converted.tree = overlay(converted.tree, nested(key, tree))


def _remark_paths(converted: _Converted) -> None:
    named = {leaf.key for leaf in leaves(Config) if leaf.member.hint in {Path, Path | None}}
    relative = [
        key for key, (text, _) in converted.lines.items() if key in named and not text.strip('"').startswith("/")
    ]
    if relative:
        converted.remarks.append(
            f"{', '.join(relative)}: relative paths start at our configuration file, not at the working directory"
        )
    if "keys.config_directory" not in converted.lines:
        converted.remarks.append(
            "key-config-path is not given: Web3Signer reads its working directory, we read `keys` in the data "
            "directory; set keys.config_directory if key files are elsewhere"
        )


def _remark_database(url: str, user: str, converted: _Converted) -> None:
    if url:
        converted.remarks.append(
            "the record is begun anew in the data directory, and Web3Signer's is to be imported. To go on with the same"
            f" database instead, set journal.url: {same_database(url, user)} and journal.password_file (mode 0600, the"
            " password is its first line) before `holdfast init`. It is not set here by itself: `init` would adopt the"
            " database while Web3Signer may still sign with it; see docs/migrating/web3signer.md#in-place"
        )


def _render(converted: _Converted) -> str:
    lines = ["# Holdfast's configuration, made from Web3Signer's. Every key: holdfast config reference"]
    open_sections: tuple[str, ...] = ()
    for leaf in leaves(Config):
        if leaf.key not in converted.lines:
            continue
        *sections, name = leaf.key.split(".")
        for depth, section in enumerate(sections):
            if tuple(sections[: depth + 1]) != open_sections[: depth + 1]:
                lines.append("  " * depth + section + ":")
        open_sections = tuple(sections)
        value, option = converted.lines[leaf.key]
        lines.append("  " * len(sections) + f"{name}: {value}  # {option}")
    lines.extend(
        _comment(f"not carried over: {each.option} ({each.where}): {each.reason}") for each in converted.not_carried
    )
    lines.extend(_comment(f"note: {each}") for each in converted.remarks)
    return "\n".join(lines) + "\n"


def _comment(text: str) -> str:
    """One line, whatever line ends the text brings along."""
    return "# " + " ".join(text.split())
