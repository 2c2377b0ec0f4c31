"""What a policy may ask of its host beside its facts: nothing that its manifest does not name."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class HostFunction(StrEnum):
    """Functions that a module may import from `holdfast`, by the name of the import."""

    READ_COUNTER = "read_counter"
    LIST_CONTAINS = "list_contains"
    KECCAK256 = "keccak256"
    SHA256 = "sha256"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Grants:
    """Taken from the manifest."""

    functions: frozenset[HostFunction] = frozenset()
    counters: frozenset[str] = frozenset()
    """Names of counters that it may read."""

    lists: frozenset[str] = frozenset()
    """Names of lists that it may ask."""


NO_GRANTS = Grants()
ALL_FUNCTIONS = frozenset(HostFunction)


class Host(Protocol):
    """What answers a policy's questions, during one decision.

    Called on a thread of the policies, never on the event loop. It raises nothing of its own; whatever it raises
    denies the request (POLICY_HOST_FAILED). Within one decision the same question has the same answer.
    """

    def read_counter(self, name: str, *, window_seconds: int) -> int:
        """What has been spent of the counter within the window; of all time where it is 0."""
        ...

    def list_contains(self, name: str, item: str) -> bool:
        """Does the list hold exactly this text? A list that does not exist holds nothing."""
        ...


class EmptyHost:
    """Knows no counter that was ever spent from, and no list that holds anything."""

    def read_counter(self, name: str, *, window_seconds: int) -> int:  # noqa: ARG002 - the same for all
        """Nothing."""
        return 0

    def list_contains(self, name: str, item: str) -> bool:  # noqa: ARG002 - the same for all
        """Never."""
        return False
