"""Text files that a configuration names, and the configuration itself."""

from pathlib import Path

from signer.errors import ConfigError


def read_text(file: Path, *, subject: str, remedy: str, key: str = "", here: Path | None = None) -> str:
    """The whole file, as UTF-8. A relative path is meant from `here`.

    Raises:
        ConfigError: "`subject` cannot be read", and why; it quotes nothing of the file, which may hold a secret.
    """
    path = file if here is None else here / file
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"{subject} cannot be read: {reason}", where=str(file), key=key, remedy=remedy) from None
