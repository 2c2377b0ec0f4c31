"""What was spent of one counter in a sliding window, in bounded room.

Time is cut into buckets of a sixtieth of the window, so a counter keeps at most 62 amounts however often it is used.

Rule 1: an amount counts for its whole window and never shorter; it may count longer, by up to one bucket.
Rule 2: a counter's time only moves forward: it is the latest of all requests'. A clock that was set back, or another
signer's that is slow, frees nothing and loses nothing.
Rule 3: what is given back was booked at that time or earlier, so that an amount that is still spent never counts less.

Times are whole seconds since the Unix epoch, amounts whole numbers of whatever the counter counts.
"""

from collections.abc import Iterable

from signer.policy.verdict import FOREVER

BUCKETS = 60
"""Parts of a window. A day forgets in steps of 24 minutes."""


def bucket_seconds(window_seconds: int) -> int:
    """How long a bucket of this window is."""
    return max(1, -(-window_seconds // BUCKETS))


class Window:
    """One counter's amounts. Owned by the batch that loaded it."""

    def __init__(self, window_seconds: int, amounts: Iterable[tuple[int, int]] = ()) -> None:
        """`amounts`: when each bucket begins, and what was spent in it."""
        self._length = window_seconds
        self._width = bucket_seconds(window_seconds)
        self._amounts = dict(amounts)
        self._recorded = frozenset(self._amounts)
        self._changed: set[int] = set()

    def spent(self, at_seconds: int) -> int:
        """What counts for a request of that time."""
        now = self._time(at_seconds)
        return sum(amount for begins, amount in self._amounts.items() if self._counts(begins, now))

    def spend(self, amount: int, *, at_seconds: int) -> None:
        """Book it; whoever calls this has seen that it is within the limit. What counts no more is forgotten."""
        now = self._time(at_seconds)
        begins = self._bucket(now)
        self._set(begins, self._amounts.get(begins, 0) + amount)
        for old in [each for each in self._amounts if not self._counts(each, now)]:
            del self._amounts[old]
            self._changed.discard(old)

    def give_back(self, amount: int, *, at_seconds: int) -> None:
        """Take back what was booked by a request of that time, as far as it is still here."""
        left = amount
        latest = self._bucket(at_seconds)
        for begins in sorted((each for each in self._amounts if each <= latest), reverse=True):
            taken = min(left, self._amounts[begins])
            if taken:
                self._set(begins, self._amounts[begins] - taken)
                left -= taken

    def frees_at(self, amount: int, *, limit: int, at_seconds: int) -> int | None:
        """When that amount will be within the limit if nobody spends meanwhile; None for never."""
        if amount > limit or self._length == FOREVER:
            return None
        left = self.spent(at_seconds)
        now = self._time(at_seconds)
        for begins in sorted(each for each in self._amounts if self._counts(each, now)):
            left -= self._amounts[begins]
            if left + amount <= limit:
                return self.ends(begins)
        return None

    def ends(self, begins: int) -> int:
        """From when on a bucket counts no more."""
        return begins + self._width + self._length

    def changed(self) -> dict[int, int]:
        """Amounts to record, by the beginnings of their buckets."""
        return {begins: self._amounts[begins] for begins in self._changed}

    def forgotten(self) -> list[int]:
        """The beginnings of buckets on record that count no more."""
        return [begins for begins in self._recorded if begins not in self._amounts]

    def _time(self, at_seconds: int) -> int:
        return max(at_seconds, max(self._amounts, default=0))

    def _bucket(self, at_seconds: int) -> int:
        return 0 if self._length == FOREVER else at_seconds - at_seconds % self._width

    def _counts(self, begins: int, now: int) -> bool:
        return self._length == FOREVER or self.ends(begins) > now

    def _set(self, begins: int, amount: int) -> None:
        self._amounts[begins] = amount
        self._changed.add(begins)
