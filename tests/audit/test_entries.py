"""Audit entries: one canonical spelling, nothing that cannot be read again, and nothing else that can be read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.audit.entry import (
    MAX_NOTE_BYTES,
    Entry,
    Flag,
    Kind,
    Outcome,
    decode_entry,
    encode_entry,
    entry_time_ms,
)
from signer.errors import AuditError

uint64 = st.integers(0, 2**64 - 1)
short_text = st.text(st.characters(codec="utf-8"), max_size=60)

entries = st.builds(
    Entry,
    kind=st.sampled_from(Kind),
    outcome=st.sampled_from(Outcome),
    time_ms=uint64,
    request_id=st.binary(min_size=8, max_size=8),
    principal=short_text,
    public_key=st.binary(max_size=48),
    duty=short_text,
    lower=uint64,
    upper=uint64,
    signing_root=st.binary(max_size=32),
    code=short_text,
    note=st.text(st.characters(codec="utf-8"), max_size=200),
    flags=st.integers(0, 3),
)

SAMPLE = Entry(
    Kind.DUTY,
    Outcome.REFUSED,
    1_700_000_000_000,
    b"request8",
    "lighthouse",
    b"\xab" * 48,
    "ATTESTATION",
    411_499,
    411_500,
    b"\xcd" * 32,
    "DOUBLE_VOTE",
    "target_epoch=411500",
    Flag.REPEAT,
)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(entries)
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    data = encode_entry(entry)
    assert decode_entry(data) == entry
    assert entry_time_ms(data) == entry.time_ms


def test_the_layout_is_the_one_that_is_written_down() -> None:
    """Built by hand from the module's table: a change of the layout needs a new version."""
    expected = (
        bytes((1, 1, 2, 1))
        + (1_700_000_000_000).to_bytes(8)
        + b"request8"
        + b"\x0alighthouse"
        + b"\x30"
        + b"\xab" * 48
        + b"\x0bATTESTATION"
        + (411_499).to_bytes(8)
        + (411_500).to_bytes(8)
        + b"\x20"
        + b"\xcd" * 32
        + b"\x0bDOUBLE_VOTE"
        + b"\x00\x13target_epoch=411500"
    )
    assert encode_entry(SAMPLE) == expected
    assert len(encode_entry(SAMPLE)) < 200, "7 million a day must stay small"


def test_every_cut_and_every_addition_is_refused() -> None:
    data = encode_entry(SAMPLE)
    for length in range(len(data)):
        with pytest.raises(AuditError):
            decode_entry(data[:length])
    with pytest.raises(AuditError, match="trailing"):
        decode_entry(data + b"\0")


@pytest.mark.parametrize(
    ("at", "value", "match"),
    [(0, 2, "version 2 is unknown"), (0, 0, "version 0"), (1, 99, "99"), (2, 0, "0"), (21, 0xFF, "cannot be read")],
)
def test_what_this_program_does_not_know_is_refused(at: int, value: int, match: str) -> None:
    data = bytearray(encode_entry(SAMPLE))
    data[at] = value
    with pytest.raises(AuditError, match=match):
        decode_entry(bytes(data))


@pytest.mark.parametrize("character", ["a", "é", "€", "🔑"])
def test_an_over_long_text_is_cut_at_a_character(character: str) -> None:
    entry = Entry(Kind.SUMMARY, Outcome.NOTED, 1, principal=character * 300, note=character * MAX_NOTE_BYTES)
    found = decode_entry(encode_entry(entry))
    assert entry.principal.startswith(found.principal)
    assert 252 <= len(found.principal.encode()) <= 255
    assert entry.note.startswith(found.note)
    assert MAX_NOTE_BYTES - 4 < len(found.note.encode()) <= MAX_NOTE_BYTES


def test_what_cannot_be_encoded_does_not_stop_the_journal() -> None:
    """File names of the system may hold lone surrogates; a number may be larger than the field."""
    entry = Entry(Kind.SUMMARY, Outcome.NOTED, 2**70, principal="\udcff", lower=2**64, upper=2**80, note="a\ud800b")
    found = decode_entry(encode_entry(entry))
    assert (found.principal, found.note) == ("?", "a?b")
    assert (found.time_ms, found.lower, found.upper) == (2**64 - 1,) * 3


def test_the_time_of_a_stump_is_refused() -> None:
    with pytest.raises(AuditError):
        entry_time_ms(encode_entry(SAMPLE)[:19])
