"""Names for requests: random, so that they are unique across processes and restarts.

Asking the kernel for each would give the interpreter's lock away once a request, and winning it back from busy signing
threads took a seventh of the event loop's time (measured): one call serves five hundred.
"""

import os

REQUEST_ID_BYTES = 8
"""Length of an id; twice as many characters in a log."""

_POOL_BYTES = 512 * REQUEST_ID_BYTES


class RequestIds:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._pool = b""
        self._at = 0

    def next(self) -> bytes:
        """An id that no other request has."""
        at = self._at
        if at == len(self._pool):
            self._pool = os.urandom(_POOL_BYTES)
            at = 0
        self._at = at + REQUEST_ID_BYTES
        return self._pool[at : at + REQUEST_ID_BYTES]
