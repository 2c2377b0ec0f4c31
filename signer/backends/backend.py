"""What a place where private keys work does for us."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from signer.errors import SigningFailedError
from signer.units import Signature

Handle = TypeVar("Handle", contravariant=True)  # noqa: PLC0105  # a reader wants the noun, not its variance
"""How this backend knows a private key: the key itself in software, a reference into a device elsewhere."""


class Backend(Protocol[Handle]):
    """Signs off the event loop. Called from the loop's thread, as often at once as callers like; never retries.

    Nothing here checks anything: the gate has decided and recorded before it comes here.
    """

    def sign(
        self, handle: Handle, message: bytes, *, on_start: Callable[[], None] | None = None
    ) -> Awaitable[Signature]:
        """The signature over a message (for the consensus layer: its 32-byte signing root).

        `on_start` is called once when work on it begins, from whichever thread does it; it must be quick.

        Raises:
            SigningFailedError: when awaited: the key cannot sign now; the same request may be made again.
        """
        ...

    async def sign_many(self, jobs: Sequence[tuple[Handle, bytes]]) -> list[Signature | SigningFailedError]:
        """A signature or an error for each key and message, in order."""
        ...

    async def close(self) -> None:
        """Finish what was begun, fail what waits. Nothing is signed afterwards."""
        ...
