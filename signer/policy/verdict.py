"""What a policy answers: allow, deny, or ask people first; and how its JSON is read.

Rule 1: reading is total. Whatever cannot be understood to the last byte is a `Deny` with a code of ours: fails closed.
Rule 2: codes that begin with POLICY_ are ours alone; a policy that answers one has answered nothing we understand.
Rule 3: texts of a policy may quote the payload, so what is not printable in them is escaped: it forges no log line.

Amounts are whole numbers of the asset's smallest unit. In JSON they are decimal strings: 256 bits fit no JSON number.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import DecodeError, Meta, Struct
from msgspec import json as fast_json

from signer.errors import Evidence
from signer.nesting import is_nested_deeper

MAX_VERDICT_BYTES = 16 * 1024
"""The largest answer that is read."""

MAX_AMOUNT = 2**256 - 1
"""The largest amount, of a reservation or a limit: the largest that Ethereum knows."""

FOREVER = 0
"""As `window_seconds`: a cap for the whole life of a counter."""

BAD_VERDICT = "POLICY_BAD_VERDICT"
VERDICT_TOO_LARGE = "POLICY_VERDICT_TOO_LARGE"

MAX_VERDICT_LEVELS = 3
"""The verdict, its list of reservations, one reservation."""

_LARGEST_EXACT = 2**53 - 1
"""The largest whole number that every JSON reader keeps (RFC 8259, section 6)."""

CounterName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:/-]{1,128}\Z", description="Its scope is the policy's.")]
Seconds = Annotated[int, Meta(ge=0, le=366 * 86400)]
Quorum = Annotated[int, Meta(ge=1, le=64)]
Group = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:@-]{1,64}\Z")]
Code = Annotated[str, Meta(pattern=r"^(?!POLICY_)[A-Z][A-Z0-9_]{0,63}\Z")]
DecimalAmount = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,77})\Z", description="Below 2 to the 256th.")]
EvidenceName = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}\Z")]
EvidenceText = Annotated[str, Meta(max_length=512)]
EvidenceNumber = Annotated[int, Meta(ge=-_LARGEST_EXACT, le=_LARGEST_EXACT)]


class Reservation(Struct, frozen=True):
    """What the signature spends of a counter: judged and booked in the signing commit, all of a verdict's or none."""

    counter: str
    window_seconds: int
    """The sliding window in which no more than `limit` is spent; FOREVER for the counter's whole life."""

    amount: int
    """1 where uses are counted."""

    limit: int


class Allow(Struct, frozen=True):
    """The policy has nothing against it, as long as every reservation can be booked."""

    reserve: tuple[Reservation, ...] = ()


class Deny(Struct, frozen=True):
    """It is not signed."""

    code: str
    """Stable, capital letters; POLICY_... where the policy gave no verdict that counts."""

    message: str
    evidence: Evidence = {}


class RequireApproval(Struct, frozen=True):
    """It is signed when so many people of these groups have approved."""

    quorum: int
    groups: tuple[str, ...]
    """Approvers are members of at least one of them."""

    lifetime_seconds: int
    """How long the request waits for them, and the approval for its use."""

    delay_seconds: int = 0
    """How long after the quorum nothing is signed yet."""

    reserve: tuple[Reservation, ...] = ()
    """Booked when the approved request is signed; a request that waits reserves nothing."""


Verdict = Allow | Deny | RequireApproval

ALLOW = Allow()
"""The verdict most policies give most of the time."""


class WireReservation(Struct, frozen=True, forbid_unknown_fields=True):
    """A reservation in JSON."""

    counter: CounterName
    window_seconds: Seconds
    amount: DecimalAmount
    limit: DecimalAmount


Reservations = Annotated[tuple[WireReservation, ...], Meta(max_length=16)]


class WireAllow(Struct, frozen=True, forbid_unknown_fields=True, tag="allow", tag_field="verdict", omit_defaults=True):
    """Allow, in JSON."""

    reserve: Reservations = ()


class WireDeny(Struct, frozen=True, forbid_unknown_fields=True, tag="deny", tag_field="verdict"):
    """Deny, in JSON."""

    code: Code
    message: Annotated[str, Meta(min_length=1, max_length=1024)]
    evidence: Annotated[dict[EvidenceName, EvidenceText | EvidenceNumber | None], Meta(max_length=32)] = {}


class WireRequireApproval(Struct, frozen=True, forbid_unknown_fields=True, tag="require_approval", tag_field="verdict"):
    """RequireApproval, in JSON."""

    quorum: Quorum
    groups: Annotated[tuple[Group, ...], Meta(min_length=1, max_length=16)]
    lifetime_seconds: Annotated[int, Meta(ge=1, le=30 * 86400)]
    delay_seconds: Annotated[int, Meta(ge=0, le=30 * 86400)] = 0
    reserve: Reservations = ()


WireVerdict = WireAllow | WireDeny | WireRequireApproval

_DECODER: fast_json.Decoder[WireVerdict] = fast_json.Decoder(WireVerdict)
_PLAIN_ALLOW = b'{"verdict":"allow"}'


def decode_verdict(output: bytes) -> Verdict:
    """What a policy's output says; a `Deny` of ours where it says nothing that can be relied on. Never raises."""
    if output == _PLAIN_ALLOW:
        return ALLOW
    if len(output) > MAX_VERDICT_BYTES:
        return too_large(len(output))
    if is_nested_deeper(output, levels=MAX_VERDICT_LEVELS):
        return bad_verdict("the answer is nested more deeply than a verdict")
    try:
        wire = _DECODER.decode(output)
        json.loads(output, object_pairs_hook=refuse_repeated_names)
        return _verdict(wire)
    except (DecodeError, ValueError, RecursionError) as error:
        return bad_verdict(str(error))


def too_large(output_bytes: int) -> Deny:
    """The denial of an answer that is not read."""
    return Deny(
        VERDICT_TOO_LARGE,
        f"the policy answered {output_bytes} bytes; at most {MAX_VERDICT_BYTES} are read",
        {"output_bytes": output_bytes, "limit_bytes": MAX_VERDICT_BYTES},
    )


def encode_verdict(verdict: Verdict) -> bytes:
    """The JSON of a verdict, as a policy would write it."""
    return fast_json.encode(_wire(verdict))


def printable(text: str) -> str:
    """The text, escaped where it has a character that does not print."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def bad_verdict(reason: str) -> Deny:
    """The denial of an answer that is no verdict."""
    return Deny(BAD_VERDICT, f"the policy's answer is no verdict: {printable(reason)}")


def _verdict(wire: WireVerdict) -> Verdict:
    match wire:
        case WireAllow():
            return Allow(_reservations(wire.reserve)) if wire.reserve else ALLOW
        case WireDeny():
            evidence = {name: _shown(value) for name, value in wire.evidence.items()}
            return Deny(wire.code, printable(wire.message), evidence)
        case WireRequireApproval():
            if wire.delay_seconds >= wire.lifetime_seconds:
                raise ValueError("delay_seconds is not below lifetime_seconds: it could never be signed")
            return RequireApproval(
                wire.quorum,
                tuple(sorted(set(wire.groups))),
                wire.lifetime_seconds,
                wire.delay_seconds,
                _reservations(wire.reserve),
            )


def _reservations(wire: tuple[WireReservation, ...]) -> tuple[Reservation, ...]:
    return tuple(
        Reservation(each.counter, each.window_seconds, _amount(each.amount), _amount(each.limit)) for each in wire
    )


def _amount(text: str) -> int:
    amount = int(text)
    if amount > MAX_AMOUNT:
        raise ValueError(f"{text} is more than 256 bits hold")
    return amount


def _shown(value: str | int | None) -> str | int | None:
    return printable(value) if isinstance(value, str) else value


def refuse_repeated_names(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    """For `json.loads`: two fields of one name would be one verdict to us and another to the next reader."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field stands twice in one object")
    return found


def _wire(verdict: Verdict) -> WireVerdict:
    match verdict:
        case Allow(reserve):
            return WireAllow(_wire_reservations(reserve))
        case Deny(code, message, evidence):
            return WireDeny(code, message, dict(evidence))
        case RequireApproval(quorum, groups, lifetime_seconds, delay_seconds, reserve):
            return WireRequireApproval(quorum, groups, lifetime_seconds, delay_seconds, _wire_reservations(reserve))


def _wire_reservations(reserve: tuple[Reservation, ...]) -> tuple[WireReservation, ...]:
    return tuple(
        WireReservation(each.counter, each.window_seconds, str(each.amount), str(each.limit)) for each in reserve
    )
