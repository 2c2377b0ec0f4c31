"""The `clock.source` setting: `kernel`, `ntp:HOST[:PORT]` or `trusted`."""

import re

from signer.clock.kernel import KernelClock
from signer.clock.ntp import NTP_PORT, NtpClock
from signer.clock.state import LIMIT_SECONDS, ClockSource, ClockState

TRUSTED = "trusted"
"""The setting, and the `source` of a state, for which nobody was asked."""

SPELLINGS = "kernel, ntp:HOST, ntp:HOST:PORT, ntp:[IPV6]:PORT or trusted"
"""What the setting may say."""

_NTP = re.compile(r"ntp:(?:\[(?P<ipv6>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^:\[\]\s]+))(?::(?P<port>[0-9]{1,5}))?")
_PORT_LIMIT = 65_536


class TrustedClock:
    """The operator vouches for the clock: nothing is measured."""

    def measure(self) -> ClockState:
        """Synchronised, because the operator says so."""
        return ClockState(
            synchronised=True,
            offset_seconds=None,
            error_seconds=None,
            source=TRUSTED,
            sentence="the clock is trusted by configuration (clock.source: trusted); nothing was measured",
        )


def parse_clock_source(setting: str, *, limit_seconds: float = LIMIT_SECONDS) -> ClockSource:
    """The source that a setting names; a clock that may be further off than `limit_seconds` is not synchronised.

    Raises:
        ValueError: the setting is none of `SPELLINGS`; the message says so.
    """
    if setting == "kernel":
        return KernelClock(limit_seconds=limit_seconds)
    if setting == TRUSTED:
        return TrustedClock()
    match = _NTP.fullmatch(setting)
    port = int(match["port"] or NTP_PORT) if match else 0
    if match is None or not 0 < port < _PORT_LIMIT:
        raise ValueError(f"{setting!r} is no clock source; write {SPELLINGS}")
    return NtpClock(match["ipv6"] or match["host"], port=port, source=setting, limit_seconds=limit_seconds)
