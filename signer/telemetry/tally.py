"""Counters, histograms and summaries that are counted without locks.

Each is written by one thread (events.py, rule 3) and read by whichever thread makes the page: a reader may miss the
last microsecond, never crash. prometheus-client's own take a lock and a label look-up for each observation, 2 us of
them; these take 0.3.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence

QUANTILES = (0.2, 0.5, 0.8, 0.95, 0.99, 1.0)
"""Those of Web3Signer's timers; its dashboard draws a bar for each."""

SUMMARY_WINDOW_SECONDS = 600.0
"""How long an observation counts for quantiles: the default of Web3Signer's metrics library."""

_SUMMARY_RING = 4096
"""Observations kept for quantiles; sorting them takes 1 ms, once a scrape."""


class Counter:
    """Only rises."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1.0) -> None:
        """Count."""
        self.value += amount


class Histogram:
    """How many observations were at most as large as each bound."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` ascend; one more bucket, without bound, takes the rest."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def absorb(self, counts: Sequence[int], total: float) -> None:
        """Count what another histogram with the same bounds has counted."""
        self.counts = [own + other for own, other in zip(self.counts, counts, strict=True)]
        self.total += total

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus' buckets: bound as text, observations at or below it."""
        running = 0
        buckets = []
        for bound, count in zip((*self.bounds, math.inf), self.counts[:], strict=True):
            running += count
            buckets.append(("+Inf" if bound == math.inf else str(bound), float(running)))
        return buckets


class Summary:
    """Count, sum, and quantiles over the last observations."""

    __slots__ = ("_next", "_now", "_others", "_ring", "count", "total")

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is a steady clock in seconds."""
        self._now = now
        self._ring: list[tuple[float, float]] = []
        self._next = 0
        self._others: list[Sequence[float]] = []
        self.count = 0
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.count += 1
        self.total += value
        moment = (self._now(), value)
        if len(self._ring) < _SUMMARY_RING:
            self._ring.append(moment)
            return
        self._ring[self._next] = moment
        self._next = (self._next + 1) % _SUMMARY_RING

    def absorb(self, count: int, total: float, quantiles: Sequence[float]) -> None:
        """Count what another summary has counted, and show the worse of both at each quantile."""
        self.count += count
        self.total += total
        if quantiles:
            self._others.append(quantiles)

    def values(self) -> list[float]:
        """The value at each of QUANTILES; NaN when nothing was observed within the window."""
        oldest = self._now() - SUMMARY_WINDOW_SECONDS
        recent = sorted(value for moment, value in self._ring[:] if moment >= oldest)
        own = [_at(recent, quantile) for quantile in QUANTILES]
        return [_worst(column) for column in zip(own, *self._others, strict=True)] if self._others else own

    def quantiles(self) -> list[tuple[str, float]]:
        """Each quantile as text, and its value."""
        return [(str(quantile), value) for quantile, value in zip(QUANTILES, self.values(), strict=True)]


def _worst(values: Iterable[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


def _at(values: Sequence[float], quantile: float) -> float:
    if not values:
        return math.nan
    return values[min(len(values) - 1, math.ceil(quantile * len(values)) - 1)]
