"""What is written to the log, and what never is."""

import io
import json
import logging
import stat

import pytest
import structlog

from signer.events import (
    ConnectionRefused,
    Events,
    KeysLoaded,
    RequestAccessed,
    RequestCrashed,
    RequestRefused,
    WorkerRestarted,
)
from signer.telemetry.log_lines import subscribe_log
from signer.telemetry.logs import Logs, file_handler, stream_handler

REFUSED = RequestRefused(
    request_id="0011223344556677",
    caller_request_id="client-7",
    principal="alice",
    address="10.0.0.7",
    route="/api/v1/eth2/sign/{identifier}",
    status=412,
    code="DOUBLE_VOTE",
    sentence="another vote for this target is on record",
    evidence={"target_epoch": 7, "note": "line\nbreak"},
    public_key="0x" + "ab" * 48,
    duty_type="ATTESTATION",
)


class Written:
    """A log to a text in memory."""

    def __init__(self, *, form: str = "json", level: str = "info") -> None:
        self.text = io.StringIO()
        self.events = Events()
        self.logs = Logs(level=level, form=form, handlers=[logging.StreamHandler(self.text)])
        self.logs.start()
        self.now = 1000.0
        subscribe_log(self.events, now=lambda: self.now)

    def lines(self) -> list[str]:
        self.logs.stop()
        return self.text.getvalue().splitlines()

    def entries(self) -> list[dict]:
        return [json.loads(line) for line in self.lines()]


def test_a_refusal_is_one_line_with_code_evidence_and_request_id():
    written = Written()
    written.events.publish(REFUSED)
    [entry] = written.entries()
    assert entry["level"] == "warning"
    assert entry["code"] == "DOUBLE_VOTE"
    assert entry["evidence"] == {"target_epoch": 7, "note": "line\nbreak"}
    assert entry["request_id"] == "0011223344556677"
    assert entry["caller_request_id"] == "client-7"
    assert entry["principal"] == "alice"
    assert entry["public_key"] == "0x" + "ab" * 48
    assert entry["duty_type"] == "ATTESTATION"
    assert entry["timestamp"].endswith("Z")


def test_a_refusal_is_one_line_on_the_console_too_whatever_its_evidence():
    written = Written(form="console")
    written.events.publish(REFUSED)
    [line] = written.lines()
    assert "DOUBLE_VOTE" in line


@pytest.mark.parametrize(
    ("status", "route", "level"),
    [
        (500, "/reload", "error"),
        (412, "/x", "warning"),
        (401, "/x", "warning"),
        (404, "unmatched", "info"),
        (404, "/x", "warning"),
    ],
)
def test_the_level_follows_the_status(status, route, level):
    written = Written()
    written.events.publish(RequestRefused("00", "", "-", "::1", route, status, "CODE", "why", {}))
    [entry] = written.entries()
    assert entry["level"] == level
    assert not {"caller_request_id", "public_key", "duty_type"} & set(entry)


def test_refused_connections_are_a_line_each_until_they_are_a_flood():
    written = Written()
    for number in range(25):
        written.events.publish(ConnectionRefused("10.0.0.7", f"reason {number}"))
    written.now += 60
    for _ in range(3):
        written.events.publish(ConnectionRefused("10.0.0.8", "no client certificate"))
    written.now += 60
    written.events.publish(ConnectionRefused("10.0.0.9", "not TLS"))
    lines = written.entries()
    assert [line["reason"] for line in lines[:20]] == [f"reason {number}" for number in range(20)]
    assert (lines[20]["event"], lines[20]["count"], lines[20]["seconds"]) == ("more connections refused", 5, 60)
    assert [line.get("address") for line in lines[21:]] == ["10.0.0.8"] * 3 + ["10.0.0.9"]
    assert {line["level"] for line in lines} == {"info"}


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_crash_leaves_its_traceback_in_the_log_without_the_variables_of_its_frames(form):
    def fail(private_key: str) -> None:
        raise ValueError("unforeseen")

    written = Written(form=form)
    try:
        fail("0x" + "5e" * 32)
    except ValueError as error:
        written.events.publish(RequestCrashed("0011", "/reload", error))
    text = "\n".join(written.lines())
    assert "ValueError: unforeseen" in text
    assert "in fail" in text
    assert "5e5e" not in text


def test_the_lines_of_libraries_look_like_ours():
    written = Written()
    logging.getLogger("some.library").warning("%s keys", 3)
    [entry] = written.entries()
    assert (entry["event"], entry["level"], entry["logger"]) == ("3 keys", "warning", "some.library")


def test_a_line_through_the_standard_library_keeps_its_code_and_key_and_nothing_else_of_its_extra():
    written = Written()
    logging.getLogger("holdfast").critical("down", extra={"code": "JOURNAL_DOWN", "key": "server.host", "secret": 7})
    [entry] = written.entries()
    assert (entry["code"], entry["key"]) == ("JOURNAL_DOWN", "server.host")
    assert "secret" not in entry


def test_a_worker_that_is_started_again_is_an_error_with_its_number_and_how_it_ended():
    written = Written()
    written.events.publish(WorkerRestarted(2, "was ended by signal 9"))
    [entry] = written.entries()
    assert (entry["level"], entry["event"]) == ("error", "worker started again")
    assert (entry["worker"], entry["reason"]) == (2, "was ended by signal 9")


def test_a_line_below_the_level_is_not_written():
    written = Written(level="error")
    written.events.publish(REFUSED)
    written.events.publish(KeysLoaded(1, 0, 0.1))
    assert written.lines() == []


def test_the_access_log_and_the_loads_are_lines():
    written = Written()
    written.events.publish(RequestAccessed("00", "", "alice", "::1", "GET", "/up\x1bcheck", 200, 0.001))
    written.events.publish(KeysLoaded(3, 1, 0.25))
    written.events.publish(ConnectionRefused("::1", "more than 4 connections"))
    access, keys, connection = written.entries()
    assert (access["path"], access["status"]) == ("/up\x1bcheck", 200)
    assert (keys["loaded"], keys["errors"], keys["level"]) == (3, 1, "warning")
    assert connection["reason"] == "more than 4 connections"


def test_a_stuck_output_delays_nobody_and_the_loss_is_told():
    import threading

    gate, text = threading.Event(), io.StringIO()

    class Stuck(logging.StreamHandler):
        def emit(self, record):
            gate.wait(30)
            super().emit(record)

    logs = Logs(level="info", form="json", handlers=[Stuck(text)])
    logs.start()
    logger = structlog.get_logger("test")
    for number in range(10_100):
        logger.info("line", number=number)
    gate.set()
    logs._lines.join()  # the writing thread has caught up
    logger.info("after")
    logs.stop()
    entries = [json.loads(line) for line in text.getvalue().splitlines()]
    assert entries[-1]["event"] == "after"
    assert entries[-2]["event"].startswith("dropped ")
    dropped = int(entries[-2]["event"].split()[1])
    assert dropped + sum(entry["event"] == "line" for entry in entries) == 10_100


def test_a_log_file_is_private_and_rotated(tmp_path):
    file = tmp_path / "holdfast.log"
    logs = Logs(level="info", form="json", handlers=[file_handler(file, max_bytes=2000, count=2)])
    logs.start()
    for number in range(100):
        structlog.get_logger("test").info("line", number=number)
    logs.stop()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["holdfast.log", "holdfast.log.1", "holdfast.log.2"]
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.stat().st_size <= 2000
    assert json.loads(file.read_text().splitlines()[-1])["number"] == 99


def test_the_standard_streams_are_outputs(capsys):
    logs = Logs(level="info", form="json", handlers=[stream_handler("stdout"), stream_handler("stderr")])
    logs.start()
    structlog.get_logger("test").info("hello")
    logs.stop()
    captured = capsys.readouterr()
    assert json.loads(captured.out)["event"] == json.loads(captured.err)["event"] == "hello"
