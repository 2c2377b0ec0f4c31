"""Elements that are made one by one come to the document that is made at once."""

import pytest

from interchange import (
    Metadata,
    SignedAttestation,
    SignedBlock,
    ValidatorHistory,
    assembled,
    serialise,
    serialise_elements,
)

METADATA = Metadata(b"\x04" * 32)


def history(number: int, *, blocks: int, votes: int) -> ValidatorHistory:
    return ValidatorHistory(
        bytes([number]) * 48,
        tuple(SignedBlock(slot, b"\x01" * 32) for slot in range(blocks)),
        tuple(SignedAttestation(epoch, epoch + 1) for epoch in range(votes)),
    )


@pytest.mark.parametrize("shapes", [[], [(1, 1)], [(0, 0), (2, 3)], [(1, 0), (0, 2), (3, 3)]])
def test_the_elements_of_each_validator_come_to_the_whole_document(shapes: list[tuple[int, int]]) -> None:
    histories = [history(n, blocks=blocks, votes=votes) for n, (blocks, votes) in enumerate(shapes)]
    pieces = [b"", *(serialise_elements([one]) for one in histories), b""]
    assert b"".join(assembled(METADATA, pieces)) == b"".join(serialise(METADATA, histories))


def test_a_history_in_parts_is_one_element_where_it_can_be() -> None:
    parts = [history(1, blocks=2, votes=0), history(1, blocks=0, votes=3)]
    assert b"".join(assembled(METADATA, [serialise_elements(parts)])) == b"".join(serialise(METADATA, parts))


def test_no_history_has_no_elements() -> None:
    assert serialise_elements([]) == b""
