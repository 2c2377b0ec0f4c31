"""Validators' keys and histories in the files of each client, as it leaves them behind when it is stopped.

The names and contents are from the clients' sources: each function says which. Keystores open quickly.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations.test_other_stores import LIGHTHOUSE_TABLES, NIMBUS_TABLES
from running import interop_secret

from signer.crypto.bls import SecretKey, load
from signer.crypto.secret import Secret
from signer.keys.keystore import Pbkdf2Cost
from signer.keys.keystore_writer import encode_keystore

PASSWORD = "correct horse"


@dataclass(frozen=True)
class Validator:
    """One validator, and what it has signed where it was."""

    secret: int
    votes: tuple[tuple[int, int, bytes], ...] = ()
    """Source, target, signing root."""

    blocks: tuple[tuple[int, bytes], ...] = ()
    """Slot, signing root."""

    @property
    def key(self) -> SecretKey:
        return SecretKey.from_bytes(self.secret.to_bytes(32, "big"))

    @property
    def public_key(self) -> str:
        return "0x" + load().public_key(self.key).hex()

    def keystore(self, password: str = PASSWORD) -> bytes:
        """EIP-2335, one round of PBKDF2."""
        return encode_keystore(self.key, load().public_key(self.key), Secret(password.encode()), cost=Pbkdf2Cost(1))


def interop_validator(index: int, **history: Any) -> Validator:
    """The publicly known validator of this number."""
    return Validator(interop_secret(index), **history)


# --- keys --------------------------------------------------------------------------------------------


def lighthouse_keys(directory: Path, validators: Sequence[Validator], *, in_use: bool = True) -> Path:
    """`validators/` and `secrets/` of its data directory; paths are of the machine where it ran.

    Lighthouse, common/validator_dir/src/builder.rs and common/account_utils/src/validator_definitions.rs.
    """
    definitions = []
    for one in validators:
        home = directory / "validators" / one.public_key
        home.mkdir(parents=True)
        (home / "voting-keystore.json").write_bytes(one.keystore())
        _write(directory / "secrets" / one.public_key, PASSWORD)
        definitions.append(
            f"- enabled: {str(in_use).lower()}\n"
            f'  voting_public_key: "{one.public_key}"\n'
            '  description: ""\n'
            "  type: local_keystore\n"
            f"  voting_keystore_path: /var/lib/lighthouse/validators/{one.public_key}/voting-keystore.json\n"
            f"  voting_keystore_password_path: /var/lib/lighthouse/secrets/{one.public_key}\n"
        )
    _write(directory / "validators" / "validator_definitions.yml", "---\n" + "".join(definitions))
    return directory / "validators"


def prysm_keys(directory: Path, validators: Sequence[Validator]) -> Path:
    """What `validator accounts backup` writes, unpacked: `keystore-0.json`, ... all with the password that was typed.

    Prysm, validator/accounts/accounts_backup.go. The description is the name of its encryptor.
    """
    for number, one in enumerate(validators):
        content = json.loads(one.keystore()) | {"description": "keystore"}
        _write(directory / "backup" / f"keystore-{number}.json", json.dumps(content, indent="\t"))
    _write(directory / "backup-password.txt", PASSWORD + "\n")
    return directory / "backup"


def teku_keys(directory: Path, validators: Sequence[Validator]) -> Path:
    """Its key manager's directories: the key without 0x, keystores and passwords apart.

    Teku, validator/client/.../loader/ValidatorLoader.java and .../KeyManager: `validator/key-manager/local`.
    """
    home = directory / "validator" / "key-manager"
    for one in validators:
        name = one.public_key.removeprefix("0x")
        _write(home / "local" / f"{name}.json", one.keystore())
        _write(home / "local-passwords" / f"{name}.txt", PASSWORD)
    return home / "local"


def nimbus_keys(directory: Path, validators: Sequence[Validator]) -> Path:
    """`validators/0x.../keystore.json` and `secrets/0x...`; one key of another machine's signer among them.

    Nimbus, beacon_chain/validators/keystore_management.nim (KeystoreFileName, RemoteKeystoreFileName).
    """
    for one in validators:
        _write(directory / "validators" / one.public_key / "keystore.json", one.keystore())
        _write(directory / "secrets" / one.public_key, PASSWORD)
    remote = {"version": 3, "pubkey": "0x" + "ab" * 48, "remote": "http://127.0.0.1:1", "type": "web3signer"}
    _write(directory / "validators" / ("0x" + "ab" * 48) / "remote_keystore.json", json.dumps(remote))
    return directory / "validators"


def lodestar_keys(directory: Path, validators: Sequence[Validator]) -> Path:
    """`keystores/0x.../voting-keystore.json` and `secrets/0x...`.

    Lodestar, packages/cli/src/cmds/validator/keymanager/persistedKeys.ts and paths.ts.
    """
    for one in validators:
        _write(directory / "keystores" / one.public_key / "voting-keystore.json", one.keystore())
        _write(directory / "secrets" / one.public_key, PASSWORD)
    return directory / "keystores"


def web3signer_keys(directory: Path, validators: Sequence[Validator]) -> Path:
    """`--key-config-path`: a keystore, its password and the file that names both, and one raw key.

    Web3Signer, signing/.../config/metadata (FileKeyStoreMetadata, FileRawSigningMetadata).
    """
    keys = directory / "keys"
    for number, one in enumerate(validators):
        name = one.public_key.removeprefix("0x")
        if number == 0:
            text = f'type: "file-raw"\nkeyType: "BLS"\nprivateKey: "0x{one.secret:064x}"\n'
        else:
            _write(keys / f"{name}.json", one.keystore())
            _write(keys / f"{name}.password", PASSWORD)
            text = (
                f"type: file-keystore\nkeyType: BLS\nkeystoreFile: {name}.json\nkeystorePasswordFile: {name}.password\n"
            )
        _write(keys / f"{name}.yaml", text)
    return keys


def dirk_keys(directory: Path, validators: Sequence[Validator]) -> Path:
    """A store of one wallet: a directory by its id, in it the wallet, an index, and accounts by theirs.

    go-eth2-wallet-store-filesystem and go-eth2-wallet-nd, which Dirk and ethdo share: an account's `crypto` is
    EIP-2335's, `encryptor` says so.
    """
    wallet = str(uuid.UUID(int=1, version=4))
    home = directory / "wallets" / wallet
    told = {"uuid": wallet, "name": "Validators", "type": "non-deterministic", "version": 1}
    _write(home / wallet, json.dumps(told))
    index = []
    for number, one in enumerate(validators):
        keystore = json.loads(one.keystore())
        account = {
            "uuid": str(uuid.UUID(int=number + 2, version=4)),
            "name": f"Validator {number}",
            "pubkey": keystore["pubkey"],
            "crypto": keystore["crypto"],
            "encryptor": "keystore",
            "version": 4,
        }
        index.append({"uuid": account["uuid"], "name": account["name"]})
        _write(home / str(account["uuid"]), json.dumps(account))
    _write(home / "index", json.dumps(index))
    _write(directory / "passphrase.txt", PASSWORD + "\n")
    return directory / "wallets"


# --- histories ---------------------------------------------------------------------------------------


def sqlite_store(file: Path, validators: Sequence[Validator], *, root: bytes | None) -> Path:
    """Nimbus' store where a chain is named (it writes it down), else Lighthouse's. Sources: test_other_stores.py."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for table in LIGHTHOUSE_TABLES if root is None else NIMBUS_TABLES:
            connection.execute(table)
        if root is not None:
            connection.execute("INSERT INTO metadata VALUES (2, ?)", (root,))
        for number, one in enumerate(validators, start=1):
            key = one.public_key if root is None else bytes.fromhex(one.public_key[2:])
            connection.execute("INSERT INTO validators (id, public_key) VALUES (?, ?)", (number, key))
            connection.executemany(
                "INSERT INTO signed_blocks VALUES (?, ?, ?)", [(number, slot, root_) for slot, root_ in one.blocks]
            )
            connection.executemany(
                "INSERT INTO signed_attestations VALUES (?, ?, ?, ?)", [(number, *vote) for vote in one.votes]
            )
    return file


def complete_export(validators: Iterable[Validator], *, root: str) -> dict[str, Any]:
    """EIP-3076 with every record: Prysm, Lodestar (version 5), Web3Signer."""
    data = [
        {
            "pubkey": one.public_key,
            "signed_blocks": [{"slot": str(slot), "signing_root": "0x" + mark.hex()} for slot, mark in one.blocks],
            "signed_attestations": [
                {"source_epoch": str(source), "target_epoch": str(target), "signing_root": "0x" + mark.hex()}
                for source, target, mark in one.votes
            ],
        }
        for one in validators
    ]
    return {"metadata": {"interchange_format_version": "5", "genesis_validators_root": root}, "data": data}


def newest_export(validators: Iterable[Validator], *, root: str) -> dict[str, Any]:
    """EIP-3076 with the highest of each kind and no roots: Teku's watermarks, Dirk's (dossier 1.4, 3.1)."""
    data = []
    for one in validators:
        element: dict[str, Any] = {"pubkey": one.public_key, "signed_blocks": [], "signed_attestations": []}
        if one.blocks:
            element["signed_blocks"] = [{"slot": str(max(slot for slot, _ in one.blocks))}]
        if one.votes:
            source, target = (max(vote[place] for vote in one.votes) for place in (0, 1))
            element["signed_attestations"] = [{"source_epoch": str(source), "target_epoch": str(target)}]
        data.append(element)
    return {"metadata": {"interchange_format_version": "5", "genesis_validators_root": root}, "data": data}


def _write(file: Path, content: str | bytes) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(0o600)
