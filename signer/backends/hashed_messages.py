"""Messages hashed to the curve, kept for the next key that signs the same one.

Since Electra all validators of a slot that vote alike sign the same signing root (EIP-7549), and so do sync committee
messages and selection proofs. The hash is half of a signature's work.
"""

import threading
from collections import OrderedDict

from signer.crypto.bls import Bls, HashedMessage

DEFAULT_ENTRIES = 2048
"""A slot has a handful of roots; 2,048 points are 1.5 MB."""


class _Entry:
    """One message's point. Whoever made the entry holds `ready` until the point is there."""

    __slots__ = ("hashed", "ready")

    def __init__(self) -> None:
        self.hashed: HashedMessage | None = None
        self.ready = threading.Lock()
        self.ready.acquire()


class HashedMessages:
    """Remembers the newest messages. Safe from any thread; a message is hashed once, however many ask at once."""

    def __init__(self, bls: Bls, *, entries: int = DEFAULT_ENTRIES) -> None:
        self._bls = bls
        self._limit = entries
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def hashed(self, message: bytes) -> HashedMessage:
        """The point of this message."""
        with self._lock:
            entry = self._entries.get(message)
            if entry is None:
                mine = self._entries[message] = _Entry()
                if len(self._entries) > self._limit:
                    self._entries.popitem(last=False)
            else:
                self._entries.move_to_end(message)
        if entry is None:
            return self._fill(mine, message)
        return entry.hashed or self._wait(entry, message)

    def _fill(self, entry: _Entry, message: bytes) -> HashedMessage:
        try:
            entry.hashed = self._bls.hash_to_g2(message)
        finally:
            entry.ready.release()
        return entry.hashed

    def _wait(self, entry: _Entry, message: bytes) -> HashedMessage:
        with entry.ready:  # held by the thread that hashes
            pass
        return entry.hashed or self._bls.hash_to_g2(message)  # the other thread failed: this one says why
