"""Policies put on record in one commit, as orders would put them: for tests of what decides by them."""

from collections.abc import Iterable

from msgspec.structs import replace

from signer.audit.entry import Kind
from signer.journal.ledger import Transaction
from signer.journal.writer import Writer
from signer.operations.story import NoteStory
from signer.policy.bindings import Binding, Target
from signer.policy.pack import read_pack, version_of
from signer.policy.policy_record import (
    Published,
    add_pack,
    find_published,
    lock_policies,
    read_policy_set,
    store_policy_set,
)
from signer.policy.policy_set import NamedList, PolicySet, ServedPolicy


async def put(
    writer: Writer,
    packs: Iterable[bytes],
    bindings: Iterable[tuple[str, Target]],
    *,
    lists: Iterable[NamedList] = (),
    shadows: Iterable[bytes] = (),
    keeps_facts: Iterable[str] = (),
) -> PolicySet:
    """From this commit on these policies decide, bound like that, and no others."""
    texts, beside = list(packs), {read_pack(text).manifest.name: text for text in shadows}
    served = {read_pack(text).manifest.name: text for text in texts}
    policies = tuple(
        ServedPolicy(name, version_of(served[name]), shadow=version_of(beside[name]) if name in beside else "")
        for name in sorted(served)
    )
    bound = sorted((Binding(name, to) for name, to in bindings), key=lambda each: (each.policy, str(each.to)))
    named, keeping = tuple(sorted(lists, key=lambda each: each.name)), tuple(sorted(keeps_facts))
    wanted = PolicySet(0, policies, tuple(bound), named, keeps_facts=keeping)

    def change(transaction: Transaction) -> PolicySet:
        lock_policies(transaction)
        for text in (*texts, *beside.values()):
            version = version_of(text)
            if find_published(transaction, version) is None:
                name = read_pack(text).manifest.name
                add_pack(transaction, text, Published(version, name, len(text), None, None, 0, "test"))
        newest = read_policy_set(transaction)
        told = replace(wanted, revision=newest.revision)
        return store_policy_set(transaction, told, changed_ms=0, changed_by="test", change="test")

    return await writer.perform(change, lambda _: NoteStory(Kind.POLICY_BOUND, 0, "test"))
