"""When a duty reached each stage on its way to a signature."""

import time

from signer.events import DutyAnswered, Outcome

seconds = time.perf_counter
"""The steady clock of all stages."""


class StageTimes:
    """When one duty reached each stage, in seconds of the steady clock."""

    __slots__ = ("decided", "recorded", "signing", "started")

    def __init__(self) -> None:
        self.started = seconds()
        self.decided = self.recorded = self.signing = 0.0

    def start(self) -> None:
        """A signing thread has taken the job. Called by that thread."""
        self.signing = seconds()

    def answered(self, duty_type: str, outcome: Outcome, code: str) -> DutyAnswered:
        """The event that tells of the stages; a stage that was not reached took no time."""
        ended = seconds()
        decided = self.decided or ended
        recorded = self.recorded or ended
        signing = self.signing or ended
        return DutyAnswered(
            duty_type,
            outcome,
            code,
            queue_seconds=signing - recorded,
            policy_seconds=decided - self.started,
            journal_seconds=recorded - decided,
            crypto_seconds=ended - signing,
        )
