"""The chain of the audit log: each head binds every entry before it."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.audit.chain import CHAIN_LABEL, EMPTY_HEAD, head_after, leaf_hash, next_head, pack, unpack
from signer.errors import AuditError

steady = settings(derandomize=True, deadline=None, max_examples=200)
logs = st.lists(st.binary(max_size=40), max_size=12)


def test_a_leaf_is_hashed_as_rfc_6962_says() -> None:
    # The leaf hash of the empty string, as Certificate Transparency's own reference trees have it.
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_a_head_is_the_hash_of_label_head_and_leaf() -> None:
    assert next_head(EMPTY_HEAD, b"entry") == sha256(CHAIN_LABEL + EMPTY_HEAD + sha256(b"\0entry").digest()).digest()


@steady
@given(logs, logs)
def test_the_head_of_a_whole_log_is_the_head_of_its_parts(first, second) -> None:
    assert head_after(EMPTY_HEAD, first + second) == head_after(head_after(EMPTY_HEAD, first), second)


@steady
@given(logs, logs)
def test_two_logs_with_one_head_are_one_log(first, second) -> None:
    assert (head_after(EMPTY_HEAD, first) == head_after(EMPTY_HEAD, second)) == (first == second)


@steady
@given(logs)
def test_a_batch_is_unpacked_as_it_was_packed(entries) -> None:
    assert list(unpack(pack(entries))) == entries


@steady
@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), st.data())
def test_a_batch_that_was_cut_short_is_refused_or_seen_to_be_shorter(entries, data) -> None:
    blob = pack(entries)
    cut = blob[: data.draw(st.integers(0, len(blob) - 1))]
    try:
        found = list(unpack(cut))
    except AuditError:
        return
    assert found == entries[: len(found)]
    assert len(found) < len(entries), "the count beside the batch tells"


def test_a_length_without_its_entry_is_refused() -> None:
    with pytest.raises(AuditError, match="cut short"):
        list(unpack(b"\x00"))
