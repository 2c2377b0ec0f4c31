"""From the sections `keys` and `storage`: where keys are, what opens the sealed ones, what holds for all of them."""

from signer.config.state import KeysSettings, StorageSettings
from signer.keys.data_key import KeyFileUnlock, PasswordUnlock, Unlock
from signer.keys.preferences import Preferences
from signer.keys.sources import BulkDirectory, KeyLocations
from signer.secret_sources.file import first_line, whole_file


def key_locations(keys: KeysSettings) -> KeyLocations:
    """Where keys are looked for."""
    passwords = keys.passwords_directory or keys.password_file
    if keys.keystores_directory is None or passwords is None:
        return KeyLocations(keys.config_directory, ())
    return KeyLocations(keys.config_directory, (BulkDirectory(keys.keystores_directory, passwords),))


def default_preferences(keys: KeysSettings) -> Preferences:
    """What holds for keys for which an operator has set nothing."""
    return Preferences(keys.fee_recipient, keys.gas_limit, keys.graffiti)


def master_key(storage: StorageSettings) -> Unlock:
    """What opens the sealed keys; reads the password file where there is one.

    Raises:
        SecretSourceError: it cannot be read.
    """
    master = storage.master_key
    if master.password_file is None:
        return KeyFileUnlock(master.key_file)
    return PasswordUnlock(first_line(whole_file(master.password_file), str(master.password_file)))
