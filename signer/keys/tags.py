"""Names that operators give to keys, so that one order is for many of them: each key's own set, kept on record.

Rule 1: what is frozen is the tag: whoever bears it, now or later, signs nothing (judged in `ledger.py`).
Rule 2: a frozen tag is not taken from a key: that would thaw the key without a word. The tag is thawed first.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NewType

from signer.journal.ledger import Transaction
from signer.units import PublicKey

Tag = NewType("Tag", str)
"""One that `is_tag`."""

MAX_TAGS = 64
"""Tags that one order, or one document of a key file, may name."""

TAG_RULE = "a tag has 1 to 64 of the characters a-z, 0-9, hyphen, underscore, full stop and colon"
"""In the words of an error; and one that could be a private key in hexadecimal is none."""

_TAG = re.compile(r"(?![0-9a-f]{64}\Z)[a-z0-9_.:-]{1,64}")

_ADD = "INSERT INTO key_tags (public_key, tag) VALUES (?1, ?2) ON CONFLICT (public_key, tag) DO NOTHING"
_REMOVE = "DELETE FROM key_tags WHERE public_key = ?1 AND tag = ?2"
_READ = "SELECT public_key, tag FROM key_tags"
_READ_ONE = "SELECT tag FROM key_tags WHERE public_key = ?1"
_FREEZE = "INSERT INTO frozen_tags (tag, frozen_ms) VALUES (?1, ?2) ON CONFLICT (tag) DO NOTHING"
_THAW = "DELETE FROM frozen_tags WHERE tag = ?1"
_READ_FROZEN = "SELECT tag, frozen_ms FROM frozen_tags"


def is_tag(text: str) -> bool:
    """True for what TAG_RULE says."""
    return _TAG.fullmatch(text) is not None


def add_tag(transaction: Transaction, public_key: PublicKey, tag: Tag) -> bool:
    """The key bears the tag from this commit on; False where it did already."""
    transaction.run(_ADD, (public_key, tag))
    return transaction.changed() > 0


def remove_tag(transaction: Transaction, public_key: PublicKey, tag: Tag) -> bool:
    """The key bears the tag no more; False where it did not. Whoever calls this has seen that it is not frozen."""
    transaction.run(_REMOVE, (public_key, tag))
    return transaction.changed() > 0


def read_tags(transaction: Transaction) -> Mapping[PublicKey, frozenset[Tag]]:
    """The tags of every key that bears any."""
    borne: dict[PublicKey, set[Tag]] = {}
    for key, tag in transaction.rows(_READ):
        borne.setdefault(PublicKey(bytes(key)), set()).add(Tag(tag))
    return {key: frozenset(tags) for key, tags in borne.items()}


def tags_of(transaction: Transaction, public_key: PublicKey) -> frozenset[Tag]:
    """The tags of one key."""
    return frozenset(Tag(tag) for (tag,) in transaction.rows(_READ_ONE, (public_key,)))


def missing_tags(
    transaction: Transaction, wanted: Mapping[PublicKey, Iterable[Tag]]
) -> tuple[tuple[PublicKey, Tag], ...]:
    """What these keys shall bear and do not."""
    borne = read_tags(transaction) if wanted else {}
    return tuple((key, tag) for key in wanted for tag in wanted[key] if tag not in borne.get(key, frozenset()))


def add_tags(transaction: Transaction, pairs: Iterable[tuple[PublicKey, Tag]]) -> None:
    """The same as `add_tag`, for many keys."""
    transaction.run_many(_ADD, pairs)


def freeze_tag(transaction: Transaction, tag: Tag, *, now_ms: int) -> bool:
    """Nothing is signed with a key that bears the tag from this commit on; False where that was so already."""
    transaction.run(_FREEZE, (tag, now_ms))
    return transaction.changed() > 0


def thaw_tag(transaction: Transaction, tag: Tag) -> bool:
    """Take back `freeze_tag`, and nothing else that keeps a key from signing; False where the tag was not frozen."""
    transaction.run(_THAW, (tag,))
    return transaction.changed() > 0


def read_frozen_tags(transaction: Transaction) -> Mapping[Tag, int]:
    """The frozen tags, and since when, in milliseconds since the Unix epoch."""
    return {Tag(tag): int(since_ms) for tag, since_ms in transaction.rows(_READ_FROZEN)}
