"""Lighthouse's and Nimbus' SQLite files, read through aiosqlite and left as they are.

Lighthouse (`slashing_protection.sqlite`, validator_client/slashing_protection/src/slashing_database.rs): public keys as
hex text with 0x; no genesis_validators_root, so the caller says which chain it is. Nimbus
(`slashing_protection.sqlite3`, beacon_chain/validators/slashing_protection_v2.nim, version 2): public keys as 48 bytes,
and a table `metadata` with the root. Both keep 32 bytes for every signing root, zeros where there was none. The tables
of records are alike.

Rule 1: the file is opened read-only: its bytes stay the same, and a program that uses it is found by its lock.
Rule 2: never our own database: this SQLite library is another than the one that writes it (docs/decisions/0004).
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite

from interchange import Metadata, SignedAttestation, SignedBlock, ValidatorHistory
from signer.errors import UnreadableFileError
from signer.journal.sqlite import APPLICATION_ID
from signer.units import PUBLIC_KEY_BYTES, ROOT_BYTES, Root

HEADER = b"SQLite format 3\0"
"""Begins every SQLite file (sqlite.org/fileformat.html, 1.3)."""

_HEAD_BYTES = 100
_APPLICATION_ID = slice(68, 72)
"""Where a file says whose it is (the same, 1.3.16)."""

LIGHTHOUSE = "Lighthouse"
NIMBUS = "Nimbus"

_NIMBUS_VERSION = 2
_PAGE = 10_000
_LOCK_SECONDS = 1.0
"""How long to wait for a program that only writes now and then."""

_NO_ROOT = bytes(ROOT_BYTES)

_LOWEST = -(2**63)
"""Below every number in SQLite: one below zero is found, and refused."""

_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
_METADATA = "SELECT slashing_db_version, genesis_validators_root FROM metadata"
_VALIDATORS = "SELECT id, public_key FROM validators ORDER BY id"
_BLOCKS = """
SELECT slot, signing_root FROM signed_blocks WHERE validator_id = ? AND slot > ? ORDER BY slot LIMIT ?
"""
_VOTES = """
SELECT target_epoch, source_epoch, signing_root FROM signed_attestations
WHERE validator_id = ? AND target_epoch > ? ORDER BY target_epoch LIMIT ?
"""


def is_sqlite(file: Path) -> bool:
    """True for another program's SQLite file.

    Raises:
        UnreadableFileError: it is one of ours.
        OSError: it cannot be read.
    """
    with file.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
    if head[_APPLICATION_ID] == APPLICATION_ID.to_bytes(4):
        raise UnreadableFileError(
            str(file), reason="it is Holdfast's own database: take its record from it with `holdfast slashing export`"
        )
    return head.startswith(HEADER)


class SqliteStore:
    """One open store, in one moment. Owned by one command; used outside of any event loop.

    Raises:
        UnreadableFileError: not one of the two programs', in use, damaged, or of a version we do not know.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._runner = asyncio.Runner()
        try:
            self._connection = self._run(self._open())
            try:
                self.program, self._root = self._run(self._recognise())
            except BaseException:
                self._run(self._connection.close())
                raise
        except BaseException:
            self._runner.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._run(self._connection.close())
        self._runner.close()

    def metadata(self, known: Root | None) -> Metadata:
        """Which chain the store is of; `known` where it does not say.

        Raises:
            UnreadableFileError: nobody says.
        """
        root = self._root or known
        if root is None:
            raise self._unreadable(
                "it does not say of which chain it is: name it with --genesis-validators-root, or in the configuration"
            )
        return Metadata(root)

    def histories(self) -> Iterator[ValidatorHistory]:
        """Every validator's records, in parts of one page. Raises UnreadableFileError."""
        for validator_id, stored in self._rows(_VALIDATORS):
            key = self._public_key(stored)
            yield ValidatorHistory(key)
            for page in self._pages(_BLOCKS, validator_id):
                yield ValidatorHistory(key, tuple(SignedBlock(slot, self._signing_root(root)) for slot, root in page))
            for page in self._pages(_VOTES, validator_id):
                votes = (SignedAttestation(source, target, self._signing_root(root)) for target, source, root in page)
                yield ValidatorHistory(key, (), tuple(votes))

    async def _open(self) -> aiosqlite.Connection:
        address = f"file:{quote(str(self.file.resolve()))}?mode=ro"
        connection = await aiosqlite.connect(address, uri=True, isolation_level=None, timeout=_LOCK_SECONDS)
        try:
            await connection.execute("BEGIN")  # one moment, though its program should write
            await (await connection.execute(_TABLES)).fetchone()
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _recognise(self) -> tuple[str, Root | None]:
        tables = {name for (name,) in await self._connection.execute_fetchall(_TABLES)}
        if not {"validators", "signed_blocks", "signed_attestations"} <= tables:
            raise self._unreadable("it is a SQLite file, but no slashing protection of Lighthouse or Nimbus")
        if "metadata" not in tables:
            return LIGHTHOUSE, None
        for version, root in await self._connection.execute_fetchall(_METADATA):
            if version == _NIMBUS_VERSION and isinstance(root, bytes) and len(root) == ROOT_BYTES:
                return NIMBUS, Root(root)
            break
        raise self._unreadable("it looks like Nimbus' slashing protection, but not of version 2: export it with Nimbus")

    def _pages(self, statement: str, validator_id: int) -> Iterator[list[tuple[Any, ...]]]:
        after = _LOWEST
        while page := self._rows(statement, (validator_id, after, _PAGE)):
            for row in page:
                self._check_numbers(row[:-1])
            yield page
            after = page[-1][0]

    def _rows(self, statement: str, values: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
        async def fetch() -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await self._connection.execute_fetchall(statement, values)]

        rows: list[tuple[Any, ...]] = self._run(fetch())
        return rows

    def _run(self, work: Any) -> Any:
        try:
            return self._runner.run(work)
        except sqlite3.Error as error:
            if "locked" in str(error) or "busy" in str(error):
                raise self._unreadable(
                    "another program uses it: stop it, so that nothing is signed any more"
                ) from error
            raise self._unreadable(f"SQLite says: {error}") from error

    def _public_key(self, stored: object) -> bytes:
        key: object = stored
        if isinstance(stored, str):
            try:
                key = bytes.fromhex(stored.removeprefix("0x"))
            except ValueError:
                key = None
        if not isinstance(key, bytes) or len(key) != PUBLIC_KEY_BYTES:
            raise self._unreadable(f"a public key in it is none: {str(stored)[:100]!r}")
        return key

    def _signing_root(self, stored: object) -> bytes | None:
        """None for zeros too: that is how both programs store that there was none."""
        if stored is None or stored in {_NO_ROOT, b""}:
            return None
        if isinstance(stored, bytes) and len(stored) == ROOT_BYTES:
            return stored
        raise self._unreadable(f"a signing root in it has another form than 32 bytes: {str(stored)[:100]!r}")

    def _check_numbers(self, values: tuple[Any, ...]) -> None:
        if not all(isinstance(value, int) and value >= 0 for value in values):
            raise self._unreadable(f"a slot or an epoch in it is none: {values!r}"[:200])

    def _unreadable(self, reason: str) -> UnreadableFileError:
        return UnreadableFileError(str(self.file), reason=reason)
