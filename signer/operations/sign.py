"""Sign a duty: the only road to a private key."""

from collections.abc import Sequence

from signer.auth.principal import Caller
from signer.errors import SignerError
from signer.intent import SignDuty, SignExtension
from signer.units import Signature


class Signing:
    """Walks the gate for every request. One instance for the life of the process, safe to call concurrently."""

    async def sign(self, intent: SignDuty, caller: Caller) -> Signature:
        """The signature of this duty, released only after its record and audit entry are durable.

        Raises:
            RequestError, UnknownKeyError, ForbiddenError, RefusalError, UnavailableError.
        """
        raise SignerError("not built yet")

    async def sign_each(
        self, intents: Sequence[SignDuty | SignerError], caller: Caller
    ) -> list[Signature | SignerError]:
        """A signature or an error for each intent, in order; an error that stands in for an intent stays itself."""
        raise SignerError("not built yet")

    async def sign_extension(self, intent: SignExtension, caller: Caller) -> Signature:
        """The signature over the raw payload; see `SignExtension`."""
        raise SignerError("not built yet")
