"""Tags that policies are bound to: a change of who bears one is a change of the policies.

So it makes another revision of the set, which says the same: whatever was judged before it is refused in the commit and
judged again (`policy/policy_set_ledger.py`), in every process and on every signer of the record. One revision is made
for all keys of an order or a load, after their tags are on record and before the order is answered or the keys serve.
"""

import asyncio
from collections.abc import Iterable

from signer.audit.entry import Kind
from signer.auth.principal import Caller
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.tags import Tag
from signer.operations.changes import Changes
from signer.operations.reading import read_record
from signer.operations.story import NoteStory
from signer.policy.bindings import ToTag
from signer.policy.policy_record import lock_policies, read_policy_set, store_policy_set
from signer.policy.policy_set import PolicySet

SERVICE = "holdfast"
"""Who changed the set, where no order did: a load of keys."""


async def bind_anew(
    changes: Changes, reading: Reading, tags: Iterable[Tag], *, caller: Caller | None, now_ms: int
) -> None:
    """What is bound to these tags is bound anew; nothing where nothing is. `caller` is None for a load of keys.

    Crash before this commit: the tags are on record, and processes see them when they look for tags the next time.

    Raises:
        JournalDownError, OutcomeUnknownError, StartupError.
    """
    changed = frozenset(tags)
    # Whoever binds one of them after this look reads the tags after their commit.
    if not changed or not changed & bound_tags(await asyncio.to_thread(read_record, reading, read_policy_set)):
        return
    by, request_id = (SERVICE, bytes(8)) if caller is None else (caller.principal.name, caller.request_id)

    def change(transaction: Transaction) -> str:
        lock_policies(transaction)
        policies = read_policy_set(transaction)
        told = "other keys bear " + " ".join(sorted(changed & bound_tags(policies)))
        newest = store_policy_set(transaction, policies, changed_ms=now_ms, changed_by=by, change=told)
        return f"{told}; revision {newest.revision}"

    await changes.perform(change, lambda told: NoteStory(Kind.POLICY_BOUND, now_ms, told, by, request_id))


def bound_tags(policies: PolicySet) -> frozenset[Tag]:
    """The tags that a policy is bound to."""
    return frozenset(Tag(each.to.tag) for each in policies.bindings if isinstance(each.to, ToTag))
