"""The tallies of several processes as one: what a worker has counted, on its way to the main process's page.

Counters, buckets, counts and sums are added up; of quantiles the worst is shown, since they cannot be added. Gauges are
the main process's own.
"""

from collections.abc import Iterable

from msgspec import Struct, msgpack

from signer.events import ApprovalStep
from signer.telemetry.metrics import STAGES, Metrics
from signer.telemetry.tally import Counter, Histogram, Summary

_COUNTERS = (
    "malformed",
    "missing_identifier",
    "permitted",
    "prevented",
    "sign_completed",
    "conflicts_of_two_principals",
    "conflicts_of_one_principal",
    "crashes",
    "connections_refused",
)
"""Attributes of Metrics that are a Counter each."""


class _HistogramRow(Struct, array_like=True, frozen=True):
    counts: list[int]
    total: float


class _SummaryRow(Struct, array_like=True, frozen=True):
    count: int
    total: float
    quantiles: list[float]


class _Tallies(Struct, array_like=True, frozen=True):
    """Fields in the order in which they travel; both ends are the same program."""

    in_flight: int
    lost_events: int
    counters: list[float]
    summaries: list[_SummaryRow]
    duty_codes: list[tuple[tuple[str, str, str], float]]
    refusals: list[tuple[str, float]]
    stages: list[tuple[tuple[str, str], list[_HistogramRow]]]
    requests: list[tuple[tuple[str, str, int, str], _HistogramRow]]
    policy_verdicts: list[tuple[tuple[str, str], float]]
    policy_seconds: list[tuple[str, _HistogramRow]]
    policy_fuel: list[tuple[str, float]]
    shadow_comparisons: list[tuple[tuple[str, str, str], float]]
    shadow_differences: list[tuple[str, float]]
    approval_steps: list[tuple[ApprovalStep, float]]


_decoder = msgpack.Decoder(_Tallies)


def take_tallies(metrics: Metrics) -> bytes:
    """What this process has counted. Takes milliseconds; may be called from any thread."""
    return msgpack.encode(
        _Tallies(
            metrics.in_flight(),
            metrics.lost_events(),
            [getattr(metrics, name).value for name in _COUNTERS],
            [_SummaryRow(one.count, one.total, one.values()) for one in _summaries(metrics)],
            [(labels, counter.value) for labels, counter in list(metrics.duty_codes.items())],
            [(code, counter.value) for code, counter in list(metrics.refusals.items())],
            [(labels, [_row(one) for one in histograms]) for labels, histograms in list(metrics.stages.items())],
            [(labels, _row(histogram)) for labels, histogram in list(metrics.requests.items())],
            [(labels, counter.value) for labels, counter in list(metrics.policy_verdicts.items())],
            [(policy, _row(histogram)) for policy, histogram in list(metrics.policy_seconds.items())],
            [(policy, counter.value) for policy, counter in list(metrics.policy_fuel.items())],
            [(labels, counter.value) for labels, counter in list(metrics.shadow_comparisons.items())],
            [(policy, counter.value) for policy, counter in list(metrics.shadow_differences.items())],
            [(step, counter.value) for step, counter in metrics.approval_steps.items()],
        )
    )


def absorb_retired(metrics: Metrics, tallies: bytes) -> None:
    """Keep what a worker that has ended had counted: a counter that falls reads as a restart of the whole service."""
    if tallies:
        _add(metrics, _decoder.decode(tallies), with_quantiles=False)


def summed(metrics: Metrics, others: Iterable[bytes]) -> Metrics:
    """The tallies of this process and of others, in a Metrics of their own."""
    total = metrics.without_traffic()
    counted = [_decoder.decode(tallies) for tallies in (take_tallies(metrics), *others)]
    for one in counted:
        _add(total, one, with_quantiles=True)
    total.in_flight = lambda: sum(one.in_flight for one in counted)
    total.lost_events = lambda: sum(one.lost_events for one in counted)
    return total


def _add(metrics: Metrics, tallies: _Tallies, *, with_quantiles: bool) -> None:
    for name, value in zip(_COUNTERS, tallies.counters, strict=True):
        getattr(metrics, name).add(value)
    for summary, row in zip(_summaries(metrics), tallies.summaries, strict=True):
        summary.absorb(row.count, row.total, row.quantiles if with_quantiles else ())
    for codes, value in tallies.duty_codes:
        metrics.duty_codes.setdefault(codes, Counter()).add(value)
    for code, value in tallies.refusals:
        metrics.refusals.setdefault(code, Counter()).add(value)
    for stage_labels, rows in tallies.stages:
        histograms = metrics.stages.setdefault(stage_labels, tuple(metrics.new_histogram() for _ in STAGES))
        for histogram, counted in zip(histograms, rows, strict=True):
            histogram.absorb(counted.counts, counted.total)
    for labels, counted in tallies.requests:
        metrics.requests.setdefault(labels, metrics.new_histogram()).absorb(counted.counts, counted.total)
    _add_policies(metrics, tallies)


def _add_policies(metrics: Metrics, tallies: _Tallies) -> None:
    for verdict, value in tallies.policy_verdicts:
        metrics.policy_verdicts.setdefault(verdict, Counter()).add(value)
    for policy, counted in tallies.policy_seconds:
        metrics.policy_seconds.setdefault(policy, metrics.new_histogram()).absorb(counted.counts, counted.total)
    for policy, value in tallies.policy_fuel:
        metrics.policy_fuel.setdefault(policy, Counter()).add(value)
    for comparison, value in tallies.shadow_comparisons:
        metrics.shadow_comparisons.setdefault(comparison, Counter()).add(value)
    for policy, value in tallies.shadow_differences:
        metrics.shadow_differences.setdefault(policy, Counter()).add(value)
    for step, value in tallies.approval_steps:
        metrics.approval_steps[step].add(value)


def _summaries(metrics: Metrics) -> tuple[Summary, ...]:
    return (metrics.signing_duration, metrics.queue_delay, *metrics.database_duration.values())


def _row(histogram: Histogram) -> _HistogramRow:
    return _HistogramRow(histogram.counts, histogram.total)
