"""What `config show` prints: every key's value and where it came from, secrets starred."""

import json
import re
from dataclasses import dataclass
from typing import Any

from signer.config.journal_url import JournalUrl
from signer.config.reading import number_text
from signer.config.sections import Config
from signer.config.setting import Value, values
from signer.crypto.secret import STARS


@dataclass(frozen=True, slots=True)
class ShownValue:
    """One line of `config show`."""

    key: str
    value: str
    """As the configuration file would hold it."""

    source: str
    """`file:line`, `environment NAME`, `command line`, `preset NAME` or `default`."""


def show(config: Config) -> tuple[ShownValue, ...]:
    """Every key of a configuration, in the order of the reference."""
    return tuple(
        ShownValue(
            each.key,
            STARS if _hides(each) else value_text(each.value),
            config.where(each.key),
        )
        for each in values(config)
    )


def _hides(each: Value) -> bool:
    """A URL has stars in the place of its password alone; any other secret is nothing but stars."""
    secret = each.member.setting.secret and not isinstance(each.value, JournalUrl)
    return secret and each.value != each.member.default


def value_text(value: Any) -> str:
    """A value as the configuration file would hold it, on one line."""
    match value:
        case None | bool():
            return json.dumps(value)
        case int() | float():
            return number_text(value)
        case bytes():
            return "0x" + value.hex()
        case tuple():
            return "[" + ", ".join(value_text(each) for each in value) + "]"
        case _:
            return quoted(str(value))


def quoted(text: str) -> str:
    """Text as YAML takes it for text: in quotes where it could be anything else."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS_OF_YAML
    return text if plain else json.dumps(text)


_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/._$-]*(:[A-Za-z0-9/._$-]+)*|[0-9]+(\.[0-9]+){3}")
_WORDS_OF_YAML = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
