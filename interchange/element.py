"""One element of `data`: a validator's history, read in parts."""

from collections.abc import Iterator
from dataclasses import dataclass

from interchange.errors import SchemaError
from interchange.fields import missing_member, read_pubkey, shortened
from interchange.model import SignedAttestation, SignedBlock, ValidatorHistory
from interchange.records import ATTESTATIONS, BLOCKS, RUN_RECORDS, read_runs
from interchange.structure import read_members, wrong_value
from interchange.text import Cursor

MAX_UNNAMED_RECORDS = 262_144
"""Records of one validator that may come before its `pubkey` (about 60 MB): three years of one key's votes."""

_MEMBERS = frozenset({"pubkey", "signed_blocks", "signed_attestations"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One element of `data` that cannot be used; comes only from a partial reading.

    Parts of the same validator may have come before: they are to be thrown away.
    """

    element: int
    """Its index in `data`."""

    pubkey: bytes | None
    """Whose it is, where that could be read."""

    error: SchemaError


class Element:
    """Reads one element. Lives as long as that takes."""

    __slots__ = ("_attestations", "_blocks", "_fault", "_index", "_partial", "_path", "_pubkey", "_yielded")

    def __init__(self, index: int, *, partial: bool) -> None:
        self._index = index
        self._path = f"$.data[{index}]"
        self._partial = partial
        self._pubkey: bytes | None = None
        self._blocks: list[SignedBlock] = []
        self._attestations: list[SignedAttestation] = []
        self._yielded = False
        self._fault: SchemaError | None = None

    def read(self, cursor: Cursor) -> Iterator[ValidatorHistory | Fault]:
        """The history at the cursor, at least one part of it, or a Fault as the last thing.

        Raises:
            MalformedError: the text is not JSON.
            SchemaError: it is no history, and the reading is not a partial one.
        """
        if cursor.peek() != "{":
            self._complain(wrong_value(cursor, self._path, "an object"))
        else:
            yield from self._read_members(cursor)
        if self._fault:
            yield Fault(self._index, self._pubkey, self._fault)
        elif self._blocks or self._attestations or not self._yielded:
            yield from self._part(least=0)

    def _read_members(self, cursor: Cursor) -> Iterator[ValidatorHistory]:
        seen = set()
        for name in read_members(cursor, self._path, self._complain):
            seen.add(name)
            path = f"{self._path}.{shortened(name)}"
            match name:
                case "pubkey":
                    self._read_pubkey(cursor, path)
                case "signed_blocks":
                    for blocks in read_runs(cursor, path, BLOCKS, self._complain):
                        self._blocks += blocks
                        yield from self._part(least=RUN_RECORDS)
                case "signed_attestations":
                    for attestations in read_runs(cursor, path, ATTESTATIONS, self._complain):
                        self._attestations += attestations
                        yield from self._part(least=RUN_RECORDS)
                case _:
                    cursor.skip(path)
        # Dirk leaves an empty array out. Beside a member that we do not know it may be one under a wrong name.
        needed = _MEMBERS & {"pubkey"} if seen <= _MEMBERS else _MEMBERS
        for name in sorted(needed):
            if name not in seen:
                self._complain(missing_member(name, self._path).at(cursor.place(cursor.position)))

    def _read_pubkey(self, cursor: Cursor, path: str) -> None:
        if cursor.peek() != '"':
            self._complain(wrong_value(cursor, path, "a string"))
            return
        start = cursor.start()
        value = cursor.decode(path)
        try:
            self._pubkey = read_pubkey(value, path)
        except SchemaError as error:
            self._complain(error.at(cursor.place(start)))

    def _part(self, *, least: int) -> Iterator[ValidatorHistory]:
        """What has been gathered, once it is enough and its owner is known."""
        gathered = len(self._blocks) + len(self._attestations)
        if self._fault:
            self._blocks, self._attestations = [], []
        elif self._pubkey is not None and gathered >= least:
            blocks, self._blocks = self._blocks, []
            attestations, self._attestations = self._attestations, []
            self._yielded = True
            yield ValidatorHistory(self._pubkey, tuple(blocks), tuple(attestations))
        elif gathered > MAX_UNNAMED_RECORDS:
            found = f"more than {MAX_UNNAMED_RECORDS} records before it"
            self._complain(SchemaError(path=f"{self._path}.pubkey", found=found, expected="pubkey before the records"))

    def _complain(self, error: SchemaError) -> None:
        if not self._partial:
            raise error
        self._fault = self._fault or error
