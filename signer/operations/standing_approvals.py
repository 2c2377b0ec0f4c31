"""Whether what people are asked about could still be done: for whoever looks, votes or tidies up.

Rule 1: a change of policies is asked for at one revision of them. Once another one holds, it can never be made.
Rule 2: a signature is asked for under the policies that had a say. Once others have one in what this principal asks of
this key, or the same ones after a break, its approval can never be spent.
Rule 3: this tells people early, and fails open: facts that do not say whose key and principal they are about are not
judged. What is really done is judged in its commit, which fails closed.
"""

import asyncio
from collections.abc import Collection, Mapping
from functools import partial

import msgspec
from msgspec import Struct

from signer.approvals.hashes import policies_hash
from signer.approvals.request import Ending, Request
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.tags import tags_of
from signer.operations.reading import read_record
from signer.policy.bindings import Target, targets_of
from signer.policy.facts import Caller, Signer
from signer.policy.policy_set_ledger import read_revision
from signer.policy.serving_since import Since, read_serving_since
from signer.units import PublicKey

MOST_REMEMBERED = 4096
"""Places (a key with its tags, and a caller) of which it is remembered since when the same policies decide."""

OTHERS_DECIDE = (
    "other policies decide it now than those that asked for approval, or they ask for something else: make the request"
    " again, and people are asked again"
)
"""Why the approval of a signature is void."""


class Standing(Struct, frozen=True):
    """How some requests stand to the policies at one moment."""

    revision: int
    """Of the policies on record."""

    void: Mapping[bytes, str]
    """Why, by approval: those that can never be done, whether that is on record already or not."""


class _Asked(Struct, frozen=True):
    """Of the facts of a signature what bindings go by."""

    signer: Signer
    caller: Caller


class _Change(Struct, frozen=True):
    """Of the facts of a change of policies."""

    revision: int


_ASKED = msgspec.json.Decoder(_Asked)
_CHANGE = msgspec.json.Decoder(_Change)


class Standings:
    """One for each who asks, for the life of the process. What it remembers is history, which never changes."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._known: dict[frozenset[Target], Since] = {}

    async def of(self, requests: Collection[Request]) -> Standing:
        """How these stand now.

        Raises:
            StartupError, DatabaseDownError: the record cannot be read.
            CorruptDatabaseError: a set of policies cannot be read.
        """
        return await asyncio.to_thread(read_record, self._reading, partial(self._read, requests))

    def _read(self, requests: Collection[Request], moment: Transaction) -> Standing:
        revision = read_revision(moment)
        reasons = {each.approval_id: self._why_void(moment, each, revision) for each in requests}
        return Standing(revision, {approval_id: why for approval_id, why in reasons.items() if why})

    def _why_void(self, moment: Transaction, request: Request, revision: int) -> str:
        """Empty where it is not."""
        if request.ending not in (None, Ending.VOID):
            return ""
        if request.kind == "policy_change":
            return _moved_from(request, revision)
        if request.ending is Ending.VOID or self._others_decide(moment, request, revision):
            return OTHERS_DECIDE
        return ""

    def _others_decide(self, moment: Transaction, request: Request, revision: int) -> bool:
        try:
            asked = _ASKED.decode(request.facts)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False  # rule 3
        tags = tuple(tags_of(moment, PublicKey(request.public_key)))
        targets = frozenset(targets_of(msgspec.structs.replace(asked.signer, tags=tags), asked.caller))
        serving = read_serving_since(moment, targets, revision=revision, known=self._known.get(targets))
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[targets] = serving
        return policies_hash(serving.bound, since=serving.since) != request.policies_hash


def _moved_from(request: Request, revision: int) -> str:
    """Why a change of policies can never be made; empty where it can."""
    try:
        asked_at = _CHANGE.decode(request.facts).revision
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""  # rule 3
    if asked_at == revision:
        return ""
    return (
        f"the policies have moved from revision {asked_at}, which it was asked for at, to {revision}: give the order"
        " again, and people are asked again"
    )
