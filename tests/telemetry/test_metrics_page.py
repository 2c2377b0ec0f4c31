"""The metrics page: Web3Signer's names and ours."""

import json
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from signer.events import (
    BatchCommitted,
    ConnectionRefused,
    DutyAnswered,
    Events,
    KeyOpened,
    KeysLoaded,
    RequestAnswered,
    RequestCrashed,
    RequestRefused,
    WorkerRestarted,
)
from signer.telemetry.exposition import MetricsPage
from signer.telemetry.metrics import SIGN_ROUTE, Metrics

BOUNDS = (0.0001, 0.001, 0.01)


class Steady:
    """A steady clock that stands where it was set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Steady:
    return Steady()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def metrics(events, clock) -> Metrics:
    metrics = Metrics(version="1.2.3", buckets_seconds=BOUNDS, now=clock)
    metrics.subscribe(events)
    return metrics


@pytest.fixture
def page(metrics) -> MetricsPage:
    return MetricsPage(metrics)


def samples(page: MetricsPage) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page.render().decode())
        for sample in family.samples
    }


def value(page: MetricsPage, name: str, **labels: str) -> float:
    return samples(page)[name, frozenset(labels.items())]


def request(status: int = 200, *, seconds: float = 0.002, route: str = SIGN_ROUTE) -> RequestAnswered:
    return RequestAnswered(route, "POST", status, "ATTESTATION" if status == 200 else "", seconds)


def duty(outcome: str = "signed", code: str = "", *, duty_type: str = "ATTESTATION") -> DutyAnswered:
    return DutyAnswered(duty_type, outcome, code, 0.0, 0.00005, 0.002, 0.0002)


@pytest.mark.parametrize(
    "name",
    [
        "http_bls_malformed_request_count_total",
        "signing_bls_missing_identifier_count_total",
        "eth2_slashingprotection_permitted_signings_total",
        "eth2_slashingprotection_prevented_signings_total",
        "signing_signers_loaded_count",
        "signing_bls_signing_duration_count",
        "signing_bls_signing_duration_sum",
    ],
)
def test_web3signers_metrics_print_zero_before_their_first_use(page, name):
    assert f"\n{name} 0.0\n" in page.render().decode()


@pytest.mark.parametrize("verb", ["submitted", "completed", "rejected"])
def test_the_worker_pool_of_web3signer_has_its_names_and_labels(page, verb):
    pool = {"poolType": "worker", "poolName": "vert.x-worker-thread"}
    assert value(page, f"http_vertx_worker_pool_{verb}_total", **pool) == 0.0


def test_the_grafana_dashboard_of_web3signer_finds_every_series_that_is_not_of_the_jvm(page):
    asked = [  # the expressions of dashboard/web3signer-eth2-dashboard-grafana.json, without jvm_*
        "process_release",
        "signing_signers_loaded_count",
        "http_bls_malformed_request_count",
        "eth2_slashingprotection_prevented_signings",
        "signing_bls_missing_identifier_count",
        "signing_bls_signing_duration",
        "signing_bls_signing_duration_count",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
    ]
    present = {name for name, _ in samples(page)}
    assert set(asked) <= present


def test_a_signature_shows_in_every_metric_it_concerns(page, events):
    events.publish(duty())
    events.publish(request())
    assert value(page, "eth2_slashingprotection_permitted_signings_total") == 1
    assert value(page, "eth2_slashingprotection_database_duration_count", signingOperation="attestation") == 1
    assert value(page, "eth2_slashingprotection_database_duration_count", signingOperation="block") == 0
    assert value(page, "signing_bls_signing_duration_count") == 1
    assert value(page, "signing_bls_signing_duration", quantile="0.99") == 0.002
    labels = {"type": "ATTESTATION", "outcome": "signed"}
    assert value(page, "holdfast_duty_stage_seconds_bucket", stage="crypto", le="0.0001", **labels) == 0
    assert value(page, "holdfast_duty_stage_seconds_bucket", stage="crypto", le="0.001", **labels) == 1
    assert value(page, "holdfast_duty_stage_seconds_sum", stage="journal", **labels) == 0.002
    assert value(page, "holdfast_duties_total", code="", **labels) == 1
    assert (
        value(
            page,
            "holdfast_http_request_seconds_count",
            route=SIGN_ROUTE,
            method="POST",
            status="200",
            type="ATTESTATION",
        )
        == 1
    )


def test_only_slashing_decisions_count_as_prevented(page, events):
    events.publish(duty("refused", "DOUBLE_VOTE"))
    events.publish(duty("refused", "FORBIDDEN"))
    events.publish(duty("failed", "JOURNAL_DOWN"))
    events.publish(duty("repeated", duty_type="BLOCK_V2"))
    assert value(page, "eth2_slashingprotection_prevented_signings_total") == 1
    assert value(page, "eth2_slashingprotection_permitted_signings_total") == 1
    assert value(page, "eth2_slashingprotection_database_duration_count", signingOperation="block") == 1


def test_malformed_and_unknown_are_counted_on_the_sign_route_alone(page, events):
    for status in (400, 404, 404, 412):
        events.publish(request(status))
    events.publish(request(404, route="unmatched"))
    assert value(page, "http_bls_malformed_request_count_total") == 1
    assert value(page, "signing_bls_missing_identifier_count_total") == 2
    assert value(page, "signing_bls_signing_duration_count") == 4


def test_requests_in_flight_are_submitted_and_not_completed(page, metrics, events):
    events.publish(request())
    metrics.in_flight = lambda: 3
    pool = {"poolType": "worker", "poolName": "vert.x-worker-thread"}
    assert value(page, "http_vertx_worker_pool_submitted_total", **pool) == 4
    assert value(page, "http_vertx_worker_pool_completed_total", **pool) == 1
    assert value(page, "holdfast_http_requests_in_flight") == 3


def test_quantiles_forget_what_is_older_than_ten_minutes_and_counts_do_not(page, events, clock):
    events.publish(request(seconds=5.0))
    clock.now += 601
    assert re.search(r'signing_bls_signing_duration\{quantile="1.0"\} NaN', page.render().decode())
    events.publish(request(seconds=0.001))
    assert value(page, "signing_bls_signing_duration", quantile="1.0") == 0.001
    assert value(page, "signing_bls_signing_duration_count") == 2


def test_quantiles_are_those_of_the_last_observations(page, events):
    for number in range(1, 5097):
        events.publish(request(seconds=number / 1000))
    assert value(page, "signing_bls_signing_duration", quantile="1.0") == 5.096
    assert value(page, "signing_bls_signing_duration", quantile="0.5") == pytest.approx(1.0 + 2.048)


def test_the_journal_the_keys_and_the_faults_are_counted(page, events):
    events.publish(BatchCommitted(300, 0.005, 0.0009))
    events.publish(KeysLoaded(4, 1, 2.5))
    events.publish(KeyOpened("file-keystore", 0.2))
    events.publish(RequestRefused("00", "", "alice", "127.0.0.1", SIGN_ROUTE, 412, "DOUBLE_VOTE", "no", {}))
    events.publish(RequestCrashed("00", SIGN_ROUTE, ValueError("x")))
    events.publish(ConnectionRefused("127.0.0.1", "400 BadHttpMethod"))
    assert value(page, "holdfast_journal_batch_size_bucket", le="256.0") == 0
    assert value(page, "holdfast_journal_batch_size_bucket", le="512.0") == 1
    assert value(page, "holdfast_journal_fsync_seconds_bucket", le="0.001") == 1
    assert value(page, "holdfast_journal_batch_seconds_count") == 1
    assert value(page, "signing_signers_loaded_count") == 4
    assert value(page, "holdfast_key_errors") == 1
    assert value(page, "signing_private_key_retrieval_time_count", signer="file-keystore") == 1
    assert value(page, "holdfast_refusals_total", code="DOUBLE_VOTE") == 1
    assert value(page, "holdfast_crashes_total") == 1
    assert value(page, "holdfast_connections_refused_total") == 1


def test_workers_that_were_started_again_are_counted_from_zero(page, events):
    assert value(page, "holdfast_worker_restarts_total") == 0
    events.publish(WorkerRestarted(1, "ended with 1"))
    events.publish(WorkerRestarted(2, "was ended by signal 9"))
    assert value(page, "holdfast_worker_restarts_total") == 2


def test_the_page_tells_what_runs_here(page):
    assert value(page, "process_release", version="holdfast/v1.2.3") == 1
    [build] = [labels for name, labels in samples(page) if name == "holdfast_build_info"]
    assert dict(build)["version"] == "1.2.3"


def test_a_subscriber_that_fails_is_counted_and_stops_nobody(page, events):
    seen = []
    events.subscribe(KeysLoaded, lambda _: json.loads("{"))
    events.subscribe(KeysLoaded, seen.append)
    events.publish(KeysLoaded(1, 0, 0.1))
    assert seen == [KeysLoaded(1, 0, 0.1)]
    assert value(page, "signing_signers_loaded_count") == 1
    assert value(page, "holdfast_events_lost_total") == 1
