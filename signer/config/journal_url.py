"""Where the record is: `sqlite` in the data directory, or a `postgresql://` database that several signers share.

A URL may hold a password: what is printed of it has stars there, and it is compared and passed on as a whole.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from msgspec import Struct

from signer.config.secret_files import read_first_line
from signer.crypto.secret import STARS

SQLITE = "sqlite"
"""The word for the database in the data directory."""

SPELLINGS = "sqlite, or postgresql://USER@HOST:PORT/DATABASE"
"""What a key of this type takes, in words."""

PARAMETERS = frozenset(
    {"host", "port", "user", "password", "dbname", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey",
     "sslpassword", "sslcrl", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version",
     "target_session_attrs", "krbsrvname", "gsslib"}
)  # fmt: skip
"""What may stand behind the question mark: libpq's names, as far as the driver knows them (PostgreSQL manual, 34.1.2).
Any other would be sent to the server as one of its settings."""

_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_SECRETS = frozenset({"password", "sslpassword"})
_PASSWORD = re.compile(r"^(?P<before>[a-z]+://[^/?@]*?):[^/?@]*@")


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
        return self.is_shared and (
            urlsplit(self.text).password is not None or "password" in dict(parse_qsl(urlsplit(self.text).query))
        )

    @property
    def shown(self) -> str:
        """The URL for people: stars in the place of every secret."""
        text = _PASSWORD.sub(rf"\g<before>:{STARS}@", self.text)
        before, mark, query = text.partition("?")
        parts = [
            f"{part.partition('=')[0]}={STARS}" if part.partition("=")[0] in _SECRETS else part
            for part in query.split("&")
        ]
        return before + mark + "&".join(parts)

    @property
    def is_checked(self) -> bool:
        """True when nobody in between can pose as the server: its certificate is checked, or it is on this machine."""
        parameters = dict(parse_qsl(urlsplit(self.text).query))
        if parameters.get("sslmode") in {"verify-full", "verify-ca"}:
            return True
        hosts = urlsplit(self.text).netloc.rpartition("@")[2] or parameters.get("host", "")
        return all(_is_here(host) for host in hosts.split(","))

    @property
    def files(self) -> dict[str, Path]:
        """The files that the URL names, by parameter."""
        parameters = dict(parse_qsl(urlsplit(self.text).query))
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
    name = host if host.startswith("/") else host.rpartition("]")[0].lstrip("[") or host.partition(":")[0]
    return not name or name.startswith(("/", "127.")) or name in {"localhost", "::1"}


def find_url_fault(text: str) -> str | None:
    """What is wrong with the text of a `journal.url`, without repeating it; None when nothing is."""
    if text == SQLITE:
        return None
    if not text.startswith(("postgresql://", "postgres://")):
        return f"it wants {SPELLINGS}"
    try:
        parts = urlsplit(text)
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        return "it is no URL (characters that mean something in one are written with %)"
    return _find_fault(parts, parameters)


def _find_fault(parts: SplitResult, parameters: Mapping[str, str]) -> str | None:
    if parts.netloc.count("@") > 1 or parts.fragment:
        return "in a user or a password `@` is written %40, and `#` %23"
    if parameters.keys() - PARAMETERS:
        return f"behind its question mark only these parameters are known: {', '.join(sorted(PARAMETERS))}"
    if not parts.path.strip("/") and not parameters.get("dbname"):
        return "it names no database: postgresql://USER@HOST:PORT/DATABASE"
    return None
