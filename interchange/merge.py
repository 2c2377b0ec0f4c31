"""Several documents of one chain in one: per validator and field the maximum of all of them.

The union of two complete histories would be wrong: it has gaps in which nobody knows what was signed, and its minimum,
up to which EIP-3076 refuses, is the lower of the two (EIP-3076, "Advice for Complete Databases"). The maxima never
lower a field of any of the documents, and refuse in every gap.
"""

from collections.abc import Iterable

from interchange.element import Fault
from interchange.errors import NetworkMismatchError
from interchange.minify import Maxima, maxima_of, minified
from interchange.model import Interchange, Metadata
from interchange.parse import Event


def merge(documents: Iterable[Iterable[Event]]) -> Interchange:
    """The merged document, minified, keys ascending. Memory grows with the validators, not the records.

    Raises:
        NetworkMismatchError: the documents are not all of one chain.
        InterchangeError: a document cannot be read.
        ValueError: there is no document.
    """
    metadata: Metadata | None = None
    gathered: dict[bytes, Maxima] = {}
    for events in documents:
        for event in events:
            match event:
                case Metadata():
                    metadata = same_network(metadata, event)
                case Fault():
                    raise event.error
                case _:
                    before = gathered.get(event.pubkey, Maxima())
                    gathered[event.pubkey] = before.raised_to(maxima_of(event))
    if metadata is None:
        raise ValueError("nothing to merge: name at least one document")
    return Interchange(metadata, tuple(minified(pubkey, gathered[pubkey]) for pubkey in sorted(gathered)))


def same_network(known: Metadata | None, other: Metadata) -> Metadata:
    """The metadata of both. Raises NetworkMismatchError."""
    if known is None or known.genesis_validators_root == other.genesis_validators_root:
        return other
    raise NetworkMismatchError(
        path="$.metadata.genesis_validators_root",
        found=f"0x{other.genesis_validators_root.hex()}",
        expected=f"0x{known.genesis_validators_root.hex()}, the chain of the document before",
    )
