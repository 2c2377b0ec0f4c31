"""What is set for a key: kept durably, and judged inside the commit of what names it."""

from pathlib import Path

import pytest
from journal.record import PlainStory, open_record, public_key
from journal.shared_record import open_shared

from signer.errors import RefusalError
from signer.journal.command import Command
from signer.keys.preference_ledger import PreferenceClaim
from signer.keys.preferences import NOTHING_SET, Preferences, read_preferences, write_preferences
from signer.units import UINT64_MAX

KEY, OTHER = public_key(1), public_key(2)
OURS, THEIRS = b"\x11" * 20, b"\x22" * 20


@pytest.fixture(params=["embedded", "shared"])
def records(request: pytest.FixtureRequest, tmp_path: Path):
    """Writers that work on one record: one alone, or two instances beside each other."""
    if request.param == "embedded":
        opened = [open_record(tmp_path)]
    else:
        url = request.getfixturevalue("database_url")
        opened = [open_shared(url, tmp_path / name) for name in ("1", "2")]
    yield opened
    for record in opened:
        record.close()


async def change(record, preferences: Preferences, key=KEY) -> Preferences:
    def work(transaction):
        write_preferences(transaction, key, preferences)
        return read_preferences(transaction, key)

    return await record.writer.perform(work, lambda _: PlainStory())


def naming(fee_recipient: bytes | None = None, gas_limit: int | None = None, key=KEY, defaults=(None, None)) -> Command:
    claim = PreferenceClaim(key, fee_recipient, gas_limit, None, *defaults)
    return Command((claim,), PlainStory(key))


async def verdicts(records, command: Command) -> set[str]:
    found = set()
    for record in records:
        try:
            await record.writer.commit(command)
            found.add("passed")
        except RefusalError as refusal:
            found.add(refusal.code)
    return found


@pytest.mark.parametrize(
    "preferences",
    [
        NOTHING_SET,
        Preferences(OURS, 30_000_000, "a vote of ours"),
        Preferences(gas_limit=UINT64_MAX),
        Preferences(gas_limit=0, graffiti="ü" * 16),
        Preferences(fee_recipient=OURS, graffiti=""),
    ],
)
async def test_what_was_set_is_read_again(records, preferences: Preferences) -> None:
    await change(records[0], Preferences(THEIRS, 1, "before"))
    assert await change(records[0], preferences) == preferences
    for record in records:
        found = await record.writer.perform(
            lambda transaction: read_preferences(transaction, KEY), lambda _: PlainStory()
        )
        assert found == preferences


async def test_what_an_operator_has_set_counts_from_the_next_commit_on(records) -> None:
    assert await verdicts(records, naming(OURS, 5)) == {"passed"}, "nothing is set"
    await change(records[0], Preferences(fee_recipient=OURS, gas_limit=5))
    assert await verdicts(records, naming(OURS, 5)) == {"passed"}
    assert await verdicts(records, naming(THEIRS, 5)) == {"OTHER_FEE_RECIPIENT"}
    assert await verdicts(records, naming(OURS, 6)) == {"OTHER_GAS_LIMIT"}
    assert await verdicts(records, naming(THEIRS, 6, key=OTHER)) == {"passed"}, "another key"
    await change(records[-1], Preferences(fee_recipient=THEIRS))
    assert await verdicts(records, naming(OURS, 6)) == {"OTHER_FEE_RECIPIENT"}
    assert await verdicts(records, naming(THEIRS, 6)) == {"passed"}, "a gas limit is set no more"
    await change(records[0], NOTHING_SET)
    assert await verdicts(records, naming(OURS, 6)) == {"passed"}


async def test_the_default_holds_where_nothing_is_set_for_the_key(records) -> None:
    defaults = (OURS, 30)
    assert await verdicts(records, naming(OURS, 30, defaults=defaults)) == {"passed"}
    assert await verdicts(records, naming(THEIRS, 30, defaults=defaults)) == {"OTHER_FEE_RECIPIENT"}
    await change(records[0], Preferences(fee_recipient=THEIRS))
    assert await verdicts(records, naming(THEIRS, 30, defaults=defaults)) == {"passed"}
    assert await verdicts(records, naming(THEIRS, 31, defaults=defaults)) == {"OTHER_GAS_LIMIT"}


async def test_a_refusal_tells_what_was_asked_what_is_set_and_what_to_do(records) -> None:
    await change(records[0], Preferences(fee_recipient=OURS))
    with pytest.raises(RefusalError) as caught:
        await records[-1].writer.commit(naming(THEIRS, 7, defaults=(None, 6)))
    assert caught.value.evidence["requested"] == "0x" + THEIRS.hex()
    assert (caught.value.evidence["set"], caught.value.evidence["set_by"]) == ("0x" + OURS.hex(), "key")
    assert "holdfast keys set" in str(caught.value.evidence["remedy"])
    with pytest.raises(RefusalError) as caught:
        await records[-1].writer.commit(naming(OURS, 7, defaults=(None, 6)))
    assert caught.value.evidence["requested"] == "7"
    assert (caught.value.evidence["set"], caught.value.evidence["set_by"]) == ("6", "keys.gas_limit")
