"""The metrics of several processes on one page."""

import math
import os
import re

from signer.events import (
    ApprovalMoved,
    ApprovalsCounted,
    BatchCommitted,
    ConnectionRefused,
    DutyAnswered,
    Events,
    KeysLoaded,
    RequestAnswered,
    RequestRefused,
    WorkerRestarted,
)
from signer.telemetry.exposition import MetricsPage, page_of_all
from signer.telemetry.metrics import SIGN_ROUTE, Metrics
from signer.telemetry.summing import absorb_retired, summed, take_tallies

BOUNDS = (0.001, 0.01, 0.1)


def process(*events: object, in_flight: int = 0) -> Metrics:
    metrics = Metrics(version="1.2.3", buckets_seconds=BOUNDS, now=lambda: 100.0)
    published = Events()
    metrics.subscribe(published)
    for event in events:
        published.publish(event)
    metrics.in_flight = lambda: in_flight
    return metrics


def signed(seconds: float, duty: str = "ATTESTATION") -> tuple[object, object]:
    return (
        DutyAnswered(duty, "signed", "", seconds / 4, 0.0, seconds / 2, seconds / 4),
        RequestAnswered(SIGN_ROUTE, "POST", 200, duty, seconds),
    )


def refused(code: str) -> tuple[object, ...]:
    return (
        DutyAnswered("ATTESTATION", "refused", code, 0.0, 0.0, 0.002, 0.0),
        RequestAnswered(SIGN_ROUTE, "POST", 412, "ATTESTATION", 0.003),
        RequestRefused("00", "", "p", "127.0.0.1", SIGN_ROUTE, 412, code, "no", {}),
    )


def samples(page: bytes) -> dict[str, float]:
    found = re.findall(r"^([a-z_0-9]+(?:{[^}]*})?) (\S+)$", page.decode(), re.MULTILINE)
    return {name: float(value) for name, value in found if not name.startswith(("process_", "holdfast_build"))}


ALL = [*signed(0.0005), *signed(0.02), *signed(0.5, "BLOCK_V2"), *refused("DOUBLE_VOTE"), *refused("SLASHABLE")]


def test_the_page_of_all_counts_what_one_process_would_have_counted():
    own = process(*ALL, ConnectionRefused("1.2.3.4", "not HTTP"), KeysLoaded(4, 1, 2.0), BatchCommitted(3, 0.1, 0.05))
    main = process(KeysLoaded(4, 1, 2.0), BatchCommitted(3, 0.1, 0.05))
    first = process(*ALL[:3], ConnectionRefused("1.2.3.4", "not HTTP"))
    second = process(*ALL[3:])
    together = samples(page_of_all(main, [take_tallies(first), take_tallies(second)], worker_process_ids=()))
    expected = samples(MetricsPage(own).render())
    assert together.keys() == expected.keys()
    for name, value in expected.items():
        if "quantile=" not in name:
            assert math.isclose(together[name], value), name


def test_steps_of_approvals_are_added_up_and_those_that_wait_are_counted_by_the_main_process():
    main = process(ApprovalMoved("opened"), ApprovalMoved("expired"), ApprovalsCounted(3))
    worker = process(ApprovalMoved("spent"), ApprovalMoved("spent"))
    absorb_retired(main, take_tallies(process(ApprovalMoved("spent"))))
    page = samples(page_of_all(main, [take_tallies(worker)], worker_process_ids=()))
    assert page["holdfast_approvals_waiting"] == 3
    steps = ("opened", "approved", "denied", "cancelled", "expired", "void", "spent")
    assert [page[f'holdfast_approvals_total{{step="{step}"}}'] for step in steps] == [1, 0, 0, 0, 1, 0, 3]


def test_restarts_of_workers_are_those_that_the_main_process_saw():
    main = process(WorkerRestarted(1, "ended with 1"))
    page = samples(page_of_all(main, [take_tallies(process())], worker_process_ids=()))
    assert page["holdfast_worker_restarts_total"] == 1


def test_of_each_quantile_the_worst_is_shown():
    fast, slow = process(*signed(0.001)), process(*signed(0.2))
    page = samples(page_of_all(process(), [take_tallies(fast), take_tallies(slow)], worker_process_ids=()))
    assert page['signing_bls_signing_duration{quantile="0.5"}'] == 0.2
    assert page["signing_bls_signing_duration_count"] == 2


def test_a_quantile_that_nobody_observed_is_not_a_number():
    page = samples(page_of_all(process(), [take_tallies(process())], worker_process_ids=()))
    assert math.isnan(page['signing_bls_signing_duration{quantile="0.5"}'])


def test_requests_in_flight_are_added_up():
    busy = [take_tallies(process(in_flight=number)) for number in (2, 3)]
    assert summed(process(in_flight=1), busy).in_flight() == 6


def test_counters_do_not_fall_when_a_worker_has_ended():
    main, worker = process(), process(*ALL)
    before = samples(page_of_all(main, [take_tallies(worker)], worker_process_ids=()))
    absorb_retired(main, take_tallies(worker))
    after = samples(page_of_all(main, [take_tallies(process())], worker_process_ids=()))
    for name, value in before.items():
        if "quantile=" not in name:
            assert math.isclose(after[name], value), name
    assert math.isnan(after['signing_bls_signing_duration{quantile="0.5"}'])


def test_a_worker_that_was_never_asked_had_counted_nothing():
    main = process()
    absorb_retired(main, b"")
    assert take_tallies(main) == take_tallies(process())


def test_memory_and_time_of_the_workers_are_in_those_of_the_process():
    alone = page_of_all(process(), [], worker_process_ids=())
    doubled = page_of_all(process(), [], worker_process_ids=(os.getpid(),))
    for name, factor in (("process_resident_memory_bytes", 2), ("process_open_fds", 2), ("process_max_fds", 1)):
        one, two = (float(re.search(rf"^{name} (\S+)$", page.decode(), re.MULTILINE)[1]) for page in (alone, doubled))
        assert math.isclose(two / one, factor, rel_tol=0.2), name


def test_a_worker_that_has_just_ended_leaves_the_page_as_it_is():
    assert b"process_open_fds" in page_of_all(process(), [], worker_process_ids=(2**22 + 1,))
