"""What holds for every document, against judges that look at everything."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interchange_samples import (
    PUBKEY,
    ROOT,
    conflicting_blocks,
    conflicting_votes,
    crowded_documents,
    documents,
    everything,
    histories_of,
    long,
    numbers,
    plain,
    reading,
    roots,
    steady,
)

from interchange import (
    Interchange,
    Metadata,
    NetworkMismatchError,
    SignedAttestation,
    SignedBlock,
    ValidatorHistory,
    check,
    diff,
    merge,
    minify,
    parse,
    read_interchange,
    serialise,
    serialise_arranged,
)
from interchange.check import BackwardVote, DoubleBlock, DoubleVote, SurroundVote
from interchange.minify import Maxima, gather_maxima
from interchange.serialise import arranged


@steady
@given(documents)
def test_what_is_written_is_read_back(document) -> None:
    check_read_back(document)


@pytest.mark.torture
@long
@given(documents)
def test_whatever_is_written_is_read_back(document) -> None:
    check_read_back(document)


def check_read_back(document) -> None:
    again = read_interchange(serialise(document.metadata, document.validators))
    assert arranged(again.validators) == arranged(document.validators)
    assert again.metadata == document.metadata


@steady
@given(documents)
def test_what_is_written_is_what_another_writer_would_say(document) -> None:
    text = b"".join(serialise(document.metadata, arranged(document.validators)))
    assert json.loads(text) == plain(Interchange(document.metadata, arranged(document.validators)))


@steady
@given(documents, st.randoms(use_true_random=False))
def test_one_content_has_one_spelling(document, random) -> None:
    shuffled = [
        ValidatorHistory(history.pubkey, one_kind[0], one_kind[1])
        for history in document.validators
        for one_kind in ((history.blocks[::-1], ()), ((), history.attestations[::-1]))
    ]
    random.shuffle(shuffled)
    other = Interchange(document.metadata, tuple(shuffled))
    assert serialise_arranged(other) == serialise_arranged(document)


def test_parts_of_one_history_become_one_element() -> None:
    parts = [
        ValidatorHistory(PUBKEY, (SignedBlock(1),)),
        ValidatorHistory(PUBKEY, (SignedBlock(2),), (SignedAttestation(1, 2),)),
        ValidatorHistory(PUBKEY, (), (SignedAttestation(2, 3),)),
    ]
    (history,) = read_interchange(serialise(Metadata(ROOT), parts)).validators
    assert history == ValidatorHistory(
        PUBKEY, (SignedBlock(1), SignedBlock(2)), (SignedAttestation(1, 2), SignedAttestation(2, 3))
    )


def test_blocks_after_attestations_begin_a_second_element() -> None:
    parts = [ValidatorHistory(PUBKEY, (), (SignedAttestation(1, 2),)), ValidatorHistory(PUBKEY, (SignedBlock(1),))]
    assert read_interchange(serialise(Metadata(ROOT), parts)).validators == tuple(parts)


@steady
@given(documents)
def test_minifying_twice_is_minifying_once(document) -> None:
    once = minify(document.validators)
    assert minify(once) == once
    assert [history.pubkey for history in once] == sorted({history.pubkey for history in document.validators})
    assert all(len(history.blocks) <= 1 and len(history.attestations) <= 1 for history in once)


@steady
@given(documents)
def test_a_minified_document_holds_the_highest_of_each_field(document) -> None:
    minified = {history.pubkey: history for history in minify(document.validators)}
    for pubkey, blocks, votes in everything(document):
        assert [block.slot for block in minified[pubkey].blocks] == ([max(b.slot for b in blocks)] if blocks else [])
        epochs = [(vote.source_epoch, vote.target_epoch) for vote in minified[pubkey].attestations]
        highest = (max((v.source_epoch for v in votes), default=0), max((v.target_epoch for v in votes), default=0))
        assert epochs == ([highest] if votes else [])
        assert all(record.signing_root is None for record in (*minified[pubkey].blocks, *minified[pubkey].attestations))


@steady
@given(st.lists(st.lists(histories_of(numbers, roots), max_size=3), min_size=1, max_size=4))
def test_a_merge_is_the_highest_of_each_field_and_lowers_none(contents) -> None:
    check_merge(contents)


@pytest.mark.torture
@long
@given(st.lists(st.lists(histories_of(numbers, roots), max_size=3), min_size=1, max_size=4))
def test_no_merge_lowers_any_field(contents) -> None:
    check_merge(contents)


def check_merge(contents) -> None:
    sources = [Interchange(Metadata(ROOT), tuple(content)) for content in contents]
    merged = gather_maxima(merge(reading(source)() for source in sources).validators)
    assert merged == gather_maxima(history for source in sources for history in source.validators)
    for source in sources:
        for pubkey, maxima in gather_maxima(source.validators).items():
            assert merged[pubkey] == merged[pubkey].raised_to(maxima)


@settings(steady, max_examples=20)
@given(documents, documents)
def test_documents_of_two_chains_are_neither_merged_nor_compared(first, second) -> None:
    if first.metadata == second.metadata:
        return
    with pytest.raises(NetworkMismatchError):
        merge([reading(first)(), reading(second)()])
    with pytest.raises(NetworkMismatchError):
        diff(reading(first), reading(second))


def test_merging_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one"):
        merge([])


@settings(steady, max_examples=200)
@given(crowded_documents)
def test_check_agrees_with_a_judge_of_all_pairs(document) -> None:
    compare_with_all_pairs(document)


@pytest.mark.torture
@long
@given(crowded_documents)
def test_check_agrees_with_a_judge_of_all_pairs_of_whatever_there_is(document) -> None:
    compare_with_all_pairs(document)


def compare_with_all_pairs(document) -> None:
    findings = check(reading(document))
    for pubkey, blocks, votes in everything(document):
        own = [finding for finding in findings if finding.pubkey == pubkey]
        found_blocks = any(isinstance(finding, DoubleBlock) for finding in own)
        found_votes = any(not isinstance(finding, DoubleBlock) for finding in own)
        assert found_blocks is conflicting_blocks(blocks)
        assert found_votes is conflicting_votes(votes)


@steady
@given(crowded_documents)
def test_every_finding_is_a_conflict_by_itself(document) -> None:
    for finding in check(reading(document)):
        match finding:
            case DoubleBlock(_, first, second):
                assert conflicting_blocks([first, second])
            case DoubleVote(_, first, second) | SurroundVote(_, first, second):
                assert conflicting_votes([first, second])
            case BackwardVote(_, vote):
                assert conflicting_votes([vote])


@steady
@given(crowded_documents)
def test_every_vote_inside_another_is_named(document) -> None:
    named = {(f.pubkey, f.surrounded) for f in check(reading(document)) if isinstance(f, SurroundVote)}
    for pubkey, _, votes in everything(document):
        for outer, inner in itertools.permutations(votes, 2):
            if outer.source_epoch < inner.source_epoch and inner.target_epoch < outer.target_epoch:
                assert (pubkey, inner) in named


def test_a_history_that_is_torn_apart_is_judged_as_one() -> None:
    other = bytes(48)
    document = Interchange(
        Metadata(ROOT),
        (
            ValidatorHistory(PUBKEY, (SignedBlock(1, ROOT),)),
            ValidatorHistory(other),
            ValidatorHistory(PUBKEY, (SignedBlock(1, bytes(32)),)),
        ),
    )
    assert check(reading(document)) == (DoubleBlock(PUBKEY, SignedBlock(1, bytes(32)), SignedBlock(1, ROOT)),)


@settings(steady, max_examples=100)
@given(crowded_documents, crowded_documents)
def test_diff_names_the_validators_whose_records_differ(first, second) -> None:
    check_differences(first, second)


@pytest.mark.torture
@long
@given(crowded_documents, crowded_documents)
def test_diff_names_whatever_differs(first, second) -> None:
    check_differences(first, second)


def check_differences(first, second) -> None:
    differences = {difference.pubkey: difference for difference in diff(reading(first), reading(second))}
    old = {pubkey: {*blocks, *votes} for pubkey, blocks, votes in everything(first)}
    new = {pubkey: {*blocks, *votes} for pubkey, blocks, votes in everything(second)}
    for pubkey in old | new:
        if old.get(pubkey) == new.get(pubkey):
            assert pubkey not in differences
            continue
        difference = differences[pubkey]
        assert (difference.before is None, difference.after is None) == (pubkey not in old, pubkey not in new)
        assert difference.only_before == len(old.get(pubkey, set()) - new.get(pubkey, set()))
        assert difference.only_after == len(new.get(pubkey, set()) - old.get(pubkey, set()))


@steady
@given(crowded_documents, crowded_documents)
def test_diff_marks_every_fall_of_a_maximum(first, second) -> None:
    before, after = gather_maxima(first.validators), gather_maxima(second.validators)
    lowering = {difference.pubkey for difference in diff(reading(first), reading(second)) if difference.lowers}
    for pubkey in before:
        new = after.get(pubkey, Maxima())
        assert (pubkey in lowering) is (new.raised_to(before[pubkey]) != new)


@steady
@given(documents)
def test_a_document_does_not_differ_from_another_spelling_of_it(document) -> None:
    written = serialise_arranged(document)
    assert diff(reading(document), lambda: parse([written])) == ()
