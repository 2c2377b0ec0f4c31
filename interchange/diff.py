"""What one document says that another does not."""

from collections.abc import Iterable
from dataclasses import dataclass

from interchange.merge import same_network
from interchange.model import SignedAttestation, SignedBlock, ValidatorHistory
from interchange.parse import Reading, find_metadata, histories
from interchange.summary import Summary, fingerprint_each, summarise_each

Record = SignedBlock | SignedAttestation


@dataclass(frozen=True, slots=True)
class Difference:
    """One validator whose histories are not the same."""

    pubkey: bytes
    before: Summary | None
    """In the first document; None where it does not know the validator."""

    after: Summary | None
    """In the second document."""

    only_before: int
    """Records that the first document alone has."""

    only_after: int
    """Records that the second document alone has."""

    @property
    def lowers(self) -> bool:
        """True where a highest slot, source or target falls: who takes `after` for `before` may sign again."""
        if self.before is None:
            return False
        after = self.after or Summary()
        pairs = (
            (self.before.slots, after.slots),
            (self.before.source_epochs, after.source_epochs),
            (self.before.target_epochs, after.target_epochs),
        )
        return any(old is not None and (new is None or new.highest < old.highest) for old, new in pairs)


def diff(before: Reading, after: Reading) -> tuple[Difference, ...]:
    """The validators whose records differ, keys ascending; repeated records and order make no difference.

    Reads each document two or three times. Memory grows with the validators, and with the records of those that differ.

    Raises:
        NetworkMismatchError: the documents are of different chains.
        InterchangeError: a document cannot be read.
    """
    same_network(find_metadata(before()), find_metadata(after()))
    sums_before, sums_after = fingerprint_each(histories(before())), fingerprint_each(histories(after()))
    suspects = {pubkey for pubkey in sums_before | sums_after if sums_before.get(pubkey) != sums_after.get(pubkey)}
    if not suspects:
        return ()
    old, new = _records(before, suspects), _records(after, suspects)
    differing = [pubkey for pubkey in sorted(suspects) if old.get(pubkey) != new.get(pubkey)]
    return tuple(_difference(pubkey, old.get(pubkey), new.get(pubkey)) for pubkey in differing)


def _difference(pubkey: bytes, old: set[Record] | None, new: set[Record] | None) -> Difference:
    return Difference(
        pubkey,
        None if old is None else _summary(pubkey, old),
        None if new is None else _summary(pubkey, new),
        len((old or set()) - (new or set())),
        len((new or set()) - (old or set())),
    )


def _records(reading: Reading, pubkeys: set[bytes]) -> dict[bytes, set[Record]]:
    kept: dict[bytes, set[Record]] = {}
    for history in histories(reading()):
        if history.pubkey in pubkeys:
            kept.setdefault(history.pubkey, set()).update(history.blocks, history.attestations)
    return kept


def _summary(pubkey: bytes, records: Iterable[Record]) -> Summary:
    blocks = tuple(record for record in records if isinstance(record, SignedBlock))
    attestations = tuple(record for record in records if isinstance(record, SignedAttestation))
    return summarise_each([ValidatorHistory(pubkey, blocks, attestations)])[pubkey]
