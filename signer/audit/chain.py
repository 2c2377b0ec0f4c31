"""The chain of the audit log, as pure functions: each head binds every entry before it.

A leaf hash is RFC 6962's (section 2.1): SHA-256 of a zero byte and the entry, so the same leaves serve the Merkle tree.
The chain's head after an entry is SHA-256 of a label, the head before, and the leaf hash.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256

from signer.errors import AuditError

CHAIN_LABEL = b"holdfast audit chain v1\0"
"""Separates a head from every other use of SHA-256."""

EMPTY_HEAD = sha256(CHAIN_LABEL).digest()
"""The head of a log without entries."""


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962's leaf hash of an entry, 32 bytes."""
    return sha256(b"\0" + entry).digest()


def next_head(head: bytes, entry: bytes) -> bytes:
    """The head after one more entry, 32 bytes."""
    return sha256(CHAIN_LABEL + head + leaf_hash(entry)).digest()


def head_after(head: bytes, entries: Iterable[bytes]) -> bytes:
    """The head after these entries."""
    for entry in entries:
        head = next_head(head, entry)
    return head


def pack(entries: Iterable[bytes]) -> bytes:
    """Entries back to back, each behind its length in two bytes: how a batch is stored."""
    return b"".join([part for entry in entries for part in (len(entry).to_bytes(2), entry)])


def unpack(blob: bytes) -> Iterator[bytes]:
    """The entries of a stored batch.

    Raises:
        AuditError: the blob ends inside an entry.
    """
    at = 0
    while at < len(blob):
        start = at + 2
        end = start + int.from_bytes(blob[at:start])
        if end > len(blob):
            raise AuditError("a stored batch of audit entries is cut short")
        yield blob[start:end]
        at = end
