"""Write an EIP-3076 document in pieces of bytes.

Rule 1: one content, one spelling: integers are decimal strings, hex is lower case, `signing_root` is left out where
there is none, each record stands on a line of its own.
Rule 2: `serialise` keeps the order it is given, so it needs no memory; `arranged` sorts what fits in memory.
"""

from collections.abc import Iterable, Iterator

from interchange.model import Interchange, Metadata, SignedAttestation, SignedBlock, ValidatorHistory

_PIECE_BYTES = 65_536
"""About how much is yielded at once."""


def serialise(metadata: Metadata, validators: Iterable[ValidatorHistory]) -> Iterator[bytes]:
    """The document, in the order given; parts of one history that follow each other become one element.

    Where blocks come in a later part than attestations a second element of the same key begins, as the format allows.
    """
    lines: list[str] = []
    size = 0
    for line in _lines(metadata, validators):
        lines.append(line)
        size += len(line)
        if size >= _PIECE_BYTES:
            yield "".join(lines).encode("ascii")
            lines, size = [], 0
    yield "".join(lines).encode("ascii")


def arranged(validators: Iterable[ValidatorHistory]) -> tuple[ValidatorHistory, ...]:
    """The same content in its one order: one history for each key, keys ascending, records sorted, none twice."""
    blocks: dict[bytes, set[SignedBlock]] = {}
    attestations: dict[bytes, set[SignedAttestation]] = {}
    for history in validators:
        blocks.setdefault(history.pubkey, set()).update(history.blocks)
        attestations.setdefault(history.pubkey, set()).update(history.attestations)
    return tuple(
        ValidatorHistory(
            pubkey,
            tuple(sorted(blocks[pubkey], key=block_order)),
            tuple(sorted(attestations[pubkey], key=attestation_order)),
        )
        for pubkey in sorted(blocks)
    )


def serialise_arranged(document: Interchange) -> bytes:
    """The one spelling of a whole document."""
    return b"".join(serialise(document.metadata, arranged(document.validators)))


def block_order(block: SignedBlock) -> tuple[int, bytes]:
    """Sorts blocks by slot; one without root comes before those with."""
    return block.slot, block.signing_root or b""


def attestation_order(attestation: SignedAttestation) -> tuple[int, int, bytes]:
    """Sorts attestations by target, then by source; one without root comes before those with."""
    return attestation.target_epoch, attestation.source_epoch, attestation.signing_root or b""


def serialise_elements(validators: Iterable[ValidatorHistory]) -> bytes:
    """The elements alone, for `assembled`: of histories that are not all there at once. Empty where there are none."""
    element = _OpenElement()
    lines = [line for history in validators for line in element.lines(history)]
    return "".join([*lines, *element.closing_lines()]).encode("ascii")


def assembled(metadata: Metadata, elements: Iterable[bytes]) -> Iterator[bytes]:
    """The document of elements that `serialise_elements` has made, each of other keys than the others."""
    yield _opening(metadata).encode("ascii")
    is_first = True
    for piece in elements:
        if piece:
            yield piece if is_first else b"," + piece
            is_first = False
    yield _closing(is_empty=is_first).encode("ascii")


def _opening(metadata: Metadata) -> str:
    return (
        '{\n  "metadata": {\n'
        f'    "interchange_format_version": "{metadata.interchange_format_version}",\n'
        f'    "genesis_validators_root": "0x{metadata.genesis_validators_root.hex()}"\n'
        '  },\n  "data": ['
    )


def _closing(*, is_empty: bool) -> str:
    return "]\n}\n" if is_empty else "\n  ]\n}\n"


def _lines(metadata: Metadata, validators: Iterable[ValidatorHistory]) -> Iterator[str]:
    yield _opening(metadata)
    element = _OpenElement()
    for history in validators:
        yield from element.lines(history)
    yield from element.closing_lines()
    yield _closing(is_empty=element.pubkey is None)


class _OpenElement:
    """The element that is being written. Lives as long as one document."""

    __slots__ = ("_attestations", "_blocks", "pubkey")

    def __init__(self) -> None:
        self.pubkey: bytes | None = None
        self._blocks = 0
        self._attestations = 0

    def lines(self, history: ValidatorHistory) -> Iterator[str]:
        """This part, in the open element where it can follow there."""
        if history.pubkey != self.pubkey or (history.blocks and self._attestations):
            yield from self.closing_lines()
            yield "\n    {\n" if self.pubkey is None else ",\n    {\n"
            yield f'      "pubkey": "0x{history.pubkey.hex()}",\n      "signed_blocks": ['
            self.pubkey, self._blocks, self._attestations = history.pubkey, 0, 0
        for block in history.blocks:
            yield ",\n        " if self._blocks else "\n        "
            yield f'{{"slot": "{block.slot}"{_root_member(block.signing_root)}}}'
            self._blocks += 1
        for vote in history.attestations:
            yield ",\n        " if self._attestations else self._attestations_opening()
            epochs = f'"source_epoch": "{vote.source_epoch}", "target_epoch": "{vote.target_epoch}"'
            yield f"{{{epochs}{_root_member(vote.signing_root)}}}"
            self._attestations += 1

    def closing_lines(self) -> Iterator[str]:
        """The end of the open element, if there is one."""
        if self.pubkey is None:
            return
        if not self._attestations:
            yield self._attestations_opening().rstrip()
        yield "\n      ]\n    }" if self._attestations else "]\n    }"

    def _attestations_opening(self) -> str:
        closing = "\n      ]" if self._blocks else "]"
        return f'{closing},\n      "signed_attestations": [\n        '


def _root_member(root: bytes | None) -> str:
    return "" if root is None else f', "signing_root": "0x{root.hex()}"'
