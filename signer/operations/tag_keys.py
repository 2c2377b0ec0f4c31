"""Tags of keys: told, given and taken away by orders, and given by the documents of key files.

A load puts the tags that documents name on record before their keys serve. It takes none away, since another signer's
documents may name them still: a tag is taken from a key by an order alone, which the audit log tells.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from signer.audit.entry import Kind
from signer.auth.authorize import check_authorized, may_see
from signer.auth.principal import Action, Caller
from signer.clock import Clock
from signer.errors import MalformedRequestError, UnknownKeyError
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.guard import LoadsKeys
from signer.keys.report import LoadReport, Progress
from signer.keys.tags import (
    MAX_TAGS,
    TAG_RULE,
    Tag,
    add_tag,
    add_tags,
    is_tag,
    missing_tags,
    read_frozen_tags,
    read_tags,
    remove_tag,
    tags_of,
)
from signer.operations.bound_tags import bind_anew
from signer.operations.changes import Changes
from signer.operations.orders import Carried, Orders, TagKeys
from signer.operations.reading import read_record
from signer.operations.story import NoteStory
from signer.units import PublicKey

KEYS_OF_ONE_ENTRY = 32
"""Keys whose tag one audit entry tells: it has room for forty."""

Pair = tuple[PublicKey, Tag]


class KeyTagging:
    """One instance for the life of the process; reads through connections of its own."""

    def __init__(self, *, orders: Orders, reading: Reading) -> None:
        self._orders = orders
        self._reading = reading

    async def tags(self, caller: Caller) -> Mapping[PublicKey, tuple[Tag, ...]]:
        """The tags of every key that bears any, as far as this caller may see it. Raises ForbiddenError."""
        check_authorized(caller.principal, Action.KEYS_LIST)
        borne = await asyncio.to_thread(read_record, self._reading, read_tags)
        return {key: tuple(sorted(tags)) for key, tags in borne.items() if may_see(caller.principal, key)}

    async def tag(self, order: TagKeys, caller: Caller) -> tuple[Carried, ...]:
        """Give and take tags; what became of each key. Raises ForbiddenError, UnknownKeyError, JournalDownError."""
        check_authorized(caller.principal, Action.KEYS_TAG)
        for key in order.keys:
            if not may_see(caller.principal, key):
                raise UnknownKeyError("0x" + key.hex())
        return await self._orders.carry_out(order, caller)


def parse_tags(words: Sequence[str], *, path: str) -> tuple[Tag, ...]:
    """Tags without repetitions. Raises MalformedRequestError."""
    if len(words) > MAX_TAGS:
        raise MalformedRequestError(f"{len(words)} tags are named; one order has at most {MAX_TAGS}", path=path)
    for word in words:
        if not is_tag(word):
            raise MalformedRequestError(TAG_RULE, path=path)
    return tuple(dict.fromkeys(map(Tag, words)))


def tag_order(keys: Sequence[PublicKey], *, add: Sequence[str], remove: Sequence[str]) -> TagKeys:
    """An order about these keys. Raises MalformedRequestError: it says nothing, or contradicts itself."""
    order = TagKeys(tuple(keys), parse_tags(add, path="add"), parse_tags(remove, path="remove"))
    if not order.add and not order.remove:
        raise MalformedRequestError("no tag is named: name one to add or to remove")
    if both := sorted(set(order.add) & set(order.remove)):
        raise MalformedRequestError(f"{both[0]} is to be added and removed at once", path="remove")
    return order


# --- carrying orders out ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Done:
    added: tuple[Tag, ...] = ()
    removed: tuple[Tag, ...] = ()
    frozen: tuple[Tag, ...] = ()
    """To be removed, and frozen: so nothing was changed."""

    def told(self) -> str:
        if self.frozen:
            return "refused: frozen " + " ".join(self.frozen)
        return " ".join(["+" + tag for tag in self.added] + ["-" + tag for tag in self.removed]) or "was so before"


async def carry_out_tags(
    changes: Changes,
    reading: Reading,
    order: TagKeys,
    caller: Caller,
    *,
    now_ms: int,
    documented: Callable[[PublicKey], Sequence[Tag]],
) -> tuple[Carried, ...]:
    """See TagKeys: one commit for each key, with its audit entry, and one for the policies that are bound to the tags.

    `documented` are the tags that a key's document names, as far as this process has loaded it.

    Raises:
        JournalDownError, OutcomeUnknownError, StartupError.
    """
    carried = []
    changed: set[Tag] = set()
    for key in order.keys:
        # Crash before this commit: the key bears what it bore. Crash after it: the next signature is judged by the new.
        done = await changes.perform(_change(key, order), _story(key, caller, now_ms))
        carried.append(_carried(key, done, documented(key)))
        changed.update(done.added, done.removed)
    await bind_anew(changes, reading, changed, caller=caller, now_ms=now_ms)
    return tuple(carried)


def _change(key: PublicKey, order: TagKeys) -> Callable[[Transaction], _Done]:
    def change(transaction: Transaction) -> _Done:
        frozen = set(order.remove) & tags_of(transaction, key) & read_frozen_tags(transaction).keys()
        if frozen:
            return _Done(frozen=tuple(sorted(frozen)))
        return _Done(
            tuple(tag for tag in order.add if add_tag(transaction, key, tag)),
            tuple(tag for tag in order.remove if remove_tag(transaction, key, tag)),
        )

    return change


def _story(key: PublicKey, caller: Caller, now_ms: int) -> Callable[[_Done], NoteStory]:
    return lambda done: NoteStory(Kind.KEY_TAGGED, now_ms, done.told(), caller.principal.name, caller.request_id, key)


def _carried(key: PublicKey, done: _Done, documented: Sequence[Tag]) -> Carried:
    if done.frozen:
        name = done.frozen[0]
        reason = f"{name} is frozen, and without it this key might sign again: `holdfast thaw tag:{name}` comes first"
        return Carried(key, "error", f"nothing was changed: {reason}")
    named = sorted(set(done.removed) & set(documented))
    warning = f"its document names {' '.join(named)} still, which the next load gives it again" if named else ""
    return Carried(key, "tagged" if done.added or done.removed else "unchanged", warning)


# --- the documents of key files --------------------------------------------------------------------


class TaggingLoader:
    """A loader whose keys have their documents' tags on record before they serve. Used by the thread that loads."""

    def __init__(self, loader: LoadsKeys, *, changes: Changes, reading: Reading, clock: Clock) -> None:
        self._loader = loader
        self._changes = changes
        self._reading = reading
        self._clock = clock

    def load(self, progress: Progress, stop: threading.Event | None) -> LoadReport:
        """See LoadsKeys. Raises what the journal raises."""
        report = self._loader.load(progress, stop)
        wanted = {key.public_key: key.tags for key in report.keys if key.tags}
        if wanted and (missing := read_record(self._reading, lambda moment: missing_tags(moment, wanted))):
            # This thread has no event loop, and the service's own may be waiting for this very thread to end.
            asyncio.run(self._record(missing))
        return report

    async def _record(self, missing: Sequence[Pair]) -> None:
        for tag, keys in _portions(missing):
            note = f"+{tag}, named by documents: " + " ".join("0x" + key.hex() for key in keys)
            story = NoteStory(Kind.KEY_TAGGED, int(self._clock.now() * 1000), note)
            # Crash before this commit: the keys do not serve, and the next load does the same again.
            await self._changes.perform(partial(add_tags, pairs=[(key, tag) for key in keys]), partial(_told, story))
        tags = {tag for _, tag in missing}
        await bind_anew(self._changes, self._reading, tags, caller=None, now_ms=int(self._clock.now() * 1000))


def _portions(pairs: Iterable[Pair]) -> Iterator[tuple[Tag, list[PublicKey]]]:
    """Tag by tag, as many keys as one audit entry tells."""
    for tag, group in groupby(sorted(pairs, key=lambda pair: (pair[1], pair[0])), key=lambda pair: pair[1]):
        keys = [key for key, _ in group]
        for start in range(0, len(keys), KEYS_OF_ONE_ENTRY):
            yield tag, keys[start : start + KEYS_OF_ONE_ENTRY]


def _told(story: NoteStory, _done: None) -> NoteStory:
    return story
