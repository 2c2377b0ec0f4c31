"""The metrics page: every tally under its name, in Prometheus' text format 0.0.4.

Counters print 0.0 before their first use. Web3Signer's dashboard asks for some counters without the `_total` that its
newer releases print: those have both names here.
"""

import platform
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from signer.telemetry.metrics import STAGES, Metrics
from signer.telemetry.summing import summed
from signer.telemetry.tally import Counter, Histogram, Summary

_POOL = {"poolType": "worker", "poolName": "vert.x-worker-thread"}
"""The labels of Web3Signer's only worker pool."""


def page_of_all(metrics: Metrics, others: Sequence[bytes], *, worker_process_ids: Sequence[int]) -> bytes:
    """The page of the main process and its workers; `others` is what these have counted. Takes milliseconds."""
    return MetricsPage(summed(metrics, others), worker_process_ids=worker_process_ids).render()


_ADDED_UP = frozenset(
    {"process_cpu_seconds", "process_resident_memory_bytes", "process_virtual_memory_bytes", "process_open_fds"}
)
"""Families of /proc of which the sum over all processes means something."""


class MetricsPage:
    """Makes the page. One instance for the life of the process; `render` may be called from any thread."""

    def __init__(self, metrics: Metrics, *, worker_process_ids: Sequence[int] = ()) -> None:
        """`metrics` are those of all processes already."""
        self._registry = CollectorRegistry()
        self._registry.register(_Tallies(metrics))
        self._registry.register(_Processes(worker_process_ids))

    def render(self) -> bytes:
        """The page. Takes milliseconds; never raises."""
        return generate_latest(self._registry)


class _Processes(Collector):
    """What /proc tells of this process, and of its workers with it: their time, memory and files are added up."""

    def __init__(self, worker_process_ids: Sequence[int]) -> None:
        self._workers = worker_process_ids

    def collect(self) -> Iterable[Metric]:
        """The families of prometheus-client's own collector."""
        families = list(ProcessCollector(registry=None).collect())
        added = {family.name: family.samples for family in families if family.name in _ADDED_UP}
        for worker in self._workers:
            for family in ProcessCollector(pid=partial(int, worker), registry=None).collect():
                if family.name in added:
                    samples = added[family.name]
                    samples[:] = [
                        own._replace(value=own.value + other.value)
                        for own, other in zip(samples, family.samples, strict=True)
                    ]
        return families


class _Tallies(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """Every family, Web3Signer's first."""
        metrics = self._metrics
        yield from _web3signer(metrics)
        yield from _requests(metrics)
        yield from _duties(metrics)
        yield from _policies(metrics)
        yield from _approvals(metrics)
        yield from _journal(metrics)
        yield from _process(metrics)


def _web3signer(metrics: Metrics) -> Iterator[Metric]:
    yield from _named_twice(
        "http_bls_malformed_request_count", "Sign requests that could not be read", metrics.malformed
    )
    in_flight = metrics.in_flight()
    completed = metrics.sign_completed.value
    for verb, value in (("submitted", completed + in_flight), ("completed", completed), ("rejected", 0.0)):
        family = CounterMetricFamily(f"http_vertx_worker_pool_{verb}", f"Sign requests {verb}", labels=list(_POOL))
        family.add_metric(list(_POOL.values()), value)
        yield family
    yield _summary("http_vertx_worker_pool_usage", "Seconds a sign request took", [(_POOL, metrics.signing_duration)])
    yield _summary(
        "http_vertx_worker_queue_delay", "Seconds waited for a signing thread", [(_POOL, metrics.queue_delay)]
    )
    yield _summary(
        "signing_bls_signing_duration", "Seconds from request to signature", [({}, metrics.signing_duration)]
    )
    yield from _named_twice(
        "signing_bls_missing_identifier_count", "Sign requests for keys that are not loaded", metrics.missing_identifier
    )
    yield GaugeMetricFamily("signing_signers_loaded_count", "Keys that can sign", value=metrics.keys_loaded)
    yield _summary(
        "signing_private_key_retrieval_time",
        "Seconds to read one key from its source",
        [({"signer": source}, summary) for source, summary in sorted(metrics.key_retrieval.items())],
    )
    for name, counter in (("permitted", metrics.permitted), ("prevented", metrics.prevented)):
        yield from _named_twice(f"eth2_slashingprotection_{name}_signings", f"Signings {name}", counter)
    yield _summary(
        "eth2_slashingprotection_database_duration",
        "Seconds for a decision to become durable",
        [({"signingOperation": operation}, one) for operation, one in metrics.database_duration.items()],
    )
    release = GaugeMetricFamily("process_release", "Release information", labels=["version"])
    release.add_metric([f"holdfast/v{metrics.version}"], 1.0)
    yield release


def _requests(metrics: Metrics) -> Iterator[Metric]:
    seconds = HistogramMetricFamily(
        "holdfast_http_request_seconds",
        "Seconds from a request's head to its answer",
        labels=["route", "method", "status", "type"],
    )
    for (route, method, status, duty_type), histogram in list(metrics.requests.items()):
        _add(seconds, [route, method, str(status), duty_type], histogram)
    yield seconds
    yield GaugeMetricFamily("holdfast_http_requests_in_flight", "Requests without an answer", value=metrics.in_flight())
    refusals = CounterMetricFamily("holdfast_refusals", "Requests answered with a problem", labels=["code"])
    for code, counter in list(metrics.refusals.items()):
        refusals.add_metric([code], counter.value)
    yield refusals
    conflicts = CounterMetricFamily(
        "holdfast_conflicting_requests",
        "Requests for a duty that was signed with other contents minutes before, by who asked for the two",
        labels=["principals"],
    )
    conflicts.add_metric(["two"], metrics.conflicts_of_two_principals.value)
    conflicts.add_metric(["one"], metrics.conflicts_of_one_principal.value)
    yield conflicts
    yield _counter("holdfast_crashes", "Requests that met something unforeseen", metrics.crashes)
    yield _counter("holdfast_connections_refused", "Connections closed or not HTTP", metrics.connections_refused)


def _duties(metrics: Metrics) -> Iterator[Metric]:
    seconds = HistogramMetricFamily(
        "holdfast_duty_stage_seconds", "Seconds a duty spent in a stage", labels=["stage", "type", "outcome"]
    )
    for (duty_type, outcome), histograms in list(metrics.stages.items()):
        for stage, histogram in zip(STAGES, histograms, strict=True):
            _add(seconds, [stage, duty_type, outcome], histogram)
    yield seconds
    duties = CounterMetricFamily("holdfast_duties", "Duties whose fate is known", labels=["type", "outcome", "code"])
    for labels, counter in list(metrics.duty_codes.items()):
        duties.add_metric(list(labels), counter.value)
    yield duties


def _policies(metrics: Metrics) -> Iterator[Metric]:
    evaluations = CounterMetricFamily(
        "holdfast_policy_evaluations", "Times a policy had a say", labels=["policy", "verdict"]
    )
    for (policy, verdict), counter in list(metrics.policy_verdicts.items()):
        evaluations.add_metric([policy, verdict], counter.value)
    yield evaluations
    seconds = HistogramMetricFamily(
        "holdfast_policy_seconds", "Seconds a policy took, without its wait for a thread", labels=["policy"]
    )
    for policy, histogram in list(metrics.policy_seconds.items()):
        _add(seconds, [policy], histogram)
    yield seconds
    fuel = CounterMetricFamily("holdfast_policy_fuel", "Fuel that a policy has used up", labels=["policy"])
    for policy, counter in list(metrics.policy_fuel.items()):
        fuel.add_metric([policy], counter.value)
    yield fuel
    shadows = CounterMetricFamily(
        "holdfast_policy_shadow_comparisons",
        "Requests that a version beside the live one has decided too",
        labels=["policy", "live", "shadow"],
    )
    for labels, counter in list(metrics.shadow_comparisons.items()):
        shadows.add_metric(list(labels), counter.value)
    yield shadows
    differences = CounterMetricFamily(
        "holdfast_policy_shadow_differences", "Those about which the two say something else", labels=["policy"]
    )
    for policy, counter in list(metrics.shadow_differences.items()):
        differences.add_metric([policy], counter.value)
    yield differences


def _approvals(metrics: Metrics) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "holdfast_approvals_waiting",
        "Requests that wait for people or for being collected, at most half a minute ago",
        value=metrics.approvals_waiting,
    )
    steps = CounterMetricFamily("holdfast_approvals", "Steps of requests that wait for people", labels=["step"])
    for step, counter in metrics.approval_steps.items():
        steps.add_metric([step], counter.value)
    yield steps


def _journal(metrics: Metrics) -> Iterator[Metric]:
    for name, text, histogram in (
        ("holdfast_journal_batch_size", "Commands in one commit", metrics.batch_size),
        ("holdfast_journal_batch_seconds", "Seconds for a batch: load, judge, store, commit", metrics.batch_seconds),
        ("holdfast_journal_fsync_seconds", "Seconds for the commit alone, its fsync", metrics.commit_seconds),
    ):
        family = HistogramMetricFamily(name, text)
        _add(family, [], histogram)
        yield family


def _process(metrics: Metrics) -> Iterator[Metric]:
    yield GaugeMetricFamily("holdfast_key_errors", "Keys that did not load at the last load", value=metrics.key_errors)
    yield GaugeMetricFamily("holdfast_keys_frozen", "Keys frozen by their own name", value=metrics.keys_frozen)
    yield GaugeMetricFamily("holdfast_tags_frozen", "Tags whose keys sign nothing", value=metrics.tags_frozen)
    yield GaugeMetricFamily("holdfast_all_keys_frozen", "1 while nothing at all is signed", value=metrics.all_frozen)
    yield GaugeMetricFamily("holdfast_key_load_seconds", "Seconds the last load took", value=metrics.load_seconds)
    yield GaugeMetricFamily(
        "holdfast_clock_alarm",
        "1 while the clock has jumped or nobody vouches for it",
        value=float(metrics.clock_alarm),
    )
    yield _counter("holdfast_worker_restarts", "Worker processes that ended unasked", metrics.worker_restarts)
    yield CounterMetricFamily("holdfast_events_lost", "Events a subscriber failed on", value=metrics.lost_events())
    build = GaugeMetricFamily("holdfast_build_info", "What runs here", labels=["version", "python"])
    build.add_metric([metrics.version, platform.python_version()], 1.0)
    yield build


def _named_twice(name: str, text: str, counter: Counter) -> Iterator[Metric]:
    yield _counter(name, text, counter)
    yield GaugeMetricFamily(name, f"{text} (the older name of {name}_total)", value=counter.value)


def _counter(name: str, text: str, counter: Counter) -> Metric:
    return CounterMetricFamily(name, text, value=counter.value)


def _add(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    family.add_metric(labels, buckets=histogram.cumulative(), sum_value=histogram.total)


def _summary(name: str, text: str, series: Iterable[tuple[dict[str, str], Summary]]) -> Metric:
    family = Metric(name, text, "summary")
    for labels, summary in series:
        for quantile, value in summary.quantiles():
            family.add_sample(name, {**labels, "quantile": quantile}, value)
        family.add_sample(f"{name}_count", labels, float(summary.count))
        family.add_sample(f"{name}_sum", labels, summary.total)
    return family
