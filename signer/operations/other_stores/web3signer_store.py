"""Web3Signer's slashing protection database, read where it is and left as it is.

Its tables are those of `journal/shared/web3signer_12.sql`. A validator's floor is its low watermark; where there is
none though records are, the least of them: Web3Signer's own export leaves such a validator out.

Rule 1: one read-only moment; nothing is locked, and nothing is written.
Rule 2: no password on a command line, where every user of the machine may read it.
"""

import re
from collections.abc import Iterator

from interchange import Metadata, ValidatorHistory
from signer.errors import StartupError, UnreadableFileError
from signer.journal.address import find_address_fault, holds_secret, shown_address
from signer.journal.postgres_session import LostConnectionError, ServerRefusedError, Session, SessionTransaction
from signer.journal.postgres_setup import WEB3SIGNER_VERSION
from signer.slashing.exchange import export_validator
from signer.units import ROOT_BYTES, Root

WEB3SIGNER = "Web3Signer"

_SECONDS = 60.0
"""How long a page may take, and connecting."""

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_VERSION = "SELECT version FROM database_version WHERE id = 1"
_IS_OURS = "SELECT to_regnamespace('holdfast') IS NOT NULL"
_USERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name ILIKE '%jdbc%'
"""
"""Java programs: Web3Signer does not rename its connections. Others, such as somebody who looks on, do no harm."""

_ROOT = "SELECT genesis_validators_root FROM metadata WHERE id = 1"
_VALIDATORS = """
SELECT v.id, v.public_key,
    (coalesce(w.slot, (SELECT min(slot) FROM signed_blocks WHERE validator_id = v.id)) - 9223372036854775808)::bigint,
    (coalesce(w.source_epoch, (SELECT min(source_epoch) FROM signed_attestations WHERE validator_id = v.id))
        - 9223372036854775808)::bigint,
    (coalesce(w.target_epoch, (SELECT min(target_epoch) FROM signed_attestations WHERE validator_id = v.id))
        - 9223372036854775808)::bigint
FROM validators v LEFT JOIN low_watermarks w ON w.validator_id = v.id
WHERE v.id > ? ORDER BY v.id LIMIT 500
"""


_ADDRESS = re.compile(r"(jdbc:)?postgres(ql)?:|[a-z0-9+.:-]+://", re.IGNORECASE)


def is_address(text: str) -> bool:
    """True for what names a database, be it misspelt: a URL may hold a password, and a file's name is shown."""
    return _ADDRESS.match(text) is not None


class Web3SignerStore:
    """One open database, in one moment. Owned by one command; blocks.

    Raises:
        UnreadableFileError: it does not answer, does not let us in, or is none of Web3Signer's of version 12.
    """

    program = WEB3SIGNER

    def __init__(self, address: str) -> None:
        """`address`: a `postgresql://` URL; the password comes from PGPASSFILE or PGPASSWORD."""
        self._address = address
        _check_address(address)
        self._session = Session(address)
        self._moment = SessionTransaction(self._session, seconds=_SECONDS)
        try:
            self._session.open(seconds=_SECONDS)
            self._session.script(_BEGIN, seconds=_SECONDS)
            self._check_tables()
        except (LostConnectionError, ServerRefusedError, StartupError) as error:
            self.close()
            raise self._unreadable(_words(error)) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the database."""
        self._session.close()

    def metadata(self, known: Root | None) -> Metadata:
        """Which chain it is of; `known` where nothing was signed with it yet. Raises UnreadableFileError."""
        rows = self._moment.rows(_ROOT)
        root = bytes(rows[0][0]) if rows else known
        if root is None or len(root) != ROOT_BYTES:
            raise self._unreadable(
                "it does not say of which chain it is: name it with --genesis-validators-root, or in the configuration"
            )
        return Metadata(root)

    def histories(self) -> Iterator[ValidatorHistory]:
        """Every validator's records, in parts of one page. Raises UnreadableFileError."""
        after = 0
        try:
            while page := self._moment.rows(_VALIDATORS, (after,)):
                for validator_id, stored, *floors in page:
                    key = bytes(stored)
                    yield ValidatorHistory(key)
                    yield from export_validator(self._moment, (validator_id, key), tuple(floors))
                after = page[-1][0]
        except (LostConnectionError, ServerRefusedError) as error:
            raise self._unreadable(_words(error)) from None

    def _check_tables(self) -> None:
        ((is_ours,),) = self._moment.rows(_IS_OURS)
        if is_ours:
            raise self._unreadable(
                "Holdfast works on this database: take its record from it with `holdfast slashing export`"
            )
        try:
            versions = self._moment.rows(_VERSION)
        except ServerRefusedError:
            versions = []
        if versions != [(WEB3SIGNER_VERSION,)]:
            found = f"version {versions[0][0]}" if versions else "no version"
            raise self._unreadable(
                f"it has {found} of Web3Signer's schema, and {WEB3SIGNER_VERSION} is known: run Web3Signer's own"
                " migrations, or export it with Web3Signer"
            )

        ((users,),) = self._moment.rows(_USERS)
        if users:
            raise self._unreadable(
                "a Java program is connected to it: stop Web3Signer, so that nothing is signed any more"
            )

    def _unreadable(self, reason: str) -> UnreadableFileError:
        return UnreadableFileError(shown_address(self._address), reason=reason)


def _check_address(address: str) -> None:
    """Raises UnreadableFileError, without showing it: it holds a password, or is no URL that could be taken apart."""
    fault = find_address_fault(address)
    if fault is None and holds_secret(address):
        fault = (
            "leave the password out of its URL, for every user of this machine may see a command line: name a"
            " file in PGPASSFILE (host:port:database:user:password), or set PGPASSWORD"
        )
    if fault is not None:
        raise UnreadableFileError("the database", reason=fault)


def _words(error: Exception) -> str:
    return error.sentence if isinstance(error, StartupError) else f"PostgreSQL says: {error}"
