"""The sections `logging` and `metrics`: what the service tells about itself."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from signer.config.setting import about

LogOutput = Literal["stderr", "stdout", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingSettings:
    """The log lines."""

    level: Literal["debug", "info", "warning", "error"] = field(
        default="info", metadata=about("The least important line written. A refusal is a warning.")
    )
    format: Literal["json", "console"] = field(
        default="json", metadata=about("`json`: one object a line, for machines; `console`: aligned text, for eyes.")
    )
    outputs: tuple[LogOutput, ...] = field(
        default=("stderr",),
        metadata=about("Where lines go; several at once are allowed. systemd and Docker collect stderr."),
    )
    file: Path | None = field(default=None, metadata=about("The log file of output `file`, made with mode 0600."))
    file_max_bytes: int = field(
        default=64 * 1024 * 1024,
        metadata=about(
            "Size at which the log file is renamed and a new one begun.", unit="bytes", minimum=65536, maximum=1024**4
        ),
    )
    file_count: int = field(
        default=8,
        metadata=about("Renamed log files kept; the oldest goes first.", unit="files", minimum=1, maximum=10000),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """The Prometheus listener."""

    enabled: bool = field(
        default=False, metadata=about("Serves `/metrics`. Off, as in Web3Signer: no port opens that nobody asked for.")
    )
    host: str = field(
        default="127.0.0.1",
        metadata=about(
            "The address to listen on. The page holds no secret, and asks for no credential.",
            pattern=r"\S+",
            pattern_text="an address or a host name",
        ),
    )
    port: int = field(
        default=9001, metadata=about("Web3Signer's metrics port. 0 takes a free one.", minimum=0, maximum=65535)
    )
    allowed_hosts: tuple[str, ...] = field(
        default=("localhost", "127.0.0.1"),
        metadata=about("Names a request's `Host` may carry, without port; `*` takes any."),
    )
    buckets_seconds: tuple[float, ...] = field(
        default=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
        metadata=about(
            "Upper bounds of the latency histograms, ascending. The stages of a signature take fractions of a "
            "millisecond, so the first bounds do too.",
            unit="seconds",
            minimum=0.000001,
            maximum=3600,
        ),
    )
