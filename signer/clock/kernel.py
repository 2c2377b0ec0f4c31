"""Ask the kernel whether something keeps its clock synchronised: adjtimex(2), read only.

Rule 1: `modes` is always 0, so the call changes nothing and needs no privilege.
Rule 2: a kernel that cannot be asked is a clock that is not synchronised.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from typing import ClassVar

from signer.clock.state import LIMIT_SECONDS, ClockState

STA_UNSYNC = 0x0040
"""Status bit: the clock is not synchronised (linux/timex.h)."""

STA_NANO = 0x2000
"""Status bit: `offset` is in nanoseconds rather than microseconds (linux/timex.h)."""

TIME_ERROR = 5
"""Return value: the clock is not synchronised (linux/timex.h)."""

STEERED_ERROR_SECONDS = 2.0
"""The kernel's error bound grows while nobody steers; up to this it says nothing else. systemd-timesyncd sets it
to 0 at each poll, at most 2,048 s apart, and the kernel adds 500 us each second between (MAXFREQ): 1.02 s."""

_REMEDY = (
    "run a time service (chrony, systemd-timesyncd, ntpd), or set clock.source to ntp:HOST, or to trusted where the"
    " hypervisor keeps the time"
)


class _Timeval(ctypes.Structure):
    _fields_: ClassVar = [("seconds", ctypes.c_long), ("fraction", ctypes.c_long)]


class Timex(ctypes.Structure):
    """struct timex (linux/timex.h), as the C library hands it to programs on 64-bit Linux."""

    _fields_: ClassVar = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("constant", ctypes.c_long),
        ("precision", ctypes.c_long),
        ("tolerance", ctypes.c_long),
        ("time", _Timeval),
        ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long),
        ("calcnt", ctypes.c_long),
        ("errcnt", ctypes.c_long),
        ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    ]

    offset: int
    maxerror: int
    esterror: int
    status: int


def ask_kernel() -> tuple[int, Timex]:
    """The return value and the answer of adjtimex(2).

    Raises:
        OSError: the kernel does not answer: another system than Linux, or a sandbox that forbids the call.
    """
    if not sys.platform.startswith("linux"):
        raise OSError(f"adjtimex is a call of Linux, and this is {sys.platform}")
    timex = Timex()
    library = ctypes.CDLL(None, use_errno=True)
    result = int(library.adjtimex(ctypes.byref(timex)))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result, timex


class KernelClock:
    """Trusts whatever steers the kernel's clock, as far as the kernel knows of it."""

    def __init__(
        self, ask: Callable[[], tuple[int, Timex]] = ask_kernel, *, limit_seconds: float = LIMIT_SECONDS
    ) -> None:
        self._ask = ask
        self._limit_seconds = max(limit_seconds, STEERED_ERROR_SECONDS)

    def measure(self) -> ClockState:
        """Synchronised when the kernel says so and its error bound is that of a clock that is being steered."""
        try:
            result, timex = self._ask()
        except (OSError, AttributeError) as error:
            return _unknown(f"the kernel cannot be asked about its clock ({error}); set clock.source to ntp:HOST")
        return read_answer(result, timex, limit_seconds=self._limit_seconds)


def read_answer(result: int, timex: Timex, *, limit_seconds: float = STEERED_ERROR_SECONDS) -> ClockState:
    """What an answer of adjtimex(2) means."""
    unit = 1e-9 if timex.status & STA_NANO else 1e-6
    error_seconds = timex.maxerror * 1e-6
    if result == TIME_ERROR or timex.status & STA_UNSYNC:
        synchronised, sentence = False, f"the kernel says that nothing synchronises its clock; {_REMEDY}"
    elif error_seconds > limit_seconds:
        synchronised = False
        sentence = f"the kernel's clock may be {error_seconds:.3f} s wrong: its time service has stopped; {_REMEDY}"
    else:
        synchronised = True
        sentence = f"the kernel's clock is synchronised, wrong by at most {error_seconds:.3f} s"
    return ClockState(
        synchronised=synchronised,
        offset_seconds=timex.offset * unit if synchronised else None,
        error_seconds=error_seconds if synchronised else None,
        source="kernel",
        sentence=sentence,
    )


def _unknown(sentence: str) -> ClockState:
    return ClockState(synchronised=False, offset_seconds=None, error_seconds=None, source="kernel", sentence=sentence)
