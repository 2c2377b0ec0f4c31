"""Who may approve: principals in groups, from the configuration, some with a key of their own for what they say."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from msgspec import Struct


class Approver(Struct, frozen=True):
    """A principal as an approver."""

    name: str
    groups: frozenset[str]
    public_key: bytes | None = None
    """Ed25519. Where there is one, nothing that they have not signed counts as their word."""


class Approvers:
    """Everybody who could be asked. Immutable."""

    def __init__(self, approvers: Iterable[Approver] = ()) -> None:
        self._known: Mapping[str, Approver] = MappingProxyType({each.name: each for each in approvers})
        self.members: Mapping[str, frozenset[str]] = MappingProxyType(
            {each.name: each.groups for each in self._known.values()}
        )
        """Everybody's groups."""

    def find(self, name: str) -> Approver | None:
        """The approver of that name."""
        return self._known.get(name)
