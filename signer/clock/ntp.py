"""Ask one NTP server how far this machine's clock is off: SNTP version 4 (RFC 4330).

Rule 1: an answer counts only if it echoes the 64 random bits we sent as our transmit timestamp; an answer made up
by somebody who did not see the question is dropped, and so is every other answer that fails a check of section 5.
Rule 2: no answer is a clock that is not synchronised.
"""

import secrets
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

from signer.clock.state import LIMIT_SECONDS, ClockState

NTP_PORT = 123
"""UDP port of the service (RFC 4330, section 4)."""

PACKET_BYTES = 48
"""A message without authenticator (RFC 4330, section 4)."""

UNIX_EPOCH_IN_NTP_SECONDS = 2_208_988_800
"""Seconds between 1900-01-01, where NTP's era 0 starts, and 1970-01-01 (RFC 4330, section 3)."""

ERA_SECONDS = 2**32
"""Seconds of one era: the next begins in February 2036 (RFC 4330, section 3)."""

TIMEOUT_SECONDS = 1.0
"""How long one question waits for its answer."""

QUESTIONS = 3
"""Questions asked before the server counts as silent: a datagram may be lost."""

_CLIENT_VERSION_4 = 0b00_100_011
"""Leap 0, version 4, mode 3 (client)."""

_LAYOUT = struct.Struct("!BBbbIIIQ8sQQ")
"""Leap/version/mode, stratum, poll, precision, root delay, root dispersion, reference id, four timestamps."""

_NO_ANSWER = "did not answer"


class _RejectedAnswerError(Exception):
    """A datagram that fails a check; the words say which."""


@dataclass(frozen=True, slots=True)
class NtpAnswer:
    """What one good answer says."""

    offset_seconds: float
    """How far the server is ahead of this clock."""

    delay_seconds: float
    """Time on the way, both ways together."""

    error_seconds: float
    """Bound of the offset's error: half the way to the server, and the server's own to its reference clock."""

    stratum: int


class NtpClock:
    """Trusts one NTP server."""

    def __init__(
        self,
        host: str,
        *,
        port: int = NTP_PORT,
        source: str | None = None,
        limit_seconds: float = LIMIT_SECONDS,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._host = host
        self._port = port
        self._source = source or f"ntp:{host}:{port}"
        self._limit_seconds = limit_seconds
        self._timeout_seconds = timeout_seconds

    def measure(self) -> ClockState:
        """Synchronised when the server vouches that this clock is within the limit."""
        try:
            addresses = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:  # UnicodeError: a label of more than 63 characters
            return self._unknown(f"has no address ({error})")
        fault = _NO_ANSWER
        for turn in range(max(QUESTIONS, len(addresses))):
            family, _, _, _, address = addresses[turn % len(addresses)]
            try:
                return self._judge(self._ask(family, address))
            except TimeoutError:
                continue
            except _RejectedAnswerError as error:
                fault = str(error)
            except OSError as error:
                fault = f"cannot be asked ({error.strerror or error})"
        return self._unknown(fault)

    def _ask(self, family: socket.AddressFamily, address: tuple[Any, ...]) -> NtpAnswer:
        nonce = secrets.token_bytes(8)
        with socket.socket(family, socket.SOCK_DGRAM) as channel:
            channel.settimeout(self._timeout_seconds)
            # Connected: the kernel drops what comes from any other address.
            channel.connect(address)
            sent_at, started = time.time(), time.monotonic()
            channel.send(question(nonce))
            answer = channel.recv(1024)
            # The clock may be stepped while we wait; the monotonic one may not.
            received_at = sent_at + (time.monotonic() - started)
        return read_answer(answer, nonce=nonce, sent_at=sent_at, received_at=received_at)

    def _judge(self, answer: NtpAnswer) -> ClockState:
        worst = abs(answer.offset_seconds) + answer.error_seconds
        synchronised = worst <= self._limit_seconds
        sentence = (
            f"{self._source} (stratum {answer.stratum}) says this clock is {answer.offset_seconds:+.6f} s off,"
            f" give or take {answer.error_seconds:.6f} s"
        )
        if not synchronised:
            sentence += f"; the limit is {self._limit_seconds} s: run a time service (chrony, systemd-timesyncd, ntpd)"
        return ClockState(
            synchronised=synchronised,
            offset_seconds=answer.offset_seconds,
            error_seconds=answer.error_seconds,
            source=self._source,
            sentence=sentence,
        )

    def _unknown(self, fault: str) -> ClockState:
        return ClockState(
            synchronised=False,
            offset_seconds=None,
            error_seconds=None,
            source=self._source,
            sentence=f"{self._source} {fault}; check the address and the firewall (UDP {self._port})",
        )


def question(nonce: bytes) -> bytes:
    """A client's request whose transmit timestamp is `nonce` (8 bytes): the server echoes it and needs no more."""
    return bytes([_CLIENT_VERSION_4]) + bytes(PACKET_BYTES - 9) + nonce


def read_answer(packet: bytes, *, nonce: bytes, sent_at: float, received_at: float) -> NtpAnswer:
    """Check an answer and compute the offset; times are Unix seconds of this machine's clock."""
    if len(packet) < PACKET_BYTES:
        raise _RejectedAnswerError(f"answered {len(packet)} bytes instead of {PACKET_BYTES}")
    head, stratum, _, _, root_delay, root_dispersion, reference, _, origin, received, transmitted = _LAYOUT.unpack(
        packet[:PACKET_BYTES]
    )
    _check(head, stratum=stratum, reference=reference, transmitted=transmitted, echoed=origin == nonce)
    arrived, left = _unix_seconds(received, near=sent_at), _unix_seconds(transmitted, near=received_at)
    # RFC 4330, section 5: t = ((T2 - T1) + (T3 - T4)) / 2, d = (T4 - T1) - (T3 - T2).
    delay = max(0.0, (received_at - sent_at) - (left - arrived))
    return NtpAnswer(
        offset_seconds=((arrived - sent_at) + (left - received_at)) / 2,
        delay_seconds=delay,
        error_seconds=delay / 2 + root_delay / 2**17 + root_dispersion / 2**16,
        stratum=stratum,
    )


def _check(head: int, *, stratum: int, reference: int, transmitted: int, echoed: bool) -> None:
    leap, version, mode = head >> 6, (head >> 3) & 7, head & 7
    if not echoed:
        raise _RejectedAnswerError("answered another question (origin timestamp differs)")
    if mode != 4:
        raise _RejectedAnswerError(f"answered in mode {mode} instead of 4 (server)")
    if not 3 <= version <= 4:
        raise _RejectedAnswerError(f"answered with version {version}")
    code = reference.to_bytes(4, "big").decode("ascii", "replace").strip("\0")
    if stratum == 0 and code:
        raise _RejectedAnswerError(f"refuses service (kiss code {code!r})")
    if leap == 3 or not 1 <= stratum <= 15:
        raise _RejectedAnswerError("is itself not synchronised")
    if transmitted == 0:
        raise _RejectedAnswerError("sent no time")


def _unix_seconds(timestamp: int, *, near: float) -> float:
    """A 32.32 fixed point timestamp in the era that is nearest to our own clock."""
    seconds = timestamp / 2**32 - UNIX_EPOCH_IN_NTP_SECONDS
    return seconds + ERA_SECONDS * round((near - seconds) / ERA_SECONDS)
