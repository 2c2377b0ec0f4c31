"""One audit entry, version 1: what was decided, for whom, about which key.

Layout, big endian, no padding:

    version 1 | kind 1 | outcome 1 | flags 1 | time_ms 8 | request id 8
    | principal: length 1, UTF-8 | public key: length 1, bytes | duty: length 1, ASCII
    | lower 8 | upper 8          source and target epoch, or slot twice; 0 where there is none
    | signing root: length 1, bytes | code: length 1, ASCII | note: length 2, UTF-8

Rule 1: an entry says `allowed`, never `signed`: it is durable before the key is used. A failure later is its own entry.
Rule 2: fields are only ever added at the end, under a new version; a parser refuses what it does not know.
"""

import struct
from enum import IntEnum
from functools import lru_cache

from msgspec import Struct

from signer.errors import AuditError

VERSION = 1
MAX_NOTE_BYTES = 4096
"""Longest note that is kept, bytes; a longer one is cut at a character."""

_HEAD = struct.Struct(">BBBBQ8s")
_RANGE = struct.Struct(">QQ")
_SHORT_MAX = 255
_UINT64_MAX = 2**64 - 1


class Kind(IntEnum):
    """What happened. Numbers are stored: never reuse one."""

    DUTY = 1
    EXTENSION = 2
    SIGNING_FAILED = 3
    KEYS_LOADED = 4
    INTERCHANGE_IMPORTED = 5
    RESTORE_ACCEPTED = 6
    STARTED = 7
    SUMMARY = 8
    NETWORK_PINNED = 9
    ARCHIVED = 10
    WATERMARK_MOVED = 11
    PRUNED = 12
    CONFLICTING_REQUESTS = 13
    CLOCK_ALARM = 14
    KEYS_QUARANTINED = 15
    KEYS_RELEASED = 16
    KEYS_MIGRATED_OUT = 17
    KEYS_MIGRATED_IN = 18
    KEYS_TAKEN_BACK = 19
    KEY_FROZEN = 20
    KEY_THAWED = 21
    KEY_DELETED = 22
    KEY_ALLOWED = 23
    KEY_IMPORTED = 24
    KEY_TAGGED = 25
    KEY_PREFERENCES = 30
    POLICY_PUBLISHED = 40
    POLICY_ACTIVATED = 41
    POLICY_ROLLED_BACK = 42
    POLICY_RETIRED = 43
    POLICY_BOUND = 44
    POLICY_UNBOUND = 45
    POLICY_LIST_CHANGED = 46
    POLICY_TRUST_CHANGED = 47
    POLICY_SETTINGS_CHANGED = 48
    POLICY_SHADOWED = 49
    APPROVAL_OPENED = 60
    APPROVAL_VOTE = 61
    APPROVAL_ENDED = 62
    APPROVALS_REMOVED = 63


class Outcome(IntEnum):
    """How it was decided. Numbers are stored: never reuse one."""

    ALLOWED = 1
    REFUSED = 2
    NOTED = 3


class Flag(IntEnum):
    """Bits of the flags byte."""

    REPEAT = 1
    """Every claim was on record already."""

    BLIND = 2
    """The bytes signed were the caller's own: we could not see what they mean."""


class Entry(Struct, frozen=True):
    """An entry's fields."""

    kind: Kind
    outcome: Outcome
    time_ms: int
    """Milliseconds since the Unix epoch."""

    request_id: bytes = b"\0" * 8
    principal: str = ""
    public_key: bytes = b""
    duty: str = ""
    lower: int = 0
    upper: int = 0
    signing_root: bytes = b""
    code: str = ""
    note: str = ""
    flags: int = 0


def encode_entry(entry: Entry) -> bytes:
    """The canonical bytes of an entry. Never raises: over-long texts are cut, numbers are held to 64 bits."""
    note = _text(entry.note, MAX_NOTE_BYTES)
    return b"".join(
        (
            _HEAD.pack(
                VERSION, entry.kind, entry.outcome, entry.flags, min(entry.time_ms, _UINT64_MAX), entry.request_id
            ),
            _short_text(entry.principal),
            _short(entry.public_key),
            _short_text(entry.duty),
            _RANGE.pack(min(entry.lower, _UINT64_MAX), min(entry.upper, _UINT64_MAX)),
            _short(entry.signing_root),
            _short_text(entry.code),
            len(note).to_bytes(2),
            note,
        )
    )


def entry_time_ms(data: bytes) -> int:
    """When, without reading the rest.

    Raises:
        AuditError: it is too short to be an entry.
    """
    if len(data) < _HEAD.size:
        raise AuditError("an audit entry is cut short")
    time_ms: int = _HEAD.unpack_from(data)[4]
    return time_ms


def decode_entry(data: bytes) -> Entry:
    """The fields of canonical bytes.

    Raises:
        AuditError: these are not the canonical bytes of an entry this program knows.
    """
    try:
        version, kind, outcome, flags, time_ms, request_id = _HEAD.unpack_from(data)
        if version != VERSION:
            raise AuditError(f"audit entry version {version} is unknown; a newer Holdfast wrote it")
        at = _HEAD.size
        principal, at = _take(data, at)
        public_key, at = _take(data, at)
        duty, at = _take(data, at)
        lower, upper = _RANGE.unpack_from(data, at)
        signing_root, at = _take(data, at + _RANGE.size)
        code, at = _take(data, at)
        note, at = _take(data, at, width=2)
        if at != len(data):
            raise AuditError("an audit entry has trailing bytes")
        return Entry(
            kind=Kind(kind),
            outcome=Outcome(outcome),
            time_ms=time_ms,
            request_id=request_id,
            principal=principal.decode(),
            public_key=public_key,
            duty=duty.decode(),
            lower=lower,
            upper=upper,
            signing_root=signing_root,
            code=code.decode(),
            note=note.decode(),
            flags=flags,
        )
    except (struct.error, ValueError, IndexError) as error:
        raise AuditError(f"an audit entry cannot be read: {error}") from error


def _text(text: str, most_bytes: int) -> bytes:
    """UTF-8 of at most so many bytes, cut at a character; what is no character becomes a question mark."""
    data = text.encode(errors="replace")
    return data if len(data) <= most_bytes else data[:most_bytes].decode(errors="ignore").encode()


@lru_cache(maxsize=1024)
def _short_text(text: str) -> bytes:
    """Names, duty types and codes: a handful of texts, again and again."""
    return _short(_text(text, _SHORT_MAX))


def _short(value: bytes) -> bytes:
    value = value[:_SHORT_MAX]
    return bytes((len(value),)) + value


def _take(data: bytes, at: int, *, width: int = 1) -> tuple[bytes, int]:
    start = at + width
    end = start + int.from_bytes(data[at:start])
    if end > len(data) or start > len(data):
        raise ValueError("cut short")
    return data[start:end], end
