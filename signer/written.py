"""What was written, before it is given types: text with its origin. Read from YAML, from variables or from flags.

Rule 1: every piece knows where it was written, for the error that may follow.
Rule 2: a scalar stays the text that was written; the key's own type decides what it means. So `0x1f`, `no` and
`1.2` never turn into something that nobody wrote.
"""

import re
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import yaml

from signer.errors import ConfigError

ScalarKind = Literal["text", "number", "boolean", "null", "raw"]
"""How a scalar looks in YAML; `raw` comes from a variable or a flag, where everything is text."""

_KINDS: dict[str, ScalarKind] = {
    "tag:yaml.org,2002:str": "text",
    "tag:yaml.org,2002:timestamp": "text",
    "tag:yaml.org,2002:value": "text",
    "tag:yaml.org,2002:int": "number",
    "tag:yaml.org,2002:float": "number",
    "tag:yaml.org,2002:bool": "boolean",
    "tag:yaml.org,2002:null": "null",
}

MAX_DEPTH = 16
"""Lists and sections inside each other: a configuration's stand 3 deep, a case of a policy's facts 10. The composer
recurses once a level, and any library may have raised the interpreter's limit (`nesting.py`)."""

_EXPONENT = re.compile(r"[0-9]+[eE][+-]?[0-9]+")

NO_PATHS = Path("/")
"""The directory of a file that holds no paths."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something was written, and the directory its relative paths start from."""

    where: str
    directory: Path


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it was written."""

    text: str
    kind: ScalarKind
    origin: Origin


@dataclass(frozen=True, slots=True)
class Listing:
    """Several values in order."""

    items: tuple["Tree", ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Mapping:
    """Values by name."""

    entries: MappingOf[str, "Tree"]
    origin: Origin


Tree = Scalar | Listing | Mapping


def parse_yaml(text: str, *, name: str, directory: Path, begin: str = "server") -> Mapping:
    """The tree of a YAML document; an empty one is an empty mapping.

    Args:
        text: the document.
        name: what errors call the file.
        directory: where relative paths start from.
        begin: a name that such a file may begin with, for the error about one that holds no names.

    Raises:
        ConfigError: it is not YAML, names a key twice, or is no mapping.
    """
    try:
        node = _compose(text)
        if node is None:
            return Mapping({}, Origin(f"{name}:1", directory))
        tree = _tree(node, name=name, directory=directory, path="")
    except yaml.YAMLError as error:
        raise _not_yaml(error, name) from None
    if isinstance(tree, Scalar) and tree.kind == "null":
        return Mapping({}, tree.origin)
    if not isinstance(tree, Mapping):
        raise ConfigError(
            "the file is not a mapping of names to values",
            where=tree.origin.where,
            key="",
            remedy=f"begin with a name and a colon, such as `{begin}:`",
        )
    return tree


def parse_inline(text: str, *, origin: Origin, key: str) -> Tree:
    """The tree of a list or mapping written in one variable or flag; its parts all have that origin.

    Raises:
        ConfigError: it is not YAML.
    """
    try:
        node = _compose(text)
        tree = _tree(node, name=origin.where, directory=origin.directory, path=key) if node else Listing((), origin)
    except yaml.YAMLError:
        raise ConfigError(
            f"{key} is not a list that can be read",
            where=origin.where,
            key=key,
            remedy='write it as in YAML or JSON, on one line: `[{"name": "teku", ...}]`',
        ) from None
    return _at(tree, origin)


def from_value(value: Any, origin: Origin) -> Tree:
    """The tree of a value handed over by a program, such as a command-line flag."""
    match value:
        case None:
            return Scalar("null", "null", origin)
        case bool():
            return Scalar("true" if value else "false", "boolean", origin)
        case int() | float():
            return Scalar(str(value), "number", origin)
        case list() | tuple():
            return Listing(tuple(from_value(each, origin) for each in value), origin)
        case dict():
            return Mapping({str(name): from_value(each, origin) for name, each in value.items()}, origin)
        case _:
            return Scalar(str(value), "raw", origin)


def overlay(lower: Mapping, upper: Mapping) -> Mapping:
    """Both trees as one; where both say something, the upper one is heard. Lists are replaced, never joined."""
    entries = dict(lower.entries)
    for name, tree in upper.entries.items():
        below = entries.get(name)
        entries[name] = overlay(below, tree) if isinstance(below, Mapping) and isinstance(tree, Mapping) else tree
    return Mapping(entries, upper.origin)


def nested(key: str, tree: Tree) -> Mapping:
    """The mapping that holds this tree under a dotted key."""
    head, _, rest = key.partition(".")
    return Mapping({head: nested(rest, tree) if rest else tree}, tree.origin)


def _compose(text: str) -> yaml.Node | None:
    """The document's node.

    Aliases are refused: a few lines of them stand for more values than memory holds. So is what nests too deep.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        match event:
            case yaml.AliasEvent():
                raise _refused(event, "aliases (`*name`) are not read")
            case yaml.CollectionStartEvent() if depth == MAX_DEPTH:
                raise _refused(event, f"it nests more than {MAX_DEPTH} levels deep")
            case yaml.CollectionStartEvent():
                depth += 1
            case yaml.CollectionEndEvent():
                depth -= 1
            case _:
                pass
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _refused(event: yaml.Event, problem: str) -> yaml.MarkedYAMLError:
    mark = cast("yaml.error.Mark", event.start_mark)  # the stubs admit the C parser's, which is not used here
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _tree(node: yaml.Node, *, name: str, directory: Path, path: str) -> Tree:
    origin = Origin(f"{name}:{node.start_mark.line + 1}", directory)
    if isinstance(node, yaml.ScalarNode) and node.tag in _KINDS:
        return Scalar(node.value, _kind(node), origin)
    if isinstance(node, yaml.SequenceNode):
        return Listing(
            tuple(
                _tree(each, name=name, directory=directory, path=f"{path}[{index}]")
                for index, each in enumerate(node.value)
            ),
            origin,
        )
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, name=name, origin=origin, path=path)
    raise ConfigError(
        f"{path or 'the document'} carries the YAML tag {node.tag}, which means nothing here",
        where=origin.where,
        key=path,
        remedy="remove the tag",
    )


def _kind(node: yaml.ScalarNode) -> ScalarKind:
    """YAML 1.1 takes `1e-3` for text because it has no point; to everybody else it is a number."""
    if node.style is None and _EXPONENT.fullmatch(node.value):
        return "number"
    return _KINDS[node.tag]


def _mapping(node: yaml.MappingNode, *, name: str, origin: Origin, path: str) -> Mapping:
    entries: dict[str, Tree] = {}
    for key_node, value_node in node.value:
        where = f"{name}:{key_node.start_mark.line + 1}"
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError("a key is not a name", where=where, key=path, remedy="use plain names as keys")
        key = f"{path}.{key_node.value}" if path else key_node.value
        if key_node.value in entries:
            raise ConfigError(
                f"{key} is written twice",
                where=where,
                key=key,
                remedy=f"keep one of the two; the other is at {entries[key_node.value].origin.where}",
            )
        tree = _tree(value_node, name=name, directory=origin.directory, path=key)
        entries[key_node.value] = replace(tree, origin=Origin(where, origin.directory))
    return Mapping(entries, origin)


def _at(tree: Tree, origin: Origin) -> Tree:
    match tree:
        case Scalar():
            return Scalar(tree.text, tree.kind, origin)
        case Listing():
            return Listing(tuple(_at(each, origin) for each in tree.items), origin)
        case Mapping():
            return Mapping({name: _at(each, origin) for name, each in tree.entries.items()}, origin)


def _not_yaml(error: yaml.YAMLError, name: str) -> ConfigError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    return ConfigError(
        f"the file is not YAML: {problem}",
        where=f"{name}:{mark.line + 1}" if mark else name,
        key="",
        remedy="check indentation, quotes and colons there; `*` at the start of a value needs quotes",
    )
