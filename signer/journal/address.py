"""The `postgresql://` URL of a database: which are taken, and what is shown of one.

Rule 1: no fault repeats the URL. A character that is not written with % moves the password to another part of it.
Rule 2: of a URL that cannot be taken apart without doubt nothing is shown.
"""

import re
from collections.abc import Mapping
from urllib.parse import SplitResult, parse_qsl, unquote, unquote_plus, urlsplit

from signer.crypto.secret import STARS

SPELLING = "postgresql://USER@HOST:PORT/DATABASE"
"""What such a URL looks like."""

PARAMETERS = frozenset(
    {"host", "port", "user", "password", "dbname", "passfile", "sslmode", "sslrootcert", "sslcert", "sslkey",
     "sslpassword", "sslcrl", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version",
     "target_session_attrs", "krbsrvname", "gsslib"}
)  # fmt: skip
"""What may stand behind the question mark: libpq's names, as far as the driver knows them (PostgreSQL manual, 34.1.2).
Any other would be sent to the server as one of its settings."""

_SCHEMES = ("postgresql://", "postgres://")
_SECRETS = frozenset({"password", "sslpassword"})
_CONTROL = re.compile(r"[\0-\x1f\x7f]")
_COLON = re.compile(":|%3a", re.IGNORECASE)
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%a-z]*\]|[^:\[\]]*)(:[0-9]+)?")
_CONNECTION_TEXT = re.compile(r"://|@.*@|\bpassword\s*=", re.IGNORECASE)
"""What libpq also takes for the name of a database: another URL, or `name=value` words."""

_ENCODED = "in a user or a password `@` is written %40, `/` %2F, `#` %23, `?` %3F, `:` %3A and `%` %25"


def find_address_fault(text: str) -> str | None:
    """What is wrong with the URL, without repeating any of it; None when nothing is."""
    if not text.startswith(_SCHEMES):
        return f"it wants {SPELLING}"
    try:
        parts = urlsplit(text)
        parameters = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        return "it is no URL (characters that mean something in one are written with %)"
    if _CONTROL.search(text) or _is_misread(parts):
        return _ENCODED
    return _find_fault(parts, parameters)


def shown_address(text: str) -> str:
    """The URL for people: stars in the place of every secret."""
    if find_address_fault(text) is not None:
        return f"postgresql://{STARS}"
    before, mark, query = text.partition("?")
    scheme, slashes, rest = before.partition("//")
    login, at, place = rest.rpartition("@")
    if colon := _COLON.search(login):
        login = login[: colon.start()] + ":" + STARS
    words = [
        f"{word.partition('=')[0]}={STARS}" if unquote_plus(word.partition("=")[0]) in _SECRETS else word
        for word in query.split("&")
    ]
    return scheme + slashes + login + at + place + mark + "&".join(words)


def holds_password(text: str) -> bool:
    """True when the URL itself holds the password of its user."""
    return urlsplit(text).password is not None or "password" in address_parameters(text)


def holds_secret(text: str) -> bool:
    """True when anything in the URL is to be seen by nobody."""
    return holds_password(text) or not _SECRETS.isdisjoint(address_parameters(text))


def address_parameters(text: str) -> dict[str, str]:
    """What stands behind the question mark of a URL that is taken; what is empty there is left out."""
    return dict(parse_qsl(urlsplit(text).query))


def hosts_of(text: str) -> list[str]:
    """The hosts of a URL that is taken, without ports: names, addresses, and directories of sockets; "" for none."""
    named = urlsplit(text).netloc.rpartition("@")[2]
    listed = named.split(",") if named else address_parameters(text).get("host", "").split(",")
    return [unquote(host.rpartition("]")[0].lstrip("[") or host.partition(":")[0]) for host in listed]


def _is_misread(parts: SplitResult) -> bool:
    """True when a part of the login was taken for a part of something else, or could have been.

    What stands before the first unencoded `/` or `?` of a password is read as a host and its port.
    """
    hosts = parts.netloc.rpartition("@")[2].split(",")
    return (
        parts.netloc.count("@") > 1
        or bool(parts.fragment)
        or "@" in parts.path
        or not all(_HOST.fullmatch(host) for host in hosts)
    )


def _find_fault(parts: SplitResult, parameters: Mapping[str, str]) -> str | None:
    if parameters.keys() - PARAMETERS:
        return f"behind its question mark only these parameters are known: {', '.join(sorted(PARAMETERS))}"
    if not parts.path.strip("/") and not parameters.get("dbname"):
        return f"it names no database: {SPELLING}"
    if any(_CONNECTION_TEXT.search(name) for name in (unquote(parts.path), parameters.get("dbname", ""))):
        return "its database is a name alone, and no other URL"
    if any("@" in host or ":" in host.partition(":")[2] for host in _plain_hosts(parameters)):
        return "its parameter `host` holds hosts alone: the user goes into `user`, the password into a file"
    return None


def _plain_hosts(parameters: Mapping[str, str]) -> list[str]:
    """The hosts of the parameter; of one in brackets nothing, for colons are its own."""
    return ["" if host.startswith("[") else host for host in parameters.get("host", "").split(",")]
