"""The database of a Web3Signer, named by its JDBC URL, as `journal.url` names it.

Rule 1: nothing that may be a secret is repeated: only user, hosts, database and `sslmode` are.
"""

from collections.abc import Sequence
from urllib.parse import parse_qs, quote, urlsplit

from signer.journal.address import SPELLING, find_address_fault

_PREFIX = "jdbc:postgresql://"
_TLS_MODES = frozenset({"disable", "allow", "prefer", "require", "verify-ca", "verify-full"})
"""What both drivers take for `sslmode`."""


def same_database(url: str, user: str) -> str:
    """The `postgresql://` URL, without its password; the spelling of one where it cannot be told without doubt."""
    if not url.startswith(_PREFIX):
        return SPELLING
    try:
        parts = urlsplit(url.removeprefix("jdbc:"))
        parameters = parse_qs(parts.query)
    except ValueError:
        return SPELLING
    user = user or _only(parameters.get("user", ()))
    if "@" in parts.netloc or not user or not parts.path.strip("/"):
        return SPELLING
    mode = _only(parameters.get("sslmode", ()))
    known = f"?sslmode={mode}" if mode in _TLS_MODES else ""
    found = f"postgresql://{quote(user, safe='')}@{parts.netloc}{parts.path}{known}"
    return SPELLING if find_address_fault(found) else found


def _only(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else ""
