"""Give the sealed keys another master key or password: the keys themselves stay sealed as they are."""

from pathlib import Path

from signer.errors import StartupError
from signer.journal.lock import DirectoryLock
from signer.keys.data_key import Unlock, check_can_begin, rewrap_data_key
from signer.keys.vault import DATA_KEY_FILE


def rewrap_keys(data_directory: Path, *, vault_directory: Path, old: Unlock, new: Unlock) -> None:
    """From the return on the vault opens with `new` alone; a crash leaves one of the two that opens it.

    Raises:
        DataDirectoryInUseError: a signer runs on it, and holds what the old key opened.
        StartupError: there are no sealed keys yet, `old` does not open them, or `new` cannot be used.
        OSError: the disk refuses.
    """
    file = vault_directory / DATA_KEY_FILE
    if not file.exists():
        raise StartupError(
            f"there are no sealed keys in {vault_directory} yet",
            remedy="set the other master key in the configuration: the first start uses it",
        )
    lock = DirectoryLock(data_directory)
    try:
        check_can_begin(new)
        rewrap_data_key(file, old=old, new=new)
    finally:
        lock.close()
