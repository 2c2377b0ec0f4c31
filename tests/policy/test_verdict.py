"""What a policy answers, read strictly: anything else is a denial of ours."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.policy.verdict import (
    ALLOW,
    BAD_VERDICT,
    FOREVER,
    MAX_AMOUNT,
    MAX_VERDICT_BYTES,
    VERDICT_TOO_LARGE,
    Allow,
    Deny,
    RequireApproval,
    Reservation,
    decode_verdict,
    encode_verdict,
)

DAY = 86400


def test_an_allow_without_more_is_the_one_allow():
    assert decode_verdict(b'{"verdict":"allow"}') is ALLOW
    assert decode_verdict(b' { "verdict" : "allow", "reserve": [] }\n') is ALLOW


def test_reservations_hold_amounts_that_no_json_number_holds():
    spend = {"counter": "eth:spend", "window_seconds": DAY, "amount": str(MAX_AMOUNT - 1), "limit": str(MAX_AMOUNT)}
    uses = {"counter": "uses", "window_seconds": 0, "amount": "1", "limit": "10"}
    text = json.dumps({"verdict": "allow", "reserve": [spend, uses]})
    assert decode_verdict(text.encode()) == Allow(
        (Reservation("eth:spend", DAY, MAX_AMOUNT - 1, MAX_AMOUNT), Reservation("uses", FOREVER, 1, 10))
    )


def test_a_denial_keeps_its_code_its_sentence_and_its_evidence():
    text = b'{"verdict":"deny","code":"TOO_MUCH","message":"too much","evidence":{"limit":"5","slot":7,"to":null}}'
    assert decode_verdict(text) == Deny("TOO_MUCH", "too much", {"limit": "5", "slot": 7, "to": None})


def test_a_demand_for_approval_names_its_groups_once_and_in_order():
    text = (
        b'{"verdict":"require_approval","quorum":2,"groups":["treasury","board","board"],"lifetime_seconds":3600,'
        b'"delay_seconds":60,"reserve":[{"counter":"c","window_seconds":1,"amount":"1","limit":"2"}]}'
    )
    assert decode_verdict(text) == RequireApproval(2, ("board", "treasury"), 3600, 60, (Reservation("c", 1, 1, 2),))


NO_VERDICTS = [
    b"",
    b"null",
    b"true",
    b"[]",
    b'"allow"',
    b"{}",
    b'{"verdict":"ALLOW"}',
    b'{"verdict":"maybe"}',
    b'{"verdict":["allow"]}',
    b'{"verdict":null}',
    b'{"Verdict":"allow"}',
    b'{"verdict":"allow"}{"verdict":"allow"}',
    b'{"verdict":"allow"},',
    b'{"verdict":"allow"}\x00',
    b'\xef\xbb\xbf{"verdict":"allow"}',
    b'{"verdict":"allow"',
    b"{'verdict':'allow'}",
    b'{"verdict":"allow","verdict":"deny"}',
    b'{"verdict":"deny","verdict":"allow"}',
    b'{"verdict":"deny","code":"A","message":"m","verdict":"allow"}',
    b'{"verdict":"allow","reserve":null}',
    b'{"verdict":"allow","reserve":{}}',
    b'{"verdict":"allow","extra":1}',
    b'{"verdict":"allow","reserve":[{}]}',
    b'{"verdict":"allow","reserve":[{"counter":"c","window_seconds":1,"amount":1,"limit":"2"}]}',
    b'{"verdict":"allow","reserve":[{"counter":"c","window_seconds":1,"amount":"01","limit":"2"}]}',
    b'{"verdict":"allow","reserve":[{"counter":"c","window_seconds":1,"amount":"-1","limit":"2"}]}',
    b'{"verdict":"allow","reserve":[{"counter":"c","window_seconds":1,"amount":"1\\n","limit":"2"}]}',
    b'{"verdict":"allow","reserve":[{"counter":"c","window_seconds":1,"amount":"1e3","limit":"2"}]}',
    b'{"verdict":"allow","reserve":[{"counter":"c","window_seconds":1,"amount":"\xd9\xa1","limit":"2"}]}',
    b'{"verdict":"allow","reserve":[{"counter":"c","window_seconds":1.5,"amount":"1","limit":"2"}]}',
    b'{"verdict":"allow","reserve":[{"counter":"c","window_seconds":-1,"amount":"1","limit":"2"}]}',
    b'{"verdict":"allow","reserve":[{"counter":"c d","window_seconds":1,"amount":"1","limit":"2"}]}',
    b'{"verdict":"allow","reserve":[{"counter":"c","window_seconds":1,"amount":"1","limit":"2","limit":"9"}]}',
    b'{"verdict":"allow","reserve":[{"counter":"c","window_seconds":1,"amount":"1","limit":"%d"}]}' % (MAX_AMOUNT + 1),
    b'{"verdict":"deny"}',
    b'{"verdict":"deny","code":"A"}',
    b'{"verdict":"deny","code":"lower","message":"m"}',
    b'{"verdict":"deny","code":"","message":"m"}',
    b'{"verdict":"deny","code":"A","message":""}',
    b'{"verdict":"deny","code":"POLICY_TRAPPED","message":"not mine to say"}',
    b'{"verdict":"deny","code":"A","message":"\xff"}',
    b'{"verdict":"deny","code":"A","message":"\\ud800"}',
    b'{"verdict":"deny","code":"A","message":"m","evidence":{"a":{"b":1}}}',
    b'{"verdict":"deny","code":"A","message":"m","evidence":{"a":1.5}}',
    b'{"verdict":"deny","code":"A","message":"m","evidence":{"a":9007199254740993}}',
    b'{"verdict":"deny","code":"A","message":"m","evidence":{"a":1,"a":2}}',
    b'{"verdict":"deny","code":"A","message":"m","evidence":{"a b":1}}',
    b'{"verdict":"require_approval","quorum":0,"groups":["g"],"lifetime_seconds":60}',
    b'{"verdict":"require_approval","quorum":1,"groups":[],"lifetime_seconds":60}',
    b'{"verdict":"require_approval","quorum":true,"groups":["g"],"lifetime_seconds":60}',
    b'{"verdict":"require_approval","quorum":1,"groups":"g","lifetime_seconds":60}',
    b'{"verdict":"require_approval","quorum":1,"groups":["g"],"lifetime_seconds":0}',
    b'{"verdict":"require_approval","quorum":1,"groups":["g"],"lifetime_seconds":60,"delay_seconds":60}',
    b'{"verdict":"allow","reserve":' + b"[" * 5000 + b"]" * 5000 + b"}",
    b'{"verdict":"deny","code":"A","message":"m","evidence":{"a":' + b"9" * 5000 + b"}}",
]


@pytest.mark.parametrize("output", NO_VERDICTS)
def test_what_is_no_verdict_is_denied(output: bytes):
    verdict = decode_verdict(output)
    assert isinstance(verdict, Deny)
    assert verdict.code == BAD_VERDICT
    assert verdict.message.isprintable()


def test_too_many_reservations_are_no_verdict():
    one = {"counter": "c", "window_seconds": 1, "amount": "1", "limit": "2"}
    assert isinstance(decode_verdict(json.dumps({"verdict": "allow", "reserve": [one] * 16}).encode()), Allow)
    assert isinstance(decode_verdict(json.dumps({"verdict": "allow", "reserve": [one] * 17}).encode()), Deny)


def test_an_answer_is_read_up_to_its_largest_size_and_not_one_byte_more():
    fits = b'{"verdict":"allow"}'.ljust(MAX_VERDICT_BYTES)
    assert decode_verdict(fits) is ALLOW
    verdict = decode_verdict(fits + b" ")
    assert isinstance(verdict, Deny)
    assert verdict.code == VERDICT_TOO_LARGE
    assert verdict.evidence == {"output_bytes": MAX_VERDICT_BYTES + 1, "limit_bytes": MAX_VERDICT_BYTES}


def test_what_a_policy_quotes_cannot_forge_a_line_or_turn_the_text_around():
    text = json.dumps(
        {"verdict": "deny", "code": "A", "message": "to \u202eevil\nsigned=true", "evidence": {"graffiti": "\x1b[2J"}}
    ).encode()
    verdict = decode_verdict(text)
    assert isinstance(verdict, Deny)
    assert verdict.code == "A"
    assert verdict.message == "to \\u202eevil\\nsigned=true"
    assert verdict.evidence == {"graffiti": "\\x1b[2J"}


amounts = st.integers(min_value=0, max_value=MAX_AMOUNT)
names = st.from_regex(r"[A-Za-z0-9_.:/-]{1,128}", fullmatch=True)
reservations = st.lists(
    st.builds(Reservation, names, st.integers(min_value=0, max_value=366 * DAY), amounts, amounts), max_size=16
).map(tuple)
evidences = st.dictionaries(
    st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,63}", fullmatch=True),
    st.none() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=512).filter(str.isprintable),
    max_size=8,
)
codes = st.from_regex(r"[A-Z][A-Z0-9_]{0,63}", fullmatch=True).filter(lambda code: not code.startswith("POLICY_"))
messages = st.text(min_size=1, max_size=200).filter(str.isprintable)
groups = st.sets(st.from_regex(r"[A-Za-z0-9_.:@-]{1,64}", fullmatch=True), min_size=1, max_size=16).map(
    lambda names: tuple(sorted(names))
)
verdicts = (
    st.builds(Allow, reservations)
    | st.builds(Deny, codes, messages, evidences)
    | st.builds(
        RequireApproval,
        st.integers(1, 64),
        groups,
        st.integers(DAY + 1, 30 * DAY),
        st.integers(0, DAY),
        reservations,
    )
)


@given(verdicts)
def test_every_verdict_survives_its_json(verdict):
    text = encode_verdict(verdict)
    assert len(text) > MAX_VERDICT_BYTES or decode_verdict(text) == verdict


@given(verdicts, st.data())
def test_a_damaged_verdict_is_read_as_some_verdict_and_never_raises(verdict, data):
    text = bytearray(encode_verdict(verdict))
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] = data.draw(st.integers(0, 255))
    assert isinstance(decode_verdict(bytes(text)), Allow | Deny | RequireApproval)


@given(st.binary(max_size=400))
def test_bytes_are_denied_unless_another_reader_reads_a_verdict_too(output: bytes):
    verdict = decode_verdict(output)
    assert isinstance(verdict, Deny) or json.loads(output)["verdict"] in ("allow", "require_approval")
