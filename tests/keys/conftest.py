"""Keys, keystores and directories of them, cheap to make."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from signer.crypto import bls
from signer.crypto.bls import Bls, SecretKey
from signer.crypto.kdf import Argon2Cost
from signer.crypto.secret import Secret
from signer.keys.data_key import PasswordUnlock
from signer.keys.keystore import Pbkdf2Cost
from signer.keys.keystore_writer import encode_keystore
from signer.keys.loader import Loader
from signer.keys.sources import BulkDirectory, KeyLocations
from signer.keys.vault import Vault, open_vault
from signer.units import PublicKey

CHEAP = Pbkdf2Cost(1)
CHEAP_ARGON2 = Argon2Cost(iterations=1, lanes=1, memory_kib=8)


@dataclass
class KeyHouse:
    """The directories of one signer, and the means to fill them."""

    root: Path
    bls: Bls
    public_keys: dict[int, PublicKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("config", "bulk", "passwords"):
            (self.root / name).mkdir()

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def bulk(self) -> Path:
        return self.root / "bulk"

    @property
    def passwords(self) -> Path:
        return self.root / "passwords"

    @property
    def locations(self) -> KeyLocations:
        return KeyLocations(self.config, (BulkDirectory(self.bulk, self.passwords),))

    def secret(self, number: int) -> SecretKey:
        return SecretKey.from_bytes(number.to_bytes(32, "big"))

    def public_key(self, number: int) -> PublicKey:
        if number not in self.public_keys:
            self.public_keys[number] = self.bls.public_key(self.secret(number))
        return self.public_keys[number]

    def keystore(self, number: int, password: str = "pass", *, path: str = "", cost: Pbkdf2Cost = CHEAP) -> bytes:
        secret, public_key = self.secret(number), self.public_key(number)
        return encode_keystore(secret, public_key, Secret(password.encode()), cost=cost, derivation_path=path)

    def add_bulk(self, name: str, number: int, password: str = "pass") -> Path:
        file = self.bulk / f"{name}.json"
        file.write_bytes(self.keystore(number, password))
        (self.passwords / f"{name}.txt").write_text(password)
        return file

    def add_raw(self, name: str, number: int) -> Path:
        file = self.config / f"{name}.yaml"
        file.write_text(f'type: "file-raw"\nkeyType: "BLS"\nprivateKey: "0x{number:064x}"\n')
        return file

    def add_keystore_file(self, name: str, number: int, *, path: str = "m/12381/3600/0/0/0") -> Path:
        file = self.config / f"{name}.yaml"
        (self.config / f"{name}.json").write_bytes(self.keystore(number, path=path))
        (self.config / f"{name}.password").write_text("pass\n")
        text = f"type: file-keystore\nkeystoreFile: {name}.json\nkeystorePasswordFile: {name}.password\nkeyType: BLS\n"
        file.write_text(text)
        return file

    def vault(self) -> Vault:
        return open_vault(self.root / "vault", PasswordUnlock(Secret(b"vault password"), CHEAP_ARGON2))

    def loader(self, *, strict: bool = False, vault: Vault | None = None) -> Loader:
        return Loader(self.locations, self.bls, vault or self.vault(), strict=strict, threads=2)


@pytest.fixture(scope="session")
def library() -> Bls:
    return bls.load()


@pytest.fixture
def house(tmp_path: Path, library: Bls) -> KeyHouse:
    return KeyHouse(tmp_path, library)


@pytest.fixture
def keystore_document(house: KeyHouse) -> dict[str, object]:
    """A good keystore as a document, to be spoilt."""
    document: dict[str, object] = json.loads(house.keystore(7))
    return document
