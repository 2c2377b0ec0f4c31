"""Since which revision the same policies decide a request: what an approval rests on besides their versions.

Rule: a version that was replaced and has come back is not the one that was approved under: in between something else
decided. Only what is bound to this key and this caller counts; whatever else has changed meanwhile says nothing here.
"""

from collections.abc import Collection, Iterator

from msgspec import MsgspecError, Struct
from msgspec import json as fast_json

from signer.errors import CorruptDatabaseError
from signer.journal.ledger import Transaction
from signer.policy.bindings import Binding, Target
from signer.policy.policy_set import ServedPolicy

REVISIONS_AT_ONCE = 16
"""Sets that one question reads: each may be a megabyte, though few are more than some kilobytes."""

_READ = """
SELECT revision, document FROM policy_sets
WHERE revision <= ? AND revision >= ? ORDER BY revision DESC LIMIT ?
"""


class Since(Struct, frozen=True):
    """What is known of one request's policies at a revision."""

    revision: int
    since: int
    """From this revision up to that one the same versions were bound."""

    bound: frozenset[tuple[str, str]] = frozenset()
    """Name and version of each."""


class _Said(Struct, frozen=True):
    """Of a set what matters here."""

    policies: tuple[ServedPolicy, ...] = ()
    bindings: tuple[Binding, ...] = ()


class _Document(Struct, frozen=True):
    set: _Said


_DECODER = fast_json.Decoder(_Document)


def read_serving_since(
    transaction: Transaction, targets: Collection[Target], *, revision: int, known: Since | None = None
) -> Since:
    """Since when those policies decide that decide at `revision`.

    Args:
        transaction: reads the record.
        targets: everything that a binding could name to reach the request.
        revision: of the policies that were asked.
        known: what was found before for the same targets, so that only later revisions are read.

    Raises:
        CorruptDatabaseError: a set of then cannot be read.
    """
    if known is not None and known.revision > revision:
        known = None
    lowest = 1 if known is None else known.revision
    reached: frozenset[tuple[str, str]] | None = None
    since = revision
    for at, said in _sets(transaction, revision, lowest=lowest):
        found = _bound(said, targets)
        if reached is not None and found != reached:
            return Since(revision, since, reached)
        reached, since = found, at
    if known is not None and since == known.revision:
        since = known.since
    return Since(revision, since, reached or frozenset())


def _sets(transaction: Transaction, revision: int, *, lowest: int) -> Iterator[tuple[int, _Said]]:
    """Newest first."""
    while revision >= lowest:
        rows = list(transaction.rows(_READ, (revision, lowest, REVISIONS_AT_ONCE)))
        for at, document in rows:
            try:
                yield at, _DECODER.decode(document).set
            except (MsgspecError, UnicodeDecodeError) as error:
                raise CorruptDatabaseError(
                    f"the set of policies of revision {at} cannot be read: {error}",
                    remedy="restore the database from a backup",
                ) from None
        if len(rows) < REVISIONS_AT_ONCE:
            return
        revision = rows[-1][0] - 1


def _bound(said: _Said, targets: Collection[Target]) -> frozenset[tuple[str, str]]:
    """Name and version of each."""
    names = {binding.policy for binding in said.bindings if binding.to in targets}
    return frozenset((policy.name, policy.version) for policy in said.policies if policy.name in names)
