"""Two clients of one key are seen in the log and on the page of metrics, those of the workers too."""

import json
from dataclasses import replace

from test_log_lines import Written

from signer.events import ConflictingRequests, Events
from signer.telemetry.exposition import page_of_all
from signer.telemetry.metrics import Metrics
from signer.telemetry.summing import take_tallies

TWO = ConflictingRequests(
    public_key="0x" + "ab" * 48,
    duty_type="ATTESTATION",
    code="DOUBLE_VOTE",
    field="target_epoch",
    value=50,
    signing_root="0x" + "02" * 32,
    recorded_signing_root="0x" + "01" * 32,
    principal="bob",
    address="10.0.0.7",
    request_id="0000000000000002",
    recorded_principal="alice",
    recorded_request_id="0000000000000001",
    recorded_ms=1_700_000_000_000,
)
ONE = replace(TWO, principal="alice")


def counted(*events: ConflictingRequests) -> Metrics:
    metrics = Metrics(version="1.2.3", buckets_seconds=(0.1,), now=lambda: 0.0)
    published = Events()
    metrics.subscribe(published)
    for event in events:
        published.publish(event)
    return metrics


def test_one_line_has_both_roots_and_both_sides():
    written = Written()
    written.events.publish(TWO)
    written.events.publish(ONE)
    written.logs.stop()
    two, one = (json.loads(line) for line in written.text.getvalue().splitlines())
    assert (two["level"], one["level"]) == ("error", "warning")
    assert two["event"] == "two clients ask for one key"
    assert (two["signing_root"], two["recorded_signing_root"]) == (TWO.signing_root, TWO.recorded_signing_root)
    assert (two["principal"], two["recorded_principal"], two["address"]) == ("bob", "alice", "10.0.0.7")
    assert (two["request_id"], two["recorded_request_id"]) == (TWO.request_id, TWO.recorded_request_id)
    assert (two["public_key"], two["target_epoch"], two["code"]) == (TWO.public_key, 50, "DOUBLE_VOTE")


def test_the_page_counts_those_of_every_process():
    worker = take_tallies(counted(TWO, ONE))
    page = page_of_all(counted(TWO), [worker, worker], worker_process_ids=()).decode()
    assert 'holdfast_conflicting_requests_total{principals="two"} 3.0' in page
    assert 'holdfast_conflicting_requests_total{principals="one"} 2.0' in page
    assert (
        'holdfast_conflicting_requests_total{principals="two"} 0.0'
        in page_of_all(counted(), [], worker_process_ids=()).decode()
    )
