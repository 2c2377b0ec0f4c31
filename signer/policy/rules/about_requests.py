"""Conditions on what is asked at all: its kind, the key, who asks, where from and when."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from types import MappingProxyType

from msgspec import Struct

from signer.policy.facts import Facts
from signer.policy.rules.condition import Miss, shown

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
PAYLOADS = ("transaction", "duty", "opaque")

_DAY_SECONDS = 86400
_FIRST_WEEKDAY = 3
"""1 January 1970 was a Thursday."""

_WORDS: MappingProxyType[str, Callable[[Facts], tuple[str, ...]]] = MappingProxyType(
    {
        "keys": lambda facts: tuple(dict.fromkeys((facts.signer.key_id, facts.signer.public_key))),
        "tags": lambda facts: facts.signer.tags,
        "namespaces": lambda facts: (facts.signer.namespace,),
        "callers": lambda facts: (facts.caller.identity,),
        "caller_roles": lambda facts: facts.caller.roles,
    }
)
"""What a list of names is compared with: one in common is enough."""

NAMED = tuple(_WORDS)


class OneOf(Struct, frozen=True):
    """The key or the caller is among those named."""

    subject: str
    """A key of NAMED."""

    names: frozenset[str]

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        words = _WORDS[self.subject](facts)
        if not self.names.isdisjoint(words):
            return None
        what = self.subject.removesuffix("s").replace("_", " ")
        found = shown(", ".join(words))
        return Miss(f"{what.upper().replace(' ', '_')}_NOT_LISTED", f"the {what} is not listed", {what: found})


class Payloads(Struct, frozen=True):
    """A transaction, a duty, or what could not be read."""

    kinds: frozenset[str]
    """Of PAYLOADS."""

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        found = {
            name
            for name, there in (
                ("opaque", facts.opaque),
                ("transaction", facts.transaction is not None),
                ("duty", facts.duty is not None),
            )
            if there
        }
        if found and found <= self.kinds:
            return None
        kind = ", ".join(sorted(found)) or "nothing that can be read"
        return Miss("PAYLOAD_NOT_LISTED", f"this is {kind}, which is not listed", {"payload": kind})


class Types(Struct, frozen=True):
    """The type of the transaction or of the duty is among those named."""

    names: frozenset[str]

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        found = [each.type for each in (facts.transaction, facts.duty) if each is not None]
        if found and self.names.issuperset(found):
            return None
        if not found:
            return Miss("OPAQUE", "the payload could not be read: its type is not known", unknown=True)
        return Miss("TYPE_NOT_LISTED", "the type is not listed", {"type": shown(", ".join(found))})


class Sources(Struct, frozen=True):
    """The caller's address is in one of these networks."""

    networks: tuple[IPv4Network | IPv6Network, ...]

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        address = _address(facts.caller.address)
        if address is None:
            return Miss("SOURCE_UNKNOWN", "where the caller asks from is not known", unknown=True)
        if any(address in network for network in self.networks if network.version == address.version):
            return None
        return Miss("SOURCE_NOT_LISTED", "the caller's address is in none of the networks", {"address": str(address)})


class Span(Struct, frozen=True):
    """Some hours on some days, in UTC. Where it ends before it begins it ends on the next day."""

    days: frozenset[int]
    """Monday is 0; a span that passes midnight belongs to the day it begins on."""

    from_minute: int
    until_minute: int
    """Not in it any more."""

    def covers(self, at_seconds: int) -> bool:
        """True for a time in it."""
        day, minute = at_seconds // _DAY_SECONDS, at_seconds % _DAY_SECONDS // 60
        today = (day + _FIRST_WEEKDAY) % 7 in self.days
        if self.from_minute < self.until_minute:
            return today and self.from_minute <= minute < self.until_minute
        yesterday = (day + _FIRST_WEEKDAY - 1) % 7 in self.days
        return (today and minute >= self.from_minute) or (yesterday and minute < self.until_minute)


class Hours(Struct, frozen=True):
    """It is one of these times of the week."""

    spans: tuple[Span, ...]

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        now = facts.environment.timestamp
        if any(span.covers(now) for span in self.spans):
            return None
        return Miss("OUTSIDE_HOURS", "it is none of the listed times of the week (UTC)", {"timestamp": now})


class Period(Struct, frozen=True):
    """It is not before the one moment and before the other, in seconds since the Unix epoch."""

    from_seconds: int | None
    until_seconds: int | None

    def miss(self, facts: Facts) -> Miss | None:
        """See `Condition.miss`."""
        now = facts.environment.timestamp
        early = self.from_seconds is not None and now < self.from_seconds
        late = self.until_seconds is not None and now >= self.until_seconds
        if not early and not late:
            return None
        return Miss("OUTSIDE_PERIOD", f"it is too {'early' if early else 'late'}", {"timestamp": now})


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
