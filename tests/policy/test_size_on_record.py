"""What revisions and packs take on record: as much as the page for operators says, since nothing removes them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from policy.policy_packs import rules_pack, version_of

from signer.journal.sqlite import SqliteDatabase, create_database, open_writer
from signer.policy.bindings import Binding, ToKey
from signer.policy.policy_record import (
    Published,
    add_pack,
    read_pack,
    read_policy_set,
    read_policy_set_of,
    store_policy_set,
)
from signer.policy.policy_set import NamedList, PolicySet, ServedPolicy, encode_policy_set

REVISIONS = 50
PAGE_BYTES = 4096


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    path = tmp_path / "journal.sqlite"
    create_database(path, database_id=os.urandom(16))
    opened = open_writer(path)
    yield opened
    opened.close()


def size(database: SqliteDatabase) -> int:
    ((pages,),) = database.rows("PRAGMA page_count")
    return int(pages) * PAGE_BYTES


def policies_of(policies: int, bindings: int, items: int) -> PolicySet:
    """With versions that decided before, and keys, as long as real ones."""
    names = [f"policy-{n:02}" for n in range(policies)]
    served = tuple(ServedPolicy(name, f"{n:064x}", ("ab" * 32,) * 3) for n, name in enumerate(names))
    bound = sorted(
        (Binding(names[n % policies], ToKey(f"0x{n:096x}")) for n in range(bindings)),
        key=lambda each: (each.policy, str(each.to)),
    )
    lists = (NamedList("receivers", tuple(f"0x{n:040x}" for n in range(items))),) if items else ()
    return PolicySet(0, served, tuple(bound), lists)


@pytest.mark.parametrize(
    ("policies", "bindings", "items", "told_bytes"), [(1, 1, 0, 820), (5, 20, 100, 9_600), (5, 20, 1_000, 50_000)]
)
def test_a_revision_takes_what_its_set_takes_and_stays(
    database: SqliteDatabase, policies: int, bindings: int, items: int, told_bytes: int
) -> None:
    """`told_bytes`: docs/policies.md."""
    held = first = policies_of(policies, bindings, items)
    before = size(database)
    with database.transaction():
        for _ in range(REVISIONS):
            change = f"activated policy staking: {'a' * 64} -> {'b' * 64}"
            held = store_policy_set(database, held, changed_ms=1, changed_by="operator-1", change=change)
    taken = (size(database) - before) / REVISIONS
    document = len(encode_policy_set(held))
    assert document <= taken <= document + 1024
    assert taken == pytest.approx(told_bytes, rel=0.1)
    assert read_policy_set(database).revision == REVISIONS
    assert read_policy_set_of(database, 1) == replace(first, revision=1)


def test_a_pack_takes_its_bytes_and_stays_when_others_follow(database: SqliteDatabase) -> None:
    texts = [rules_pack(description=f"{n} " + "x" * 500) for n in range(40)]
    before = size(database)
    with database.transaction():
        for text in texts:
            add_pack(database, text, Published(version_of(text), "staking", len(text), None, None, 1, "operator-1"))
    taken = (size(database) - before) / len(texts)
    assert taken <= len(texts[0]) + PAGE_BYTES
    assert [read_pack(database, version_of(text)) for text in texts] == texts
