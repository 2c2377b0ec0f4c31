"""All that listens to the events of one process: metrics, log, and the summaries of who was turned away."""

import time
from collections.abc import Sequence

from signer.events import Events, RequestRefused
from signer.operations.upkeep import TurnedAway
from signer.telemetry.log_lines import subscribe_log
from signer.telemetry.metrics import Metrics


class Watch:
    """One for the life of the process, subscribed before the first event."""

    def __init__(self, *, version: str, buckets_seconds: Sequence[float]) -> None:
        self.version = version
        self.events = Events()
        self.metrics = Metrics(version=version, buckets_seconds=buckets_seconds, now=time.monotonic)
        self.metrics.subscribe(self.events)
        subscribe_log(self.events)
        self.turned_away = TurnedAway()
        self.events.subscribe(RequestRefused, lambda event: self.turned_away.count(event.code))
