"""Where a policy has a say, in words and back."""

import pytest

from signer.errors import MalformedRequestError
from signer.policy.bindings import ToCaller, ToCallerAndKey, ToKey, ToNamespace, ToTag
from signer.policy.target_words import parse_target, target_words

KEY = "0x" + "93" * 48

WORDS = {
    f"key:{KEY}": ToKey(KEY),
    "tag:client:two": ToTag("client:two"),
    "namespace:default": ToNamespace("default"),
    "caller:vouch": ToCaller("vouch"),
    f"caller+key:vouch:{KEY}": ToCallerAndKey("vouch", KEY),
}


@pytest.mark.parametrize(("words", "target"), WORDS.items(), ids=WORDS)
def test_a_place_is_read_from_words_and_told_in_the_same_words(words, target) -> None:
    assert parse_target(words) == target
    assert target_words(target) == words


def test_a_key_is_told_with_0x_and_small_letters_however_it_is_written() -> None:
    for written in ("AB" * 48, "0x" + "aB" * 48, "0X" + "ab" * 48):
        assert parse_target(f"key:{written}") == ToKey("0x" + "ab" * 48)


@pytest.mark.parametrize(
    "words",
    [
        "",
        "lido",
        "tag:",
        "tag:Lido",
        "tag",
        "key:0x12",
        "key:" + "zz" * 48,
        "namespace:",
        "namespace:a b",
        "caller:",
        "caller+key:vouch",
        f"caller+key::{KEY}",
        f"Key:{KEY}",
        "caller:" + "a" * 65,
    ],
)
def test_what_names_no_place_is_refused(words: str) -> None:
    with pytest.raises(MalformedRequestError):
        parse_target(words)
