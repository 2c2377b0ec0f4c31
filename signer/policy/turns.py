"""Whose turn it is: every policy has its turn, and within a policy every key, however much waits behind one of them.

Rule 1: what waits of one lane keeps its order.
Rule 2: of one group no more than so many turns are under way at once, so that it never holds every thread.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

Work = TypeVar("Work")


class Lane(NamedTuple):
    """For whom work is: first among groups (the policies that decide), then among members (the keys)."""

    group: Hashable
    member: Hashable


@dataclass(slots=True)
class _Group(Generic[Work]):
    members: OrderedDict[Hashable, deque[Work]] = field(default_factory=OrderedDict)
    under_way: int = 0


class Turn(NamedTuple, Generic[Work]):
    """What was taken at once."""

    group: Hashable
    works: list[Work]
    """Of different members where as many wait, in the order of their turns."""


class Turns(Generic[Work]):
    """Work that waits. Not for several threads at once: whoever owns it holds a lock."""

    def __init__(self, *, most_of_a_group: int) -> None:
        self._most = most_of_a_group
        self._groups: OrderedDict[Hashable, _Group[Work]] = OrderedDict()
        self.waiting = 0
        """How much waits, of all lanes."""
        self.under_way = 0
        """Turns that were taken and have not ended."""

    def add(self, lane: Lane, work: Work) -> None:
        """At the end of its lane."""
        group = self._groups.get(lane.group)
        if group is None:
            group = self._groups[lane.group] = _Group()
        member = group.members.get(lane.member)
        if member is None:
            member = group.members[lane.member] = deque()
        member.append(work)
        self.waiting += 1

    def take(self, *, most: int = 1) -> Turn[Work] | None:
        """The group whose turn it is, with so much of its work; None where nothing may begin.

        Whoever takes it tells `done` afterwards.
        """
        for name, group in self._groups.items():
            if group.members and group.under_way < self._most:
                return Turn(name, self._taken(name, group, most))
        return None

    def put_back(self, lane: Lane, work: Work) -> None:
        """What was taken and not begun is next again. Of several, the one that was taken last is put back first."""
        group = self._groups[lane.group]  # it is there while a turn of it is under way
        group.members.setdefault(lane.member, deque()).appendleft(work)
        group.members.move_to_end(lane.member, last=False)
        self.waiting += 1

    def done(self, name: Hashable) -> None:
        """A turn of this group has ended."""
        group = self._groups[name]
        group.under_way -= 1
        self.under_way -= 1
        if not group.members and not group.under_way:
            del self._groups[name]

    def drain(self) -> list[Work]:
        """All that waits; nothing waits afterwards."""
        drained = [work for group in self._groups.values() for queue in group.members.values() for work in queue]
        for group in self._groups.values():
            group.members.clear()
        self.waiting = 0
        return drained

    def _taken(self, name: Hashable, group: _Group[Work], most: int) -> list[Work]:
        works: list[Work] = []
        while group.members and len(works) < most:
            member, queue = next(iter(group.members.items()))
            works.append(queue.popleft())
            if queue:
                group.members.move_to_end(member)
            else:
                del group.members[member]
        group.under_way += 1
        self.under_way += 1
        self._groups.move_to_end(name)
        self.waiting -= len(works)
        return works
