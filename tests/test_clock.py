"""The machine's clock is judged by the kernel, by a real NTP server, or by the operator's word."""

import ctypes
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from signer.clock.kernel import STA_NANO, STA_UNSYNC, TIME_ERROR, KernelClock, Timex, ask_kernel, read_answer
from signer.clock.ntp import NtpClock
from signer.clock.sources import TrustedClock, parse_clock_source

CHRONYD = shutil.which("chronyd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
NTP_EPOCH = 2_208_988_800


# --- the setting ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "host", "port"),
    [
        ("ntp:time.example.org", "time.example.org", 123),
        ("ntp:127.0.0.1:1123", "127.0.0.1", 1123),
        ("ntp:[::1]:1123", "::1", 1123),
        ("ntp:[fe80::1%eth0]", "fe80::1%eth0", 123),
    ],
)
def test_a_server_is_named_with_or_without_its_port(setting: str, host: str, port: int) -> None:
    source = parse_clock_source(setting)
    assert isinstance(source, NtpClock)
    assert (source._host, source._port) == (host, port)


@pytest.mark.parametrize(
    "setting", ["", "ntp", "ntp:", "ntp:a:0", "ntp:a:65536", "ntp:a:b", "ntp:::1", "Kernel", "gps"]
)
def test_any_other_setting_is_refused_with_the_spellings_that_exist(setting: str) -> None:
    with pytest.raises(ValueError, match="kernel, ntp:HOST"):
        parse_clock_source(setting)


def test_a_trusted_clock_is_synchronised_and_says_that_nothing_was_measured() -> None:
    source = parse_clock_source("trusted")
    assert isinstance(source, TrustedClock)
    state = source.measure()
    assert (state.synchronised, state.offset_seconds) == (True, None)
    assert "nothing was measured" in state.sentence


# --- the kernel -------------------------------------------------------------------------------


def test_the_kernel_answers_in_the_layout_we_read() -> None:
    _, timex = ask_kernel()
    assert ctypes.sizeof(Timex) == 208
    assert abs(timex.time.seconds - time.time()) < 2
    assert 9_000 <= timex.tick <= 11_000


def test_the_kernel_source_repeats_what_the_kernel_says() -> None:
    result, timex = ask_kernel()
    said = result != TIME_ERROR and not timex.status & STA_UNSYNC and timex.maxerror <= 2_000_000
    assert parse_clock_source("kernel").measure().synchronised is said


@pytest.mark.parametrize(
    ("result", "status", "maxerror", "synchronised", "words"),
    [
        (0, 0, 20_000, True, "at most 0.020 s"),
        (0, 0x2001, 1_100_000, True, "at most 1.100 s"),
        (0, 0, 2_000_001, False, "time service has stopped"),
        (TIME_ERROR, 0, 10, False, "nothing synchronises"),
        (0, STA_UNSYNC, 10, False, "nothing synchronises"),
    ],
)
def test_the_kernels_answer_is_judged(result: int, status: int, maxerror: int, synchronised: bool, words: str) -> None:
    state = read_answer(result, Timex(status=status, maxerror=maxerror))
    assert (state.synchronised, state.source) == (synchronised, "kernel")
    assert words in state.sentence


@pytest.mark.parametrize(("status", "seconds"), [(0, 0.0015), (STA_NANO, 0.0000015)])
def test_the_kernels_offset_is_in_microseconds_unless_it_says_nanoseconds(status: int, seconds: float) -> None:
    assert read_answer(0, Timex(status=status, offset=1500)).offset_seconds == pytest.approx(seconds)


def test_a_kernel_that_may_not_be_asked_is_not_synchronised() -> None:
    def forbidden() -> tuple[int, Timex]:
        raise PermissionError(1, "Operation not permitted")

    state = KernelClock(forbidden).measure()
    assert not state.synchronised
    assert "Operation not permitted" in state.sentence
    assert "ntp:HOST" in state.sentence


# --- a real NTP server --------------------------------------------------------------------------


@pytest.fixture
def chronyd(tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """Starts Debian's chronyd on loopback with some lines of configuration, and gives its port."""
    if CHRONYD is None:
        if os.environ.get("CI"):
            pytest.fail("CI must ask a real NTP server: apt-get install chrony")
        pytest.skip("no chronyd here: apt-get install chrony")
    children: list[subprocess.Popen[bytes]] = []

    def start(lines: str) -> int:
        port = free_udp_port()
        configuration = tmp_path / "chrony.conf"
        configuration.write_text(
            f"port {port}\nbindaddress 127.0.0.1\nallow 127.0.0.1\ncmdport 0\nbindcmdaddress /\n"
            f"pidfile {tmp_path}/chronyd.pid\n{lines}\n"
        )
        # -x: never touch the clock. -U: run as whoever we are. -d: stay, and log to standard error.
        with (tmp_path / "chronyd.log").open("wb") as log:
            child = subprocess.Popen(
                [CHRONYD, "-x", "-d", "-U", "-u", owner_name(), "-f", str(configuration)],
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        children.append(child)
        wait_until_answered(port, child, tmp_path / "chronyd.log")
        return port

    yield start
    for child in children:
        child.terminate()
        child.wait(10)


def owner_name() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_answered(port: int, child: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if child.poll() is not None:
            break
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(0.1)
            probe.connect(("127.0.0.1", port))
            try:
                probe.send(b"\x23" + bytes(47))
                probe.recv(100)
            except OSError:
                continue
            return
    pytest.fail(f"chronyd does not answer: {log.read_text()}")


def test_a_real_server_vouches_for_the_clock_it_shares_with_us(chronyd: Callable[[str], int]) -> None:
    port = chronyd("local stratum 5")
    state = parse_clock_source(f"ntp:127.0.0.1:{port}").measure()
    assert state.synchronised, state.sentence
    assert state.offset_seconds is not None
    assert abs(state.offset_seconds) < 0.05
    assert state.error_seconds is not None
    assert 0 <= state.error_seconds < 0.1
    assert "stratum 5" in state.sentence


def test_a_real_server_is_found_through_a_name_with_several_addresses(chronyd: Callable[[str], int]) -> None:
    port = chronyd("local stratum 5")
    assert parse_clock_source(f"ntp:localhost:{port}").measure().synchronised


def test_a_real_server_that_is_not_synchronised_itself_vouches_for_nothing(chronyd: Callable[[str], int]) -> None:
    port = chronyd("")
    state = parse_clock_source(f"ntp:127.0.0.1:{port}").measure()
    assert not state.synchronised
    assert "itself not synchronised" in state.sentence


def test_a_silent_server_is_a_clock_that_is_not_synchronised() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        state = NtpClock("127.0.0.1", port=silent.getsockname()[1], timeout_seconds=0.05).measure()
    assert not state.synchronised
    assert "did not answer" in state.sentence


def test_a_closed_port_and_an_impossible_host_are_clocks_that_are_not_synchronised() -> None:
    assert "cannot be asked" in NtpClock("127.0.0.1", port=free_udp_port()).measure().sentence
    assert "has no address" in NtpClock("x" * 64 + ".example").measure().sentence


# --- servers that a real one never is --------------------------------------------------------------


def answer_to(question: bytes, *, ahead_seconds: float = 0.0, **changes: int | bytes) -> bytes:
    """A good answer of a stratum 2 server whose clock is ahead of ours, with some fields changed."""
    now = int((time.time() + ahead_seconds + NTP_EPOCH) * 2**32) % 2**64
    fields: dict[str, int | bytes] = {
        "head": 0b00_100_100, "stratum": 2, "poll": 6, "precision": -20, "root_delay": 0, "root_dispersion": 0,
        "reference": 0x7F000001, "referred": now, "origin": question[40:48], "received": now, "transmitted": now,
    }  # fmt: skip
    return struct.pack("!BBbbIIIQ8sQQ", *{**fields, **changes}.values())


@pytest.fixture
def server() -> Iterator[Callable[[Callable[[bytes], bytes]], NtpClock]]:
    """A datagram server on loopback that answers as it is told to, and a clock that asks it."""
    running: list[tuple[socket.socket, threading.Thread]] = []

    def start(answer: Callable[[bytes], bytes]) -> NtpClock:
        channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        channel.bind(("127.0.0.1", 0))

        def serve() -> None:
            while True:
                question, address = channel.recvfrom(100)
                if not question:
                    return
                channel.sendto(answer(question), address)

        thread = threading.Thread(target=serve)
        thread.start()
        running.append((channel, thread))
        return NtpClock("127.0.0.1", port=channel.getsockname()[1], timeout_seconds=0.2)

    yield start
    for channel, thread in running:
        channel.sendto(b"", channel.getsockname())
        thread.join(5)
        channel.close()


@pytest.mark.parametrize(
    ("ahead", "synchronised"), [(0.3, True), (-0.3, True), (0.8, False), (-0.8, False), (86_400.0, False)]
)
def test_the_offset_is_measured_and_limited_to_half_a_second(
    server: Callable[[Callable[[bytes], bytes]], NtpClock], ahead: float, synchronised: bool
) -> None:
    state = server(lambda question: answer_to(question, ahead_seconds=ahead)).measure()
    assert state.offset_seconds == pytest.approx(ahead, abs=0.05)
    assert state.synchronised is synchronised
    assert ("run a time service" in state.sentence) is not synchronised


def test_the_limit_can_be_set(server: Callable[[Callable[[bytes], bytes]], NtpClock]) -> None:
    port = server(lambda question: answer_to(question, ahead_seconds=0.8))._port
    assert parse_clock_source(f"ntp:127.0.0.1:{port}", limit_seconds=1.0).measure().synchronised
    assert not parse_clock_source(f"ntp:127.0.0.1:{port}", limit_seconds=0.7).measure().synchronised


def test_an_error_of_the_server_itself_counts_against_the_limit(
    server: Callable[[Callable[[bytes], bytes]], NtpClock],
) -> None:
    state = server(lambda question: answer_to(question, root_delay=2**16, root_dispersion=2**14)).measure()
    assert state.error_seconds == pytest.approx(0.75, abs=0.05)
    assert not state.synchronised


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"origin": b"\1" * 8}, "another question"),
        ({"head": 0b00_100_011}, "mode 3"),
        ({"head": 0b00_001_100}, "version 1"),
        ({"stratum": 0, "reference": int.from_bytes(b"RATE", "big")}, "'RATE'"),
        ({"stratum": 16}, "itself not synchronised"),
        ({"head": 0b11_100_100}, "itself not synchronised"),
        ({"transmitted": 0}, "no time"),
    ],
)
def test_an_answer_that_fails_a_check_is_no_answer(
    server: Callable[[Callable[[bytes], bytes]], NtpClock], changes: dict[str, int | bytes], words: str
) -> None:
    state = server(lambda question: answer_to(question, **changes)).measure()
    assert not state.synchronised
    assert words in state.sentence


def test_a_short_answer_is_no_answer(server: Callable[[Callable[[bytes], bytes]], NtpClock]) -> None:
    assert "7 bytes" in server(lambda _: b"garbage").measure().sentence


def test_a_lost_datagram_is_asked_for_again(server: Callable[[Callable[[bytes], bytes]], NtpClock]) -> None:
    questions: list[bytes] = []

    def second_time_lucky(question: bytes) -> bytes:
        questions.append(question)
        return answer_to(question) if len(questions) > 1 else b"lost"

    assert server(second_time_lucky).measure().synchronised
    assert len(questions) == 2
    assert questions[0][40:] != questions[1][40:], "each question has its own random bits"
