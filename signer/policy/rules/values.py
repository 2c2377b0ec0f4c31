"""One value of a rule file: from the text that was written to its type, or an error with file, line, key and remedy.

A value is what it was written as, never what YAML makes of it: `0x70a0` is an address, not a number.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from types import MappingProxyType

from signer.errors import ConfigError
from signer.policy.rules.condition import folded
from signer.policy.verdict import FOREVER, MAX_AMOUNT
from signer.written import Listing, Scalar, Tree
from signer.written import Mapping as TreeMapping

UNITS: Mapping[str, int] = MappingProxyType(
    {"wei": 0, "gwei": 9, "ether": 18, "sat": 0, "btc": 8, "lamport": 0, "sol": 9}
)
"""Decimal places of the coins' units, for amounts of the chain's own coin."""

MAX_WINDOW_SECONDS = 366 * 86400

_SECONDS: Mapping[str, int] = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_WHOLE = re.compile(r"0|[1-9][0-9]{0,77}")
_AMOUNT = re.compile(r"(0|[1-9][0-9]{0,77})(?:\.([0-9]{1,18}))? ?([a-z]+)?")
_HEX_ADDRESS = re.compile(r"0[xX](?:[0-9a-fA-F]{40}|[0-9a-fA-F]{62,64})")
_OTHER_ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-4]):([0-5][0-9])")
MINUTES_OF_A_DAY = 24 * 60


def wrong(tree: Tree, key: str, expected: str, *, remedy: str = "") -> ConfigError:
    """The error about a value that is not what its key wants."""
    shown = f", not {tree.text[:60]!r}" if isinstance(tree, Scalar) else ", not a list or a mapping"
    return ConfigError(
        f"{key} wants {expected}{shown}", where=tree.origin.where, key=key, remedy=remedy or f"write {expected}"
    )


def read_entries(tree: Tree, key: str, *, known: Iterable[str]) -> Mapping[str, Tree]:
    """A mapping that holds nothing but these names. Raises ConfigError."""
    names = tuple(known)
    if not isinstance(tree, TreeMapping):
        raise wrong(tree, key, "names with values", remedy=f"write some of: {', '.join(names)}")
    for name, written in tree.entries.items():
        if name not in names:
            near = get_close_matches(name, names, n=1)
            full = f"{key}.{name}" if key else name
            raise ConfigError(
                f"there is no key {full}",
                where=written.origin.where,
                key=full,
                remedy=f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(names)}",
            )
    return tree.entries


def get_entry(entries: Mapping[str, Tree], name: str, *, of: Tree, key: str) -> Tree:
    """An entry that must be there; `of` is the mapping, `key` its name in errors. Raises ConfigError."""
    if name not in entries:
        raise ConfigError(
            f"{key}.{name} is missing", where=of.origin.where, key=f"{key}.{name}", remedy=f"add `{name}:` there"
        )
    return entries[name]


def read_items(tree: Tree, key: str) -> list[tuple[Tree, str]]:
    """The entries of a list with their names in errors, at least one. Raises ConfigError."""
    if not isinstance(tree, Listing) or not tree.items:
        raise wrong(tree, key, "a list with at least one entry", remedy="begin each entry with `- `")
    return [(each, f"{key}[{n}]") for n, each in enumerate(tree.items)]


def read_text(tree: Tree, key: str, *, pattern: str = r".{1,200}", expected: str = "a text") -> str:
    """A text, quoted or not, that is all of a pattern. Raises ConfigError."""
    if not isinstance(tree, Scalar) or tree.kind == "null" or not re.fullmatch(pattern, tree.text):
        raise wrong(tree, key, expected)
    return tree.text


def read_texts(tree: Tree, key: str, *, pattern: str = r".{1,200}", expected: str = "a text") -> frozenset[str]:
    """A list of them. Raises ConfigError."""
    return frozenset(read_text(each, name, pattern=pattern, expected=expected) for each, name in read_items(tree, key))


def read_choice(tree: Tree, key: str, words: Iterable[str]) -> str:
    """One of these words. Raises ConfigError."""
    known = tuple(words)
    text = tree.text if isinstance(tree, Scalar) else ""
    if text not in known:
        raise wrong(tree, key, "one of " + ", ".join(known))
    return text


def read_choices(tree: Tree, key: str, words: Iterable[str]) -> frozenset[str]:
    """A list of these words. Raises ConfigError."""
    known = tuple(words)
    return frozenset(read_choice(each, name, known) for each, name in read_items(tree, key))


def read_whole(tree: Tree, key: str, *, least: int = 0, most: int = MAX_AMOUNT) -> int:
    """A whole number in decimal, quoted or not. Raises ConfigError."""
    expected = f"a whole number from {least} to {most if most < MAX_AMOUNT else '2^256 - 1'}"
    if not isinstance(tree, Scalar) or not _WHOLE.fullmatch(tree.text) or not least <= int(tree.text) <= most:
        raise wrong(tree, key, expected, remedy="write decimal digits alone, without separator or exponent")
    return int(tree.text)


def read_amount(tree: Tree, key: str, *, native: bool) -> int:
    """An amount in the smallest unit; of a chain's own coin also with a unit (`1.5 ether`). Raises ConfigError."""
    match = _AMOUNT.fullmatch(tree.text) if isinstance(tree, Scalar) else None
    expected = "an amount: digits in the smallest unit" + (", or as `1.5 ether`" if native else " of the token")
    if match is None or (match[3] and not native):
        raise wrong(tree, key, expected)
    whole, fraction, unit = match[1], match[2] or "", match[3] or "wei"
    if unit not in UNITS or len(fraction) > UNITS[unit]:
        raise wrong(tree, key, expected, remedy="the units are " + ", ".join(UNITS) + ", with no more decimals")
    amount = int(whole + fraction.ljust(UNITS[unit], "0"))
    if amount > MAX_AMOUNT:
        raise wrong(tree, key, "an amount below 2^256")
    return amount


def read_duration(tree: Tree, key: str, *, most: int = MAX_WINDOW_SECONDS, or_lifetime: bool = False) -> int:
    """A time span in seconds (`90s`, `15m`, `24h`, `7d`), FOREVER for `lifetime`. Raises ConfigError."""
    text = tree.text if isinstance(tree, Scalar) else ""
    if or_lifetime and text == "lifetime":
        return FOREVER
    expected = f"a time span such as 90s, 15m, 24h or 7d, at most {most // 86400}d" + (
        ", or `lifetime`" if or_lifetime else ""
    )
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) * _SECONDS[match[2]] > most:
        raise wrong(tree, key, expected)
    return int(match[1]) * _SECONDS[match[2]]


def read_address(tree: Tree, key: str) -> str:
    """An address as it is compared. Raises ConfigError: one in hexadecimal that lacks digits, or no address at all."""
    text = tree.text if isinstance(tree, Scalar) and tree.kind != "null" else ""
    pattern = _HEX_ADDRESS if text[:2].lower() == "0x" else _OTHER_ADDRESS
    if not pattern.fullmatch(text):
        raise wrong(tree, key, "an address: 0x and 40 hexadecimal digits, or as its chain writes it")
    return folded(text)


def read_addresses(tree: Tree, key: str) -> frozenset[str]:
    """A list of them. Raises ConfigError."""
    return frozenset(read_address(each, name) for each, name in read_items(tree, key))


def read_hex(tree: Tree, key: str, *, byte_count: int) -> str:
    """Bytes in hexadecimal, in lower case. Raises ConfigError."""
    text = tree.text.lower() if isinstance(tree, Scalar) else ""
    if not re.fullmatch(rf"0x[0-9a-f]{{{2 * byte_count}}}", text):
        raise wrong(tree, key, f"0x and {2 * byte_count} hexadecimal digits")
    return text


def read_flag(tree: Tree, key: str) -> bool:
    """True or false. Raises ConfigError."""
    return read_choice(tree, key, ("true", "false")) == "true"


def read_network(tree: Tree, key: str) -> IPv4Network | IPv6Network:
    """A network, or one address. Raises ConfigError."""
    text = tree.text if isinstance(tree, Scalar) else ""
    try:
        return ip_network(text)
    except ValueError:
        raise wrong(tree, key, "a network such as 10.1.0.0/16, without bits behind its mask") from None


def read_clock(tree: Tree, key: str) -> int:
    """A time of the day in minutes, up to 24:00. Raises ConfigError."""
    match = _CLOCK.fullmatch(tree.text) if isinstance(tree, Scalar) else None
    minutes = MINUTES_OF_A_DAY + 1 if match is None else int(match[1]) * 60 + int(match[2])
    if minutes > MINUTES_OF_A_DAY:
        raise wrong(tree, key, "a time of the day in UTC, such as 08:30; 24:00 ends it")
    return minutes


def read_moment(tree: Tree, key: str) -> int:
    """A moment in seconds since the Unix epoch. Raises ConfigError."""
    text = tree.text if isinstance(tree, Scalar) else ""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise wrong(tree, key, "a moment in UTC, such as 2027-01-31T12:00:00Z") from None
    return int(moment.timestamp())
