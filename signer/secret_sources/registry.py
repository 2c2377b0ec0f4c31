"""The source of a password by the scheme of its URI: `file:`, `file+whole:`, `env:`, `prompt:`."""

import getpass
from collections.abc import Callable, Mapping

from signer.crypto.secret import Secret
from signer.errors import SecretSourceError
from signer.secret_sources.environment import EnvironmentSource
from signer.secret_sources.file import FirstLineSource, WholeFileSource
from signer.secret_sources.prompt import PromptSource
from signer.secret_sources.source import SecretSource


class SecretSources:
    """All sources this process has. Built once; keeps no secret."""

    def __init__(self, sources: Mapping[str, SecretSource]) -> None:
        self._sources = dict(sources)

    def read(self, uri: str) -> Secret:
        """The secret a URI points to.

        Raises:
            SecretSourceError: the scheme is missing or unknown, or the source has no secret there.
        """
        scheme, colon, location = uri.partition(":")
        if not colon or scheme not in self._sources:  # the rest may be the password itself: it is not repeated
            known = ", ".join(f"{name}:" for name in sorted(self._sources))
            raise SecretSourceError(f"a password is given by where it is: begin with one of {known}")
        return self._sources[scheme].read(location)


def secret_sources(environment: Mapping[str, str], ask: Callable[[str], str] = getpass.getpass) -> SecretSources:
    """Every source we have. `environment` is the one the configuration was read from; `ask` must not echo."""
    return SecretSources(
        {
            "file": FirstLineSource(),
            "file+whole": WholeFileSource(),
            "env": EnvironmentSource(environment),
            "prompt": PromptSource(ask),
        }
    )
