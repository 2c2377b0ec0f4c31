"""Numbers in front of what they count."""

import pytest

from signer.counted import are, counted


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 keys are"), (1, "1 key is"), (2, "2 keys are"), (1001, "1001 keys are")]
)
def test_one_is_one_and_all_others_are_many(number: int, expected: str) -> None:
    assert f"{counted(number, 'key')} {are(number)}" == expected


def test_a_word_that_an_s_does_not_make_many_of_is_given() -> None:
    assert [counted(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]
