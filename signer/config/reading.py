"""One value: from the text that was written to the type its key wants, or an error that says what it wants."""

import math
import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from signer.config.journal_url import SPELLINGS, JournalUrl, find_url_fault
from signer.config.setting import Setting
from signer.errors import ConfigError
from signer.written import Listing, Scalar, Tree, parse_inline

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_HEXADECIMAL = re.compile(r"(0x)?([0-9a-fA-F]{2}:?)*")
_SHOWN_CHARACTERS = 60


def read_value(tree: Tree, hint: Any, rules: Setting, key: str) -> Any:
    """The value of one key.

    Raises:
        ConfigError: the text is not what the key's type and limits ask for.
    """
    optional, inner = split_optional(hint)
    if optional and _says_nothing(tree):
        return None
    if get_origin(inner) is tuple:
        return _read_list(tree, get_args(inner)[0], rules, key)
    if not isinstance(tree, Scalar):
        raise wrong_value(tree, rules, key, expected=expected_text(inner, rules))
    return _read_scalar(tree, inner, rules, key)


def split_optional(hint: Any) -> tuple[bool, Any]:
    """Whether a type admits None, and what it is besides."""
    if get_origin(hint) in {Union, UnionType} and NoneType in get_args(hint):
        return True, next(each for each in get_args(hint) if each is not NoneType)
    return False, hint


def plain_type(hint: Any) -> Any:
    """The type itself for a NewType, the same type for any other."""
    return getattr(hint, "__supertype__", hint)


def choices(hint: Any) -> tuple[str, ...]:
    """The words a type admits where it admits only some."""
    if get_origin(hint) is Literal:
        return tuple(str(each) for each in get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return tuple(str(each.value) for each in hint)
    return ()


def expected_text(hint: Any, rules: Setting) -> str:
    """What a key wants, in words."""
    if words := choices(hint):
        return words[0] if len(words) == 1 else "one of " + ", ".join(words)
    if rules.pattern_text:
        return rules.pattern_text
    kind = plain_type(hint)
    if kind is bytes:
        return f"{rules.byte_count} bytes in hexadecimal"
    if kind in {int, float}:
        return ("a whole number" if kind is int else "a number") + _limits_text(rules)
    return _PLAIN_TYPES.get(kind, "a text")


_PLAIN_TYPES = {bool: "true or false", JournalUrl: SPELLINGS, Path: "a path"}
"""What these types want, in words."""


def wrong_value(tree: Tree, rules: Setting, key: str, *, expected: str, hint: str = "") -> ConfigError:
    """The error about a value; a secret one is not repeated."""
    shown = ""
    if isinstance(tree, Scalar) and not rules.secret:
        text = tree.text if len(tree.text) <= _SHOWN_CHARACTERS else tree.text[:_SHOWN_CHARACTERS] + "..."
        shown = f", not {text!r}"
    elif isinstance(tree, Listing):
        shown = ", not a list"
    return ConfigError(
        f"{key} wants {expected}{shown}",
        where=tree.origin.where,
        key=key,
        remedy=hint or f"write {expected}" + (f", in {rules.unit}" if rules.unit else ""),
    )


def _says_nothing(tree: Tree) -> bool:
    return isinstance(tree, Scalar) and (tree.kind == "null" or (tree.kind == "raw" and tree.text in {"", "null"}))


def _read_list(tree: Tree, entry: Any, rules: Setting, key: str) -> tuple[Any, ...]:
    if isinstance(tree, Scalar) and tree.kind == "raw":
        tree = _split(tree, key)
    if not isinstance(tree, Listing):
        raise wrong_value(tree, rules, key, expected=f"a list, each entry {expected_text(entry, rules)}")
    return tuple(read_value(each, entry, rules, f"{key}[{index}]") for index, each in enumerate(tree.items))


def _split(tree: Scalar, key: str) -> Tree:
    """A list in a variable: YAML where it begins with a bracket, words between commas otherwise."""
    if tree.text.lstrip().startswith("["):
        return parse_inline(tree.text, origin=tree.origin, key=key)
    words = [word.strip() for word in tree.text.split(",")]
    return Listing(tuple(Scalar(word, "raw", tree.origin) for word in words if word), tree.origin)


def _read_scalar(tree: Scalar, hint: Any, rules: Setting, key: str) -> Any:
    if choices(hint):
        return _read_choice(tree, hint, rules, key)
    return _READERS[plain_type(hint)](tree, rules, key)


def _read_choice(tree: Scalar, hint: Any, rules: Setting, key: str) -> Any:
    admitted: tuple[Any, ...] = get_args(hint) if get_origin(hint) is Literal else tuple(hint)
    for value in admitted:
        if tree.text == str(value):
            return value
    raise wrong_value(tree, rules, key, expected=expected_text(hint, rules))


def _read_bool(tree: Scalar, rules: Setting, key: str) -> bool:
    if tree.kind in {"boolean", "raw"} and tree.text.lower() in {"true", "false"}:
        return tree.text.lower() == "true"
    raise wrong_value(tree, rules, key, expected="true or false")


def _read_int(tree: Scalar, rules: Setting, key: str) -> int:
    if tree.kind not in {"number", "raw"} or not _INTEGER.fullmatch(tree.text) or len(tree.text) > 20:
        raise wrong_value(tree, rules, key, expected=expected_text(int, rules), hint=_number_hint(tree))
    return int(_within(int(tree.text), tree, rules, key))


def _read_float(tree: Scalar, rules: Setting, key: str) -> float:
    if tree.kind not in {"number", "raw"} or not _DECIMAL.fullmatch(tree.text):
        raise wrong_value(tree, rules, key, expected=expected_text(float, rules), hint=_number_hint(tree))
    return float(_within(float(tree.text), tree, rules, key))


def _number_hint(tree: Scalar) -> str:
    if tree.kind == "text" and _DECIMAL.fullmatch(tree.text):
        return "write the number without quotes"
    return "write decimal digits alone, without unit, separator or leading zero"


def _within(value: float, tree: Scalar, rules: Setting, key: str) -> float:
    below = rules.minimum is not None and value < rules.minimum
    above = rules.maximum is not None and value > rules.maximum
    if below or above or not math.isfinite(value):
        raise wrong_value(tree, rules, key, expected="a number" + _limits_text(rules))
    return value


def _limits_text(rules: Setting) -> str:
    if rules.minimum is None or rules.maximum is None:
        return ""
    return f" from {number_text(rules.minimum)} to {number_text(rules.maximum)}"


def number_text(value: float) -> str:
    """A number as people write it: no exponent, no needless point."""
    return str(value) if isinstance(value, int) else f"{value:f}".rstrip("0").rstrip(".")


def _read_text(tree: Scalar, rules: Setting, key: str) -> str:
    if tree.kind not in {"text", "raw"}:
        raise wrong_value(tree, rules, key, expected="a text", hint="put the value in quotes")
    if not tree.text or (rules.pattern and not re.fullmatch(rules.pattern, tree.text)):
        raise wrong_value(tree, rules, key, expected=expected_text(str, rules))
    return tree.text


def _read_url(tree: Scalar, rules: Setting, key: str) -> JournalUrl:
    text = _read_text(tree, rules, key)
    fault = find_url_fault(text)
    if fault is not None:
        raise ConfigError(
            f"{key} cannot be used: {fault}", where=tree.origin.where, key=key, remedy=f"write {SPELLINGS}"
        )
    return JournalUrl(text)


def _read_path(tree: Scalar, rules: Setting, key: str) -> Path:
    """An absolute path: a relative one starts where it was written."""
    text = _read_text(tree, rules, key)
    if text.startswith("~"):
        raise wrong_value(
            tree, rules, key, expected="a path", hint="write the home directory in full: `~` is not replaced"
        )
    if "\0" in text:
        raise wrong_value(tree, rules, key, expected="a path")
    return tree.origin.directory / text  # `..` stays: a link may stand before it


def _read_bytes(tree: Scalar, rules: Setting, key: str) -> bytes:
    expected = expected_text(bytes, rules)
    text = tree.text.removeprefix(rules.optional_prefix)
    if not _HEXADECIMAL.fullmatch(text) or text.endswith(":"):
        raise wrong_value(tree, rules, key, expected=expected)
    value = bytes.fromhex(text.removeprefix("0x").replace(":", ""))
    if len(value) != rules.byte_count:
        raise wrong_value(tree, rules, key, expected=expected)
    return value


_READERS: dict[Any, Callable[[Scalar, Setting, str], Any]] = {
    bool: _read_bool,
    int: _read_int,
    float: _read_float,
    str: _read_text,
    Path: _read_path,
    bytes: _read_bytes,
    JournalUrl: _read_url,
}
