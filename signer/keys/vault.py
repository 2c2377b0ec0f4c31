"""Private keys at rest: each keystore that was opened once is kept sealed, so that a restart opens none again.

The vault is a directory, `0700`: `vault.json` (the wrapped data key) and `sealed-keys.jsonl`. A sealed key is found by
a fingerprint of its keystore and password: a source that changed finds nothing and is opened anew. The fingerprint
is keyed, since a bare hash of keystore and password would let a thief of the disk guess passwords without scrypt.
"""

import hmac
import secrets
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from signer.crypto.aead import NONCE_BYTES, Sealer
from signer.crypto.kdf import subkey
from signer.crypto.secret import Secret
from signer.durable import ensure_private_directory, read_private, sweep, write_durably
from signer.errors import StartupError, UnreadableFileError
from signer.keys.data_key import Unlock, check_can_begin, create_data_key, open_data_key
from signer.keys.key import Key, Origin
from signer.keys.sealed_key import SealedFile, SealedKey, decode_file, encode_file, seal_key
from signer.units import PublicKey

DATA_KEY_FILE = "vault.json"
SEALED_KEYS_FILE = "sealed-keys.jsonl"
_LIMIT_BYTES = 1 << 30
"""Some three million keys."""


@dataclass(frozen=True, slots=True)
class OpenedKey:
    """A key to be sealed, with the fingerprint of what it was opened from."""

    key: Key
    fingerprint: bytes


class Vault:
    """The sealed keys of one data directory, whose lock the process holds. Safe from any thread."""

    def __init__(self, directory: Path, data_key: Secret) -> None:
        self.file = directory / SEALED_KEYS_FILE
        self._sealer = Sealer(subkey(data_key, b"holdfast vault: private keys"))
        self.held_requests = Sealer(subkey(data_key, b"holdfast vault: held requests"))
        """Seals what waits for people."""

        self._fingerprint_key = subkey(data_key, b"holdfast vault: fingerprints")
        self._writing = threading.Lock()

    def fingerprint(self, origin: Origin, source: bytes, password: Secret) -> bytes:
        """32 bytes that change when the keystore's bytes, its password or its kind of source do."""
        text = b"%s\n%d\n%s%s" % (origin.encode(), len(source), source, password.reveal())
        return hmac.digest(self._fingerprint_key.reveal(), text, "sha256")

    def read(self) -> SealedFile:
        """Every sealed key, none of them opened. Raises StartupError if others than us may use the file."""
        try:
            content = read_private(self.file, limit_bytes=_LIMIT_BYTES)
        except UnreadableFileError as fault:
            return SealedFile((), None if not self.file.exists() else fault.reason)
        return decode_file(content, self._sealer)

    def open(self, sealed: SealedKey, source_file: Path) -> Key:
        """The key. Raises SealError if its line was changed."""
        secret = sealed.open(self._sealer)
        path = sealed.derivation_path
        return Key(PublicKey(sealed.public_key), secret, sealed.origin, source_file, derivation_path=path)

    def rewrite(self, keep: Callable[[SealedKey], bool], added: Iterable[OpenedKey]) -> None:
        """Keep some of the sealed keys and add others; durable when it returns, old or new after a crash.

        A file that something else changed is set aside first, never overwritten.

        Raises:
            OSError: the disk refuses; the old file is untouched.
        """
        with self._writing:
            old = self.read()
            kept = {sealed.fingerprint: sealed for sealed in old.keys if keep(sealed)}
            kept |= {opened.fingerprint: self._seal(opened) for opened in added}
            if old.fault:
                self.file.rename(self.file.with_name(f"{self.file.name}.damaged-{secrets.token_hex(4)}"))
            content = encode_file(tuple(kept.values()), self._sealer, nonce=secrets.token_bytes(NONCE_BYTES))
            write_durably(self.file, content, private=True)

    def add_imported(self, keys: Iterable[Key]) -> None:
        """Keep keys that have no source file: they are served until removed. Raises OSError."""
        nothing = Secret(b"")
        added = [OpenedKey(key, self.fingerprint(Origin.IMPORTED, key.public_key, nothing)) for key in keys]
        self.rewrite(lambda _: True, added)

    def destroy(self, public_keys: Collection[bytes]) -> None:
        """Keep these keys no more. Raises OSError: the disk refuses, and they are all still there."""
        self.rewrite(lambda sealed: sealed.public_key not in public_keys, ())

    def _seal(self, opened: OpenedKey) -> SealedKey:
        key = opened.key
        source = "" if key.origin is Origin.IMPORTED else str(key.source_file)
        unsealed = SealedKey(
            public_key=key.public_key,
            origin=key.origin,
            derivation_path=key.derivation_path,
            source=source,
            fingerprint=opened.fingerprint,
            sealed=b"",
        )
        return seal_key(unsealed, key.secret, self._sealer, nonce=secrets.token_bytes(NONCE_BYTES))


def open_vault(directory: Path, unlock: Unlock) -> Vault:
    """The vault in a directory; a new one where there is none.

    Raises:
        StartupError: the password or key file does not open it, others may read it, or half of it is missing.
        OSError: it cannot be created.
    """
    file = directory / DATA_KEY_FILE
    if not file.exists() and not (directory / SEALED_KEYS_FILE).exists():
        check_can_begin(unlock)  # before anything is made
    ensure_private_directory(directory)
    sweep(directory)
    if file.exists():
        return Vault(directory, open_data_key(file, unlock))
    if (directory / SEALED_KEYS_FILE).exists():
        raise StartupError(
            f"{directory} has sealed keys but no {DATA_KEY_FILE} to open them with",
            remedy=f"restore {DATA_KEY_FILE} from a backup, or move {SEALED_KEYS_FILE} away to begin anew",
        )
    return Vault(directory, create_data_key(file, unlock))
