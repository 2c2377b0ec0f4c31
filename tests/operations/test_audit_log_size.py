"""What the audit log costs: 10,000 validators make seven million entries a day, and a month of them is kept."""

import pytest
from journal.record import public_key, root, vote
from operations.record_twin import NOW

from signer.auth.principal import ANONYMOUS, Caller, Principal
from signer.journal.command import Command
from signer.operations.kept_record import KeptRecord
from signer.operations.story import DutyStory

ENTRY_BYTES = 134
"""An allowed attestation's, without the principal's name: 20 of head, 49 of key, 12 of duty, 16 of epochs, 33 of root,
and the lengths of name, code and note. Nothing of it can be left out of a leaf that is verified by itself."""

BOUND_BYTES = 160
"""Of an entry as it is stored, with its length and its share of the batch's row, for a name of up to 16 characters:
DESIGN.md's promise. At this size the month that `audit.keep_days` keeps is 34 GB for 10,000 validators."""


def votes_of_one_slot(validators: int, caller: Caller) -> list[Command]:
    """The same attestation by each validator."""
    commands = []
    for number in range(validators):
        key = public_key(number)
        story = DutyStory(caller, key, "ATTESTATION", 411_499, 411_500, root(7), int(NOW * 1000))
        commands.append(Command(vote(411_499, 411_500, mark=7, key=number).claims, story))
    return commands


@pytest.mark.parametrize("principal", [ANONYMOUS, Principal("lighthouse-0042")], ids=lambda one: one.name)
async def test_votes_of_one_slot_take_no_more_room_in_the_log_than_was_promised(
    record: KeptRecord, principal: Principal
) -> None:
    validators = 512
    for future in record.writer.commit_all(votes_of_one_slot(validators, Caller(principal, request_id=b"12345678"))):
        await future
    with record.view.reading() as moment:
        [(batches, entries, stored)] = moment.rows(
            "SELECT count(*), sum(count), sum(length(entries) + length(head)) FROM audit_batches"
        )
    assert entries == validators
    assert stored / entries < BOUND_BYTES
    # To the byte: what is added is added on purpose, and seven million times a day.
    assert stored == validators * (2 + ENTRY_BYTES + len(principal.name)) + batches * 32
