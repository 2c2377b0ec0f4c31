"""Documents for tests: hypothesis' strategies, spellings of one content, and the dullest correct judges."""

import itertools
import json
from collections.abc import Iterable, Iterator

from hypothesis import settings
from hypothesis import strategies as st

from interchange import Interchange, Metadata, SignedAttestation, SignedBlock, ValidatorHistory, parse

ROOT = bytes(range(32))
PUBKEY = bytes(range(48))
UINT64_MAX = 2**64 - 1

steady = settings(derandomize=True, deadline=None, max_examples=60)
"""The same examples on every run, and no clock in the verdict."""

long = settings(deadline=None, max_examples=5_000)
"""New examples on every run: for the long forms, which are marked `torture`."""

numbers = st.one_of(st.integers(0, 12), st.integers(0, UINT64_MAX))
small_numbers = st.integers(0, 8)
roots = st.one_of(st.none(), st.sampled_from([b"\x01" * 32, b"\x02" * 32]), st.binary(min_size=1, max_size=32))
few_roots = st.sampled_from([None, b"\x01" * 32, b"\x02" * 32])
pubkeys = st.sampled_from([bytes([n]) * 48 for n in (7, 3, 200)])


def histories_of(number: st.SearchStrategy[int], root: st.SearchStrategy[bytes | None]):
    return st.builds(
        ValidatorHistory,
        pubkeys,
        st.lists(st.builds(SignedBlock, number, root), max_size=8).map(tuple),
        st.lists(st.builds(SignedAttestation, number, number, root), max_size=8).map(tuple),
    )


documents = st.builds(
    Interchange,
    st.builds(Metadata, st.binary(min_size=32, max_size=32)),
    st.lists(histories_of(numbers, roots), max_size=5).map(tuple),
)

crowded_documents = st.builds(
    Interchange, st.just(Metadata(ROOT)), st.lists(histories_of(small_numbers, few_roots), max_size=4).map(tuple)
)
"""Few numbers and few roots, so that most documents hold conflicts."""


def reading(document: Interchange):
    """The document as something that can be read again and again."""
    return lambda: iter((document.metadata, *document.validators))


def text_of(document: Interchange, **layout: object) -> bytes:
    """The document by the standard library's writer: another program's spelling of it."""
    return json.dumps(plain(document), **layout).encode()


def plain(document: Interchange) -> dict:
    return {
        "metadata": {
            "interchange_format_version": "5",
            "genesis_validators_root": "0x" + document.metadata.genesis_validators_root.hex(),
        },
        "data": [
            {
                "pubkey": "0x" + history.pubkey.hex(),
                "signed_blocks": [{"slot": str(block.slot), **_root(block.signing_root)} for block in history.blocks],
                "signed_attestations": [
                    {
                        "source_epoch": str(vote.source_epoch),
                        "target_epoch": str(vote.target_epoch),
                        **_root(vote.signing_root),
                    }
                    for vote in history.attestations
                ],
            }
            for history in document.validators
        ],
    }


def small(**changes: object) -> dict:
    """A valid document of one block and one vote, as plain values, with some members of the validator changed."""
    validator = {
        "pubkey": "0x" + PUBKEY.hex(),
        "signed_blocks": [{"slot": "5"}],
        "signed_attestations": [{"source_epoch": "1", "target_epoch": "2"}],
    }
    metadata = {"interchange_format_version": "5", "genesis_validators_root": "0x" + ROOT.hex()}
    return {"metadata": metadata, "data": [{**validator, **changes}]}


def events_of(text: bytes, *, cut: int = 10**9, partial: bool = False) -> list:
    """Everything the parser says of a text that comes in pieces of `cut` bytes."""
    pieces = [text[start : start + cut] for start in range(0, len(text), cut)]
    return list(parse(pieces, partial=partial))


def conflicting_blocks(blocks: Iterable[SignedBlock]) -> bool:
    """All pairs: two blocks of one slot that cannot be told equal."""
    return any(a.slot == b.slot and not _equal(a, b) for a, b in itertools.combinations(blocks, 2))


def conflicting_votes(votes: Iterable[SignedAttestation]) -> bool:
    """All pairs: consensus-specs' is_slashable_attestation_data, either way round; and votes that run backward."""
    votes = list(votes)
    if any(vote.source_epoch > vote.target_epoch for vote in votes):
        return True
    return any(_slashable(a, b) for a, b in itertools.permutations(votes, 2))


def everything(document: Interchange) -> Iterator[tuple[bytes, list[SignedBlock], list[SignedAttestation]]]:
    """Each validator once, with all its records."""
    for pubkey in {history.pubkey for history in document.validators}:
        own = [history for history in document.validators if history.pubkey == pubkey]
        yield (
            pubkey,
            [block for history in own for block in history.blocks],
            [vote for history in own for vote in history.attestations],
        )


def _slashable(a: SignedAttestation, b: SignedAttestation) -> bool:
    double = a.target_epoch == b.target_epoch and not _equal(a, b)
    return double or (a.source_epoch < b.source_epoch and b.target_epoch < a.target_epoch)


def _equal(a: SignedBlock | SignedAttestation, b: SignedBlock | SignedAttestation) -> bool:
    return a == b and a.signing_root is not None


def _root(root: bytes | None) -> dict:
    return {} if root is None else {"signing_root": "0x" + root.hex()}
