"""Denials that are ours: a policy ran and gave no verdict that counts. Each has a stable code, and none is an allow."""

from enum import StrEnum

from signer.errors import Evidence
from signer.policy.verdict import Deny


class Fault(StrEnum):
    """What went wrong."""

    TRAPPED = "POLICY_TRAPPED"
    """It stopped itself: `unreachable`, a division by zero, an access outside of its memory."""

    STACK_OVERFLOW = "POLICY_STACK_OVERFLOW"
    OUT_OF_FUEL = "POLICY_OUT_OF_FUEL"
    TIMED_OUT = "POLICY_TIMED_OUT"
    OUT_OF_MEMORY = "POLICY_OUT_OF_MEMORY"
    """Its allocator gave no place for the facts, or it stopped itself with more than half of its memory in use."""

    FACTS_TOO_LARGE = "POLICY_FACTS_TOO_LARGE"
    BAD_PLACE = "POLICY_BAD_PLACE"
    """It named a place that is not inside of its memory."""

    NOT_GRANTED = "POLICY_NOT_GRANTED"
    """It asked for a counter or a list that its manifest does not name."""

    HOST_FAILED = "POLICY_HOST_FAILED"
    """What it asked us for could not be had."""

    ENGINE_FAILED = "POLICY_ENGINE_FAILED"
    """It could not be run at all."""


def denied(fault: Fault, message: str, evidence: Evidence | None = None) -> Deny:
    """The denial for a fault."""
    return Deny(fault.value, message, evidence or {})


class Stopped(Exception):  # noqa: N818 - not an error of ours: it never leaves the sandbox
    """A decision ends here, without a verdict of the policy."""

    def __init__(self, fault: Fault, message: str, evidence: Evidence | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.verdict = denied(fault, message, evidence)
