"""`prompt:QUESTION`: ask the person at the terminal."""

from collections.abc import Callable

from signer.crypto.secret import Secret
from signer.errors import SecretSourceError

_QUESTION = "password"
"""Asked where the URI asks nothing."""


class PromptSource:
    """Asks with the given function, which must not echo (`getpass.getpass`)."""

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask

    def read(self, location: str) -> Secret:
        """See SecretSource."""
        question = location or _QUESTION
        try:
            answer = self._ask(f"{question}: ")
        except (EOFError, OSError) as fault:
            raise SecretSourceError(f"nobody is at the terminal to be asked for {question}") from fault
        if not answer:
            raise SecretSourceError(f"nothing was entered for {question}")
        return Secret(answer.encode())
