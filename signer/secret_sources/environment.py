"""`env:NAME`: a variable of the environment the configuration was read from."""

from collections.abc import Mapping

from signer.crypto.secret import Secret
from signer.errors import SecretSourceError


class EnvironmentSource:
    """A variable's value, out of a mapping handed down: only the configuration reads the process's environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def read(self, location: str) -> Secret:
        """See SecretSource."""
        value = self._environment.get(location, "")
        if not value:
            raise SecretSourceError(
                f"environment variable {location} is not set or is empty", evidence={"variable": location}
            )
        return Secret(value.encode("utf-8", "surrogateescape"))  # the bytes the process was given
