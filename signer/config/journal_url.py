"""Where the record is: `sqlite` in the data directory, or a `postgresql://` database that several signers share.

A URL may hold a password: what is printed of it has stars there, and it is compared and passed on as a whole.
"""

from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from signer.config.secret_files import read_first_line
from signer.journal.address import (
    SPELLING,
    address_parameters,
    find_address_fault,
    holds_password,
    hosts_of,
    shown_address,
)

SQLITE = "sqlite"
"""The word for the database in the data directory."""

SPELLINGS = f"{SQLITE}, or {SPELLING}"
"""What a key of this type takes, in words."""

_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")


class JournalUrl(Struct, frozen=True):
    """One value of `journal.url`."""

    text: str
    """As it was written; may hold a password."""

    @property
    def is_shared(self) -> bool:
        """True for a database that several signers may share."""
        return self.text != SQLITE

    @property
    def holds_password(self) -> bool:
        """True when the URL itself holds the password of its user."""
        return self.is_shared and holds_password(self.text)

    @property
    def shown(self) -> str:
        """The URL for people: stars in the place of every secret."""
        return shown_address(self.text) if self.is_shared else self.text

    @property
    def is_checked(self) -> bool:
        """True when nobody in between can pose as the server: its certificate is checked, or it is on this machine."""
        if address_parameters(self.text).get("sslmode") in {"verify-full", "verify-ca"}:
            return True
        return all(_is_here(host) for host in hosts_of(self.text))

    @property
    def files(self) -> dict[str, Path]:
        """The files that the URL names, by parameter."""
        parameters = address_parameters(self.text)
        return {name: Path(parameters[name]) for name in _FILES if parameters.get(name)}

    def with_password(self, password: str) -> str:
        """The URL for the driver, with a password that was kept elsewhere."""
        mark = "&" if "?" in self.text else "?"
        return f"{self.text}{mark}password={quote(password, safe='')}"

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"JournalUrl({self.shown})"


def journal_address(url: JournalUrl, password_file: Path | None) -> str:
    """The URL for the driver, with its password: show it to nobody.

    Raises:
        ConfigError: the password's file cannot be read.
    """
    if password_file is None:
        return url.text
    return url.with_password(read_first_line(password_file, key="journal.password_file"))


def _is_here(host: str) -> bool:
    """A socket's directory, or an address of this machine alone."""
    return not host or host.startswith(("/", "127.")) or host in {"localhost", "::1"}


def find_url_fault(text: str) -> str | None:
    """What is wrong with the text of a `journal.url`, without repeating it; None when nothing is."""
    if text == SQLITE:
        return None
    if "://" not in text or not text.startswith("postgres"):
        return f"it wants {SPELLINGS}"
    return find_address_fault(text)
