"""What the parser takes, what it refuses, and how it says where."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interchange_samples import PUBKEY, ROOT, documents, events_of, long, small, steady, text_of

from interchange import (
    Fault,
    InterchangeError,
    MalformedError,
    Metadata,
    SchemaError,
    SignedAttestation,
    SignedBlock,
    ValidatorHistory,
    parse,
    read_interchange,
    serialise,
)
from interchange.element import MAX_UNNAMED_RECORDS
from interchange.parse import find_metadata
from interchange.records import RUN_RECORDS
from interchange.text import WINDOW


def first_fault(document: object) -> InterchangeError:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(InterchangeError) as caught:
        events_of(text)
    for cut in (1, 7):
        with pytest.raises(InterchangeError) as cut_up:
            events_of(text, cut=cut)
        assert str(cut_up.value) == str(caught.value), "pieces must make no difference"
    return caught.value


def test_a_document_is_its_metadata_and_its_histories_in_order() -> None:
    assert events_of(json.dumps(small()).encode()) == [
        Metadata(ROOT),
        ValidatorHistory(PUBKEY, (SignedBlock(5),), (SignedAttestation(1, 2),)),
    ]


def test_metadata_may_come_last() -> None:
    document = small()
    text = json.dumps({"data": document["data"], "metadata": document["metadata"]}).encode()
    assert [type(event) for event in events_of(text)] == [ValidatorHistory, Metadata]
    assert find_metadata(parse([text])) == Metadata(ROOT)


def test_metadata_that_comes_first_is_found_without_reading_on() -> None:
    def pieces():
        yield json.dumps(small())[:-1].encode() + b"," + b" " * 600_000
        pytest.fail("the rest was read")

    assert find_metadata(parse(pieces())) == Metadata(ROOT)


@pytest.mark.parametrize(
    "block",
    [
        '{"slot":"5","signing_root":"0xAB"}',
        '{"signing_root":"0xaB","slot":"5"}',
        '{ "slot" : "5" , "signing_root" : "0xab" }',
        '\n{\t"slot":"5",\r\n"signing_root":"0xAb"}\n',
        '{"sl\\u006ft":"5","signing_root":"0xab","note":{"deep":[1,2.5e3,null,true]}}',
    ],
)
def test_every_spelling_of_a_record_is_read_the_same(block: str) -> None:
    text = json.dumps(small(signed_blocks=["BLOCK"])).replace('"BLOCK"', block.replace("ab", "ab" * 32)).encode()
    wide = b"\xab" * 32 if "ab" in block else b"\xab"
    assert read_interchange([text]).validators[0].blocks == (SignedBlock(5, wide),)


def test_a_null_root_is_no_root_and_a_short_root_is_kept() -> None:
    blocks = [{"slot": "1", "signing_root": None}, {"slot": "2", "signing_root": "0x123456"}]
    (history,) = read_interchange([json.dumps(small(signed_blocks=blocks)).encode()]).validators
    assert history.blocks == (SignedBlock(1), SignedBlock(2, b"\x12\x34\x56"))


def test_unknown_members_are_read_over_at_every_level() -> None:
    document = small(last_seen=[{"a": []}, {}, -1.5e-3, "\u00e9\U0001f600"], signed_blocks=[{"slot": "5", "x": {}}])
    document["metadata"]["interchange_format"] = "complete"
    document = {"extra": {"deep": [[[{"data": 1}]]]}, **document, "tail": None}
    assert len(events_of(json.dumps(document).encode(), cut=3)) == 2


@pytest.mark.parametrize(
    ("document", "path", "found"),
    [
        ([], "$", "an array"),
        ({"data": []}, "$", 'no member "metadata"'),
        ({"metadata": small()["metadata"]}, "$", 'no member "data"'),
        ({**small(), "data": "5"}, "$.data", '"5"'),
        ({**small(), "data": {}}, "$.data", "an object"),
        ({**small(), "metadata": None}, "$.metadata", "null"),
        ({**small(), "data": [7]}, "$.data[0]", "the number 7"),
        (small(pubkey="0x1234"), "$.data[0].pubkey", '"0x1234"'),
        (small(pubkey=PUBKEY.hex()), "$.data[0].pubkey", f'"{PUBKEY.hex()}"'),
        (small(pubkey=["a"]), "$.data[0].pubkey", "an array"),
        (small(signed_blocks=None), "$.data[0].signed_blocks", "null"),
        (small(signed_blocks=[[]]), "$.data[0].signed_blocks[0]", "an array"),
        (small(signed_blocks=[{"slot": "1"}, {"slot": 2}]), "$.data[0].signed_blocks[1].slot", "the number 2"),
        (small(signed_blocks=[{"slot": "-1"}]), "$.data[0].signed_blocks[0].slot", '"-1"'),
        (small(signed_blocks=[{"slot": "01"}]), "$.data[0].signed_blocks[0].slot", '"01"'),
        (small(signed_blocks=[{"slot": " 1"}]), "$.data[0].signed_blocks[0].slot", '" 1"'),
        (small(signed_blocks=[{"slot": "\u0661"}]), "$.data[0].signed_blocks[0].slot", '"\\u0661"'),
        (small(signed_blocks=[{"slot": ""}]), "$.data[0].signed_blocks[0].slot", '""'),
        (small(signed_blocks=[{"slot": str(2**64)}]), "$.data[0].signed_blocks[0].slot", '"18446744073709551616"'),
        (small(signed_blocks=[{}]), "$.data[0].signed_blocks[0]", 'no member "slot"'),
        (small(signed_blocks=[{"slot": "1", "signing_root": "0x"}]), "$.data[0].signed_blocks[0].signing_root", '"0x"'),
        (
            small(signed_blocks=[{"slot": "1", "signing_root": "0x" + "00" * 33}]),
            "$.data[0].signed_blocks[0].signing_root",
            '"0x' + "0" * 66 + '"',
        ),
        (
            small(signed_blocks=[{"slot": "1", "signing_root": "0x123"}]),
            "$.data[0].signed_blocks[0].signing_root",
            '"0x123"',
        ),
        (
            small(signed_attestations=[{"source_epoch": "1"}]),
            "$.data[0].signed_attestations[0]",
            'no member "target_epoch"',
        ),
        (
            small(signed_attestations=[{"source_epoch": "1", "target_epoch": str(2**64)}]),
            "$.data[0].signed_attestations[0].target_epoch",
            '"18446744073709551616"',
        ),
    ],
)
def test_a_fault_of_the_schema_names_its_path_and_what_stands_there(document: object, path: str, found: str) -> None:
    error = first_fault(document)
    assert isinstance(error, SchemaError)
    assert (error.path, error.found) == (path, found)
    assert error.expected
    assert found.removeprefix("no member ") not in error.expected, "nothing is told twice"
    assert error.line == 1


def test_a_draft_version_is_refused_with_the_remedy() -> None:
    document = small()
    document["metadata"]["interchange_format_version"] = "4"
    error = first_fault(document)
    assert error.path == "$.metadata.interchange_format_version"
    assert error.found == '"4"'
    assert "export again" in error.expected


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ('"data":', '"metadata": {}, "data":', "$"),
        ('"signed_blocks":', '"pubkey": "0x00", "signed_blocks":', "$.data[0]"),
        ('{"slot": "5"}', '{"slot": "5", "slot": "5"}', "$.data[0].signed_blocks[0]"),
        ('{"slot": "5"}', '{"slot": "5", "signing_root": null, "signing_root": null}', "$.data[0].signed_blocks[0]"),
        ('"interchange_format_version": "5"', '"a": 1, "a": 1', "$.metadata"),
    ],
)
def test_a_name_that_occurs_twice_is_refused(before: str, after: str, path: str) -> None:
    text = json.dumps(small())
    assert before in text
    error = first_fault(text.replace(before, after).encode())
    assert isinstance(error, SchemaError)
    assert error.path == path


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"   ",
        b"nonsense",
        b"\xff\xfe{\x00}\x00",
        b'{"metadata"',
        b'{"metadata": NaN}',
        b'{"x": Infinity}',
        b'{"x": "a\nb"}',
        b'{"x": 01}',
        b'{"x": [1,]}',
        b'{"x": [1 2]}',
        b'{"x": {"a" 1}}',
        b'{"x": {1: 1}}',
        b'{"x": 1,}',
        b"{,}",
        b'{"x": [}',
        json.dumps(small()).encode() + b"x",
        json.dumps(small()).encode()[:-1],
        json.dumps(small()).encode()[:-20],
        json.dumps(small()).replace('"5"}]', '"5"},]').encode(),
        json.dumps(small()).replace('"5"}]', '"5"}').encode(),
        b'{"x": "' + b"a" * WINDOW + b'"}',
        b'{"x": ' + b"1" * WINDOW + b"}",
        b'{"x": ' + b"[" * 100_000,
    ],
)
def test_what_is_not_json_is_refused_with_its_place(text: bytes) -> None:
    error = first_fault(text)
    assert isinstance(error, MalformedError | SchemaError)
    assert len(str(error)) < 400


def test_a_fault_names_line_and_column() -> None:
    text = json.dumps(small(signed_blocks=[{"slot": "1"}, {"slot": 2}]), indent=1).encode()
    error = first_fault(text)
    line = text.decode().splitlines()[error.line - 1]
    assert line[error.column - 1 :] == "{"
    assert text.decode().splitlines()[error.line] == '     "slot": 2'


def test_a_place_far_into_a_document_is_still_right() -> None:
    blocks = [{"slot": str(n)} for n in range(60_000)] + [{"slot": "x"}]
    text = json.dumps(small(signed_blocks=blocks), indent=0)
    with pytest.raises(SchemaError) as caught:
        events_of(text.encode(), cut=1000)
    assert text.splitlines()[caught.value.line] == '"slot": "x"'
    assert caught.value.path == "$.data[0].signed_blocks[60000].slot"


def test_a_long_history_comes_in_parts_that_add_up() -> None:
    votes = tuple(SignedAttestation(n, n + 1, ROOT) for n in range(2 * RUN_RECORDS + 5))
    blocks = tuple(SignedBlock(n) for n in range(RUN_RECORDS + 1))
    whole = ValidatorHistory(PUBKEY, blocks, votes)
    parts = [event for event in parse(serialise(Metadata(ROOT), [whole])) if isinstance(event, ValidatorHistory)]
    assert len(parts) > 2
    assert {part.pubkey for part in parts} == {PUBKEY}
    assert tuple(block for part in parts for block in part.blocks) == blocks
    assert tuple(vote for part in parts for vote in part.attestations) == votes


def test_records_before_their_pubkey_are_kept_up_to_a_limit() -> None:
    blocks = [{"slot": str(n)} for n in range(RUN_RECORDS + 1)]
    members = small(signed_blocks=blocks)["data"][0]
    late = {name: members[name] for name in ("signed_attestations", "signed_blocks", "pubkey")}
    (history,) = read_interchange([json.dumps({**small(), "data": [late]}).encode()]).validators
    assert (history.pubkey, len(history.blocks), len(history.attestations)) == (PUBKEY, RUN_RECORDS + 1, 1)


def test_too_many_records_before_their_pubkey_are_refused() -> None:
    block = b'{"slot":"1"},'
    pieces = [b'{"data":[{"signed_blocks":[', *[block * 1000] * (MAX_UNNAMED_RECORDS // 1000 + 20)]
    with pytest.raises(SchemaError) as caught:
        list(parse(pieces))
    assert caught.value.path == "$.data[0].pubkey"


def test_a_partial_reading_names_bad_elements_and_goes_on() -> None:
    good = small()["data"][0]
    bad = [
        7,
        {**good, "pubkey": 5},
        {**good, "signed_blocks": [{"slot": "1"}, {"slot": 2}, {"slot": 3}]},
        {**good, "signed_attestations": {}},
        {name: good[name] for name in ("signed_blocks", "signed_attestations")},
    ]
    elements = [item for element in bad for item in (element, good)]
    text = json.dumps({**small(), "data": elements}).encode()
    events = events_of(text, partial=True)
    assert [event.element for event in events if isinstance(event, Fault)] == [0, 2, 4, 6, 8]
    assert [event.pubkey for event in events if isinstance(event, Fault)] == [None, None, PUBKEY, PUBKEY, None]
    assert sum(isinstance(event, ValidatorHistory) for event in events) == len(bad)


def test_a_partial_reading_still_refuses_what_is_not_json() -> None:
    with pytest.raises(MalformedError):
        events_of(json.dumps(small()).encode()[:-1], partial=True)


def test_a_partial_reading_names_a_repeated_member_and_goes_on() -> None:
    text = json.dumps(small()).replace('"signed_blocks":', '"pubkey": "0x00", "signed_blocks":')
    (_, fault) = events_of(text.encode(), partial=True)
    assert isinstance(fault, Fault)
    assert "pubkey" in fault.error.found


def test_hostile_numbers_of_members_are_refused() -> None:
    members = {f"x{n}": 0 for n in range(100)}
    assert isinstance(first_fault({**members, **small()}), SchemaError)


@steady
@given(documents, st.integers(1, 300), st.sampled_from([None, 0, 2]), st.booleans())
def test_another_writers_document_is_read_whatever_its_layout(document, cut, indent, sort) -> None:
    text = text_of(document, indent=indent, sort_keys=sort)
    pieces = [text[start : start + cut] for start in range(0, len(text), cut)]
    assert read_interchange(pieces) == document


@settings(steady, max_examples=120)
@given(documents, st.data())
def test_no_change_of_a_byte_does_more_than_raise_an_interchange_error(document, data) -> None:
    change_bytes(document, data)


@pytest.mark.torture
@long
@given(documents, st.data())
def test_no_change_of_a_byte_ever_does_more_than_raise_an_interchange_error(document, data) -> None:
    change_bytes(document, data)


def change_bytes(document, data) -> None:
    text = bytearray(text_of(document))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(text) - 1))
        change = data.draw(st.sampled_from(["drop", "put", "cut"]))
        if change == "drop":
            del text[place : place + data.draw(st.integers(1, 5))]
        elif change == "put":
            text[place:place] = data.draw(
                st.sampled_from([b'"', b"{", b"]", b",", b":", b"0", b"\\", b"\xc3", b"null"])
            )
        else:
            del text[place:]
        if not text:
            break
    outcomes = [outcome(bytes(text), cut=cut) for cut in (10**9, 3)]
    assert outcomes[0] == outcomes[1]
    if outcomes[0][0] == "read":
        json.loads(text)


def outcome(text: bytes, *, cut: int) -> tuple[str, object]:
    try:
        return "read", events_of(text, cut=cut)
    except InterchangeError as error:
        return "refused", str(error)


@steady
@given(st.binary(max_size=60))
def test_random_bytes_are_refused(text) -> None:
    assert outcome(text, cut=5)[0] == "refused"


@pytest.mark.parametrize("text", [b"", b" \n"])
def test_an_empty_file_is_told_as_one(text: bytes) -> None:
    with pytest.raises(InterchangeError, match="the file is empty, so export it anew"):
        list(parse([text]))
