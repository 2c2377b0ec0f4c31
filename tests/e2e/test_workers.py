"""Worker processes: the same answers, one record, and no process that outlives its purpose."""

import json
import os
import re
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from duty_requests import (
    NO_GUARD,
    Line,
    batch_request,
    block_body,
    line_to,
    lines_to,
    sign_request,
    vote_body,
)
from e2e.worker_processes import (
    kill,
    line_to_each,
    lives,
    server_of,
    until,
    workers_of,
    write_into_link,
)
from running import (
    RunningSigner,
    free_port,
    holdfast,
    interop_secret,
    merged,
    running_signer,
    set_up,
    write_configuration,
)

KEYS = 16
WORKERS: dict[str, Any] = {"server": {"workers": 2}, **NO_GUARD}


def with_metrics(sections: dict[str, Any]) -> dict[str, Any]:
    return merged(sections, {"metrics": {"enabled": True, "port": free_port()}})


def start(directory: Path, sections: dict[str, Any] = WORKERS) -> Any:
    return running_signer(directory, secrets=[interop_secret(number) for number in range(KEYS)], sections=sections)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    """Two workers, for tests that leave them alive."""
    with start(tmp_path_factory.mktemp("workers"), with_metrics(WORKERS)) as running:
        yield running


@pytest.fixture(scope="module")
def keys(signer: RunningSigner) -> Iterator[str]:
    """Validators that nobody has asked for anything."""
    return iter(signer.public_keys())


def metric(signer: RunningSigner, name: str) -> float:
    assert signer.metrics_port is not None
    with line_to(signer.metrics_port) as line:
        page = line.get("/metrics").body.decode()
    return sum(float(value) for value in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", page, re.MULTILINE))


# --- one record ----------------------------------------------------------------------------------


def test_of_two_hundred_conflicting_votes_spread_over_workers_exactly_one_is_signed(signer, keys):
    key = next(keys)
    requests = [sign_request(key, vote_body(100, 200, number)) for number in range(200)]
    with lines_to(signer.port, len(requests)) as lines:
        for line, request in zip(lines, requests, strict=True):
            line.send(request)
        answers = [line.read() for line in lines]
        servers = [server_of(signer, line) for line in lines]
    verdicts = [answer.verdict for answer in answers]
    assert set(verdicts) == {"signed", "412 DOUBLE_VOTE"}
    assert verdicts.count("signed") == 1
    assert set(servers) == set(workers_of(signer))


def test_a_vote_that_one_worker_signed_is_a_repeat_for_the_other_and_its_conflict_is_refused(signer, keys):
    key = next(keys)
    with line_to_each(signer) as lines:
        one, other = lines.values()
        first = one.sign(key, vote_body(1, 2))
        assert first.signature
        assert other.sign(key, vote_body(1, 2)).signature == first.signature
        assert other.sign(key, vote_body(1, 2, "another")).verdict == "412 DOUBLE_VOTE"
        assert other.sign(key, block_body(64)).signature
        assert one.sign(key, block_body(64, "another")).verdict == "412 DOUBLE_PROPOSAL"


def test_a_batch_of_one_worker_is_judged_in_order_against_the_others_votes(signer, keys):
    key, fresh = next(keys), next(keys)
    with line_to_each(signer) as lines:
        one, other = lines.values()
        assert one.sign(key, vote_body(5, 6)).signature
        verdicts = other.sign_all([(key, vote_body(5, 6, 1)), (fresh, vote_body(5, 6)), (fresh, vote_body(5, 6, 1))])
    assert [verdict[:15] for verdict in verdicts] == ["412 DOUBLE_VOTE", verdicts[1][:15], "412 DOUBLE_VOTE"]
    assert len(verdicts[1]) == 194


def test_the_chain_that_the_first_duty_pins_is_pinned_for_every_worker(tmp_path: Path):
    with start(tmp_path, merged(WORKERS, {"network": {"name": "ephemery"}})) as signer, line_to_each(signer) as lines:
        one, other = lines.values()
        key = signer.public_keys()[0]
        here, elsewhere = "0x" + "11" * 32, "0x" + "22" * 32
        assert one.sign(key, vote_body(1, 2, network=here)).signature
        assert other.sign(key, vote_body(2, 3, network=elsewhere)).verdict == "412 WRONG_NETWORK"
        assert one.sign(key, vote_body(2, 3, network=elsewhere)).verdict == "412 WRONG_NETWORK"
        assert other.sign(key, vote_body(2, 3, network=here)).signature


def test_the_audit_log_of_all_workers_verifies(signer, keys):
    with line_to_each(signer) as lines:
        for line in lines.values():
            assert line.sign(next(keys), vote_body(1, 2)).signature
    verified = holdfast(signer.config_file, "audit", "verify")
    assert verified.returncode == 0, verified.stderr


# --- deaths --------------------------------------------------------------------------------------


def load_both(lines: dict[int, Line], keys: list[str], stop: threading.Event) -> dict[int, list[str]]:
    """Votes without a pause on each worker's connection, each asked of both; the verdicts by worker."""
    verdicts: dict[int, list[str]] = {pid: [] for pid in lines}

    def load(pid: int) -> None:
        epoch = 10
        while not stop.is_set():
            epoch += 1
            for key in keys:
                try:
                    verdicts[pid].append(lines[pid].sign(key, vote_body(epoch - 1, epoch, pid)).verdict)
                except OSError:
                    verdicts[pid].append("hung up")
                    return

    with ThreadPoolExecutor(len(lines)) as pool:
        for running in [pool.submit(load, pid) for pid in lines]:
            running.add_done_callback(lambda done: done.result())
    return verdicts


def test_a_killed_worker_is_started_again_and_the_others_clients_notice_nothing(tmp_path: Path):
    with start(tmp_path) as signer:
        keys = signer.public_keys()
        stop = threading.Event()
        with line_to_each(signer) as lines:
            victim, survivor = lines
            timer = threading.Timer(0.3, kill, [victim])
            timer.start()
            ending = threading.Timer(3, stop.set)
            ending.start()
            verdicts = load_both(lines, keys, stop)
            timer.join()
            ending.join()
        assert verdicts[victim][-1] == "hung up"
        assert "hung up" not in verdicts[survivor]
        allowed = {"signed", "412 DOUBLE_VOTE", "412 BELOW_FLOOR", "412 SURROUNDED_VOTE", "412 SURROUNDING_VOTE"}
        assert set(verdicts[survivor]) <= allowed
        assert verdicts[survivor].count("signed") > 0
        now = until(lambda: len(found := workers_of(signer)) == 2 and found)
        assert survivor in now
        assert victim not in now
        with line_to_each(signer) as lines:
            for number, line in enumerate(lines.values()):
                assert line.sign(keys[number], vote_body(100_000, 100_001)).signature
        assert "worker started again" in signer.log
        assert "was ended by signal 9" in signer.log


def test_what_a_killed_worker_had_recorded_stands(tmp_path: Path):
    """Every duty that the audit log says was allowed is a repeat afterwards, and its conflict is refused."""
    with start(tmp_path) as signer:
        keys = signer.public_keys()
        with line_to_each(signer) as lines:
            victim, line = next(iter(lines.items()))
            line.send(batch_request([(key, vote_body(1, 2)) for key in keys] * 100))
            kill(victim)
        until(lambda: len(workers_of(signer)) == 2 and victim not in workers_of(signer))
        with line_to_each(signer) as lines:
            one, other = lines.values()
            signatures = one.sign_all([(key, vote_body(1, 2)) for key in keys])
            conflicts = other.sign_all([(key, vote_body(1, 2, "another")) for key in keys])
        assert all(len(signature) == 194 for signature in signatures)
        assert set(conflicts) == {"412 DOUBLE_VOTE"}


def test_workers_are_gone_within_a_second_of_the_main_process(tmp_path: Path):
    with start(tmp_path) as signer:
        workers = workers_of(signer)
        assert len(workers) == 2
        with line_to_each(signer) as lines:
            line = next(iter(lines.values()))
            line.send(batch_request([(key, vote_body(1, 2)) for key in signer.public_keys()] * 200))
            signer.kill()
            until(lambda: not any(lives(worker) for worker in workers), seconds=1)


def test_a_worker_that_stands_still_dies_with_the_main_process_too(tmp_path: Path):
    with start(tmp_path) as signer:
        workers = workers_of(signer)
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        signer.kill()
        until(lambda: not any(lives(worker) for worker in workers), seconds=1)


def test_the_service_stops_when_a_worker_cannot_be_kept_alive(tmp_path: Path):
    with start(tmp_path) as signer:

        def killed_until_the_end() -> bool:
            for worker in workers_of(signer):
                kill(worker)
            return signer.process.poll() is not None

        until(killed_until_the_end, seconds=60)
        assert signer.process.returncode == 1
        assert "cannot be kept alive" in signer.log


GARBAGE = {
    "a frame that is no message": b"\x00\x00\x00\x01\xc1",
    "a frame too long": b"\xff\xff\xff\xff",
    "a command that is none": b"\x00\x00\x00\x06\x92\x03\x91\x93\x01\x90",
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_malformed_frame_costs_the_worker_its_life_and_nobody_else(signer, keys, kind):
    key = next(keys)
    with line_to_each(signer) as lines:
        victim, survivor = lines
        write_into_link(victim, GARBAGE[kind])
        until(lambda: not lives(victim))
        assert lines[survivor].sign(key, vote_body(1, 2)).signature
    until(lambda: len(workers_of(signer)) == 2)
    assert signer.process.poll() is None
    assert "the link of worker" in signer.log


def test_a_worker_leaves_signals_to_the_main_process(signer, keys):
    with line_to_each(signer) as lines:
        for worker, line in lines.items():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                os.kill(worker, number)
            assert line.sign(next(keys), vote_body(1, 2)).signature


# --- the end -------------------------------------------------------------------------------------


def test_requests_under_way_are_answered_before_the_end_and_nobody_is_left(tmp_path: Path):
    patient = {"server": {"request_deadline_seconds": 60, "shutdown_grace_seconds": 60}}  # on a busy machine too
    with start(tmp_path, merged(WORKERS, patient)) as signer:
        workers = workers_of(signer)
        items = [(key, vote_body(epoch, epoch + 1)) for epoch in range(100) for key in signer.public_keys()]
        with line_to_each(signer) as lines:
            for number, line in enumerate(lines.values()):
                line.send(batch_request(items[number::2]))
            started = len(signer.log)
            signer.process.send_signal(signal.SIGTERM)
            answers = [line.read() for line in lines.values()]
        assert [answer.status for answer in answers] == [200, 200]
        assert [entry for answer in answers for entry in json.loads(answer.body) if "signature" not in entry] == []
        # Asked once: a second signal may come when nobody listens for signals any more.
        assert signer.process.wait(timeout=60) == 0
        assert not any(lives(worker) for worker in workers)
        assert "worker" not in signer.log[started:]


def test_without_workers_there_is_no_other_process(tmp_path: Path):
    with start(tmp_path, NO_GUARD) as signer:
        assert workers_of(signer) == []


# --- keys ----------------------------------------------------------------------------------------


def add_keys(signer: RunningSigner, first: int, count: int) -> None:
    for number in range(first, first + count):
        file = signer.directory / "keys" / f"more-{number}.yaml"
        file.write_text(f'type: "file-raw"\nkeyType: "BLS"\nprivateKey: "0x{interop_secret(number):064x}"\n')
        file.chmod(0o600)


def keys_on(line: Line) -> list[str]:
    found: list[str] = json.loads(line.get("/api/v1/eth2/publicKeys").body)
    return found


def test_a_reload_reaches_all_workers_before_it_is_complete_and_never_in_parts(tmp_path: Path):
    with start(tmp_path) as signer, line_to_each(signer) as lines:
        one, other = lines.values()
        before = keys_on(one)
        add_keys(signer, KEYS, 200)
        assert one.ask(b"POST /reload HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n").status == 202
        seen = []
        while json.loads(other.get("/reload").body)["status"] == "running":
            seen += [len(keys_on(one)), len(keys_on(other))]
        assert set(seen) <= {len(before), len(before) + 200}
        after = keys_on(one)
        assert keys_on(other) == after
        assert len(after) == len(before) + 200
        new = sorted(set(after) - set(before))
        for line, key in ((one, new[0]), (other, new[1])):
            assert line.sign(key, vote_body(1, 2)).signature
        for pid, line in lines.items():
            assert json.loads(line.get("/reload").body)["status"] == "completed", pid
            assert line.get("/healthcheck").status == 200


def test_while_one_worker_reloads_the_other_is_busy_too(tmp_path: Path):
    with start(tmp_path) as signer, line_to_each(signer) as lines:
        one, other = lines.values()
        add_keys(signer, KEYS, 100)
        request = b"POST /reload HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n"
        one.send(request)
        other.send(request)
        assert sorted((one.read().status, other.read().status)) == [202, 409]


def test_a_restarted_worker_serves_the_keys_of_the_last_reload(tmp_path: Path):
    with start(tmp_path) as signer:
        add_keys(signer, KEYS, 3)
        with line_to_each(signer) as lines:
            victim, line = next(iter(lines.items()))
            line.ask(b"POST /reload HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n")
            until(lambda: json.loads(line.get("/reload").body)["status"] == "completed")
        kill(victim)
        until(lambda: len(workers_of(signer)) == 2 and victim not in workers_of(signer))
        with line_to_each(signer) as lines:
            for line in lines.values():
                until(lambda line=line: line.get("/health/ready").status == 200)
                assert len(keys_on(line)) == KEYS + 3


def test_a_restarted_worker_denies_no_key_while_its_keys_are_on_the_way(tmp_path: Path):
    many = [interop_secret(number) for number in range(1000)]
    with running_signer(tmp_path, secrets=many, sections=WORKERS) as signer:
        keys = signer.public_keys()
        before = set(workers_of(signer))
        kill(min(before))
        until(lambda: not lives(min(before)))
        verdicts, servers, epoch = set(), set(), 1

        def served_by_the_new_one() -> bool:
            nonlocal epoch
            epoch += 1
            with line_to(signer.port) as line:
                verdicts.add(line.sign(keys[-1], vote_body(epoch, epoch + 1)).verdict)
                servers.add(server_of(signer, line))
            return bool(servers - before)

        until(served_by_the_new_one)
        assert verdicts == {"signed"}


# --- what monitoring sees ------------------------------------------------------------------------


def test_the_metrics_of_all_workers_are_added_up_and_never_fall(signer, keys):
    name = "eth2_slashingprotection_permitted_signings_total"
    before, restarts = metric(signer, name), metric(signer, "holdfast_worker_restarts_total")
    key = next(keys)
    with line_to_each(signer) as lines:
        victim, survivor = lines
        for epoch in range(1, 6):
            assert lines[victim].sign(key, vote_body(epoch, epoch + 1)).signature
        for epoch in range(6, 9):
            assert lines[survivor].sign(key, vote_body(epoch, epoch + 1)).signature
    assert metric(signer, name) == before + 8
    kill(victim)
    until(lambda: victim not in workers_of(signer) and len(workers_of(signer)) == 2)
    assert metric(signer, name) == before + 8
    assert metric(signer, "holdfast_worker_restarts_total") == restarts + 1
    assert metric(signer, "signing_signers_loaded_count") == KEYS
    assert metric(signer, "holdfast_journal_batch_size_count") > 0


def test_a_workers_refusal_is_a_line_in_the_log_under_its_request_id(signer, keys):
    key = next(keys)
    with line_to_each(signer) as lines:
        for line in lines.values():
            line.sign(key, vote_body(7, 8))
            refused = line.sign(key, vote_body(7, 8, "another"))
            request_id = json.loads(refused.body)["request_id"]
            until(lambda request_id=request_id: request_id in signer.log)
            (entry,) = [json.loads(row) for row in signer.log.splitlines() if request_id in row]
            assert entry["code"] == "DOUBLE_VOTE"
            assert entry["level"] == "warning"
            assert entry["evidence"]["recorded_target_epoch"] == 8


# --- the start -----------------------------------------------------------------------------------


def failed_start(directory: Path, sections: dict[str, Any]) -> tuple[int, str]:
    config_file = write_configuration(directory, sections)
    set_up(config_file)
    ended = holdfast(config_file, "serve")
    return ended.returncode, ended.stderr


def test_an_address_that_is_taken_refuses_the_start(signer, tmp_path: Path):
    taken = merged(WORKERS, {"server": {"port": signer.port}})
    code, words = failed_start(tmp_path, taken)
    assert code == 1
    assert f"cannot listen on 127.0.0.1:{signer.port}" in words


def test_a_fault_of_the_configuration_is_told_as_it_is_without_workers(tmp_path: Path):
    empty = tmp_path / "server.pem"
    empty.write_text("no certificate\n")
    tls = {"certificate_file": str(empty), "key_file": str(empty), "allow_any_client": True}
    told = []
    for workers in (1, 2):
        directory = tmp_path / str(workers)
        directory.mkdir()
        code, words = failed_start(directory, {"server": {"workers": workers, "tls": tls}})
        told.append((code, words[words.index("error:") :].replace(str(directory), "")))
    assert told[0] == told[1]
    assert told[0][0] == 2
