"""What a source of passwords is."""

from typing import Protocol

from signer.crypto.secret import Secret


class SecretSource(Protocol):
    """One way to a password. Reads anew each time; may block; used at start and at reload, never per signature."""

    def read(self, location: str) -> Secret:
        """The secret at this location (the part of the URI after the scheme).

        Raises:
            SecretSourceError: there is none, or it is blank; the sentence names the place, never the secret.
        """
        ...
