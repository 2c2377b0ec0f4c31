"""Since when the same policies decide, on either database: whatever was replaced and has come back begins anew."""

from pathlib import Path

import pytest
from journal.kept_records import DATABASES, KeptRecord, open_kept
from journal.record import PlainStory

from signer.journal.ledger import Transaction
from signer.policy.bindings import Binding, ToKey, ToTag
from signer.policy.policy_record import lock_policies, read_policy_set, store_policy_set
from signer.policy.policy_set import NamedList, PolicySet, ServedPolicy
from signer.policy.serving_since import REVISIONS_AT_ONCE, Since, read_serving_since

A, B = "a" * 64, "b" * 64
KEY, OTHER_KEY = ToKey("key-1"), ToKey("key-2")
HERE = (KEY, ToTag("lido"))
BOUND = (Binding("exits", KEY),)


@pytest.fixture(params=DATABASES)
def kept(request: pytest.FixtureRequest, tmp_path: Path):
    record = open_kept(request.param, tmp_path, lambda: request.getfixturevalue("emptied_url"), deadline_seconds=60.0)
    yield record
    record.close()


async def put(kept: KeptRecord, version: str, bindings=BOUND, **fields) -> int:
    """Let the policy `exits` hold in this version, bound like that; the new revision."""

    def change(transaction: Transaction) -> PolicySet:
        lock_policies(transaction)
        served = (ServedPolicy("exits", version, staged=fields.get("staged", "")), ServedPolicy("other", A))
        names = tuple(NamedList(name, ("x",)) for name in fields.get("lists", ()))
        said = PolicySet(read_policy_set(transaction).revision, served, bindings, names)
        return store_policy_set(transaction, said, changed_ms=0, changed_by="test", change="test")

    return (await kept.writer.perform(change, lambda _: PlainStory())).revision


def since(kept: KeptRecord, revision: int, known: Since | None = None) -> int:
    with kept.reading() as moment:
        return read_serving_since(moment, HERE, revision=revision, known=known).since


async def test_a_version_that_was_replaced_and_has_come_back_begins_anew(kept: KeptRecord) -> None:
    assert [since(kept, await put(kept, version)) for version in (A, B, B, A)] == [1, 2, 2, 4]


async def test_a_binding_that_was_taken_away_and_given_back_begins_anew(kept: KeptRecord) -> None:
    beside = (*BOUND, Binding("other", ToTag("lido")))
    assert [since(kept, await put(kept, A, bound)) for bound in (BOUND, (), BOUND, beside, BOUND)] == [1, 2, 3, 4, 5]


async def test_what_is_published_listed_or_bound_elsewhere_begins_nothing(kept: KeptRecord) -> None:
    await put(kept, A)
    elsewhere = (*BOUND, Binding("other", OTHER_KEY))
    assert since(kept, await put(kept, A, staged=B)) == 1
    assert since(kept, await put(kept, A, lists=["friends"])) == 1
    assert since(kept, await put(kept, A, elsewhere)) == 1
    assert since(kept, await put(kept, A, (*BOUND, Binding("exits", ToTag("lido"))))) == 1, "bound twice is heard once"


async def test_a_long_history_is_read_to_its_beginning_and_what_is_known_of_it_is_used(kept: KeptRecord) -> None:
    await put(kept, B)
    for n in range(2 * REVISIONS_AT_ONCE + 1):
        newest = await put(kept, A, lists=[f"list{n}"])
    assert since(kept, newest) == 2
    assert since(kept, newest, Since(newest - 3, 2)) == 2
    assert since(kept, newest, Since(newest, 2)) == 2
    assert since(kept, 1, Since(newest, 2)) == 1, "what is known of later revisions says nothing of this one"
    changed = await put(kept, B)
    assert since(kept, changed, Since(newest, 2)) == changed
