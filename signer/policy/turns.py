"""Whose turn it is: every policy has its turn, and within a policy every key, however much waits behind one of them.

Rule 1: what waits of one lane keeps its order.
Rule 2: of one group no more than so many are under way at once, so that it never holds every thread.
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


class Turns(Generic[Work]):
    """Work that waits. Not for several threads at once: whoever owns it holds a lock."""

    def __init__(self, *, most_of_a_group: int) -> None:
        self._most = most_of_a_group
        self._groups: OrderedDict[Hashable, _Group[Work]] = OrderedDict()
        self.waiting = 0
        """How much waits, of all lanes."""
        self.under_way = 0
        """How much was taken and has not ended."""

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

    def take(self) -> tuple[Lane, Work] | None:
        """The work whose turn it is; None where nothing may begin. Whoever takes it tells `done` afterwards."""
        for name, group in self._groups.items():
            if group.members and group.under_way < self._most:
                return self._taken(name, group)
        return None

    def done(self, lane: Lane) -> None:
        """What was taken from this lane has ended."""
        group = self._groups[lane.group]
        group.under_way -= 1
        self.under_way -= 1
        if not group.members and not group.under_way:
            del self._groups[lane.group]

    def drain(self) -> list[Work]:
        """All that waits; nothing waits afterwards."""
        drained = [work for group in self._groups.values() for queue in group.members.values() for work in queue]
        for group in self._groups.values():
            group.members.clear()
        self.waiting = 0
        return drained

    def _taken(self, name: Hashable, group: _Group[Work]) -> tuple[Lane, Work]:
        member, queue = next(iter(group.members.items()))
        work = queue.popleft()
        if queue:
            group.members.move_to_end(member)
        else:
            del group.members[member]
        group.under_way += 1
        self.under_way += 1
        self._groups.move_to_end(name)
        self.waiting -= 1
        return Lane(name, member), work
