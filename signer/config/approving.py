"""The section `approvals`: requests that wait for people."""

from dataclasses import dataclass, field

from signer.config.setting import about


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalSettings:
    """Requests that policies hold until people have approved them."""

    keep_days: int = field(
        default=90,
        metadata=about(
            "How long a request stays on record after it has ended: who asked, what they saw, who said what. Until "
            "then the same request gets the same signature without asking anybody again. The audit log keeps every "
            "vote and every signed statement for as long as it keeps anything.",
            unit="days",
            minimum=1,
            maximum=3650,
        ),
    )
    most_waiting: int = field(
        default=100,
        metadata=about(
            "How many requests of one principal may wait at a time: a client that loops must not bury the one request "
            "that matters.",
            unit="requests",
            minimum=1,
            maximum=10_000,
        ),
    )
