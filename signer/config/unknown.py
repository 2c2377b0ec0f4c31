"""Keys that are not ours: what the operator may have meant, and what is refused on purpose."""

from collections.abc import Iterable
from difflib import get_close_matches

from signer.errors import ConfigError

_ALWAYS_DURABLE = (
    "there is none, on purpose: a decision is on disk before its signature is released, always. "
    "The commits of a busy signer share one disk write, so little would be gained"
)
_ALWAYS_PROTECTED = (
    "there is none, on purpose: no switch and no preset turns slashing protection off; take the line out. "
    "To sign the same thing anew in a test, begin a new data directory"
)

REFUSED_ON_PURPOSE = {
    "sync_mode": _ALWAYS_DURABLE,
    "synchronous": _ALWAYS_DURABLE,
    "fsync": _ALWAYS_DURABLE,
    "sync": _ALWAYS_DURABLE,
    "durability": _ALWAYS_DURABLE,
    "slashing": _ALWAYS_PROTECTED,
    "slashing_protection": _ALWAYS_PROTECTED,
    "slashing_protection_enabled": _ALWAYS_PROTECTED,
}
"""Last words of keys that other signers have and we never will, with the reason."""

_CLOSE_ENOUGH = 0.6
"""Of names in the same section: difflib's own default."""

_VERY_CLOSE = 0.85
"""Of whole dotted names, whose section alone makes them alike."""


def unknown_key(name: str, *, prefix: str, where: str, beside: Iterable[str], every_key: Iterable[str]) -> ConfigError:
    """The error about a key that is not ours.

    Args:
        name: what was written.
        prefix: the dotted name of the section it was written in, with its last point; empty at the top.
        where: where it was written.
        beside: the names that would have been right in its place.
        every_key: all dotted names there are.
    """
    key = prefix + name
    remedy = (
        REFUSED_ON_PURPOSE.get(name)
        or _of_web3signer(name)
        or _nearest(name, prefix=prefix, beside=tuple(beside), every_key=tuple(every_key))
    )
    return ConfigError(f"there is no key {key}", where=where, key=key, remedy=remedy)


def _of_web3signer(name: str) -> str | None:
    if "-" not in name:
        return None
    return "our keys have no dashes; `holdfast config from-web3signer FILE` turns a Web3Signer file into ours"


def _nearest(name: str, *, prefix: str, beside: tuple[str, ...], every_key: tuple[str, ...]) -> str:
    if name in every_key:
        return f"write it nested: a line `{name.split('.', maxsplit=1)[0]}:` and the rest indented below it"
    if close := get_close_matches(name, beside, n=1, cutoff=_CLOSE_ENOUGH):
        return f"did you mean {prefix}{close[0]}?"
    same_name = [each for each in every_key if each.rpartition(".")[2] == name]
    if same_name:
        return f"did you mean {same_name[0]}?"
    if close := get_close_matches(prefix + name, every_key, n=1, cutoff=_VERY_CLOSE):
        return f"did you mean {close[0]}?"
    return "the keys here are " + ", ".join(beside)
