"""What policies are told of each consensus duty."""

from typing import get_args

import pytest
from msgspec.structs import fields, replace

from signer.eth2 import duties
from signer.policy.duty_facts import Proven, duty_facts
from signer.policy.facts import VERSION, Caller, Duty, Environment, Facts, Signer, decode_facts, encode_facts
from signer.units import Epoch, PublicKey, Root, Signature, Slot, Version

ROOT, OTHER_ROOT = Root(b"\x11" * 32), Root(b"\x22" * 32)
KEY = PublicKey(b"\xab" * 48)
ADDRESS = b"\xcd" * 20
SIGNATURE = Signature(b"\x33" * 96)

VOTE = duties.AttestationDuty(
    slot=Slot(65), index=0, beacon_block_root=ROOT, source_epoch=Epoch(1), source_root=ROOT, target_epoch=Epoch(2),
    target_root=OTHER_ROOT,
)  # fmt: skip
BLOCK = duties.BlockDuty(
    slot=Slot(65), proposer_index=7, parent_root=ROOT, state_root=ROOT, body_root=ROOT, fee_recipient_proof=None
)
VOTED = {"slot": "65", "epoch": "2", "source_epoch": "1", "target_epoch": "2", "beacon_block_root": "0x" + "11" * 32}
HEAD = {"slot": "65", "epoch": "2", "beacon_block_root": "0x" + "11" * 32}
AT_SLOT = {"slot": "65", "epoch": "2"}
RECIPIENT = "0x" + "cd" * 20

TOLD = [
    (VOTE, VOTED),
    (BLOCK, {**AT_SLOT, "validator_index": "7"}),
    (duties.AggregationSlotDuty(Slot(65)), AT_SLOT),
    (duties.AggregateAndProofDuty(9, b"\x01", VOTE, SIGNATURE, SIGNATURE), {**VOTED, "validator_index": "9"}),
    (duties.RandaoRevealDuty(Epoch(5)), {"epoch": "5"}),
    (
        duties.DepositDuty(KEY, ROOT, 32_000_000_000, Version(b"\0\0\0\0")),
        {
            "public_key": "0x" + "ab" * 48,
            "withdrawal_credentials": "0x" + "11" * 32,
            "amount_gwei": "32000000000",
        },
    ),
    (duties.VoluntaryExitDuty(Epoch(5), 6), {"epoch": "5", "validator_index": "6"}),
    (duties.SyncCommitteeMessageDuty(ROOT, Slot(65)), HEAD),
    (duties.SyncCommitteeSelectionProofDuty(Slot(65), 3), AT_SLOT),
    (
        duties.SyncCommitteeContributionDuty(4, Slot(65), ROOT, 1, b"\x01", SIGNATURE, SIGNATURE),
        {**HEAD, "validator_index": "4"},
    ),
    (
        duties.ValidatorRegistrationDuty(ADDRESS, 36_000_000, 1_700_000_000, KEY),
        {"fee_recipient": RECIPIENT, "gas_limit": "36000000", "public_key": "0x" + "ab" * 48},
    ),
    (
        duties.BlsToExecutionChangeDuty(8, KEY, ADDRESS),
        {"validator_index": "8", "to_execution_address": RECIPIENT},
    ),
    (
        duties.ExecutionPayloadBidDuty(
            ROOT, ROOT, ROOT, ROOT, ADDRESS, 36_000_000, 3, Slot(65), 12, 13, (), OTHER_ROOT
        ),
        {**AT_SLOT, "fee_recipient": RECIPIENT, "gas_limit": "36000000", "amount_gwei": "12"},
    ),
    (
        duties.ExecutionPayloadEnvelopeDuty(
            OTHER_ROOT, OTHER_ROOT, 3, ROOT, OTHER_ROOT, Slot(65), OTHER_ROOT, OTHER_ROOT, ADDRESS, 36_000_000
        ),
        {**HEAD, "fee_recipient": RECIPIENT, "gas_limit": "36000000"},
    ),
    (duties.PayloadAttestationDuty(ROOT, Slot(65), payload_present=True, blob_data_available=True), HEAD),
    (
        duties.ProposerPreferencesDuty(ROOT, Slot(65), 5, ADDRESS, 36_000_000),
        {**AT_SLOT, "validator_index": "5", "fee_recipient": RECIPIENT, "gas_limit": "36000000"},
    ),
    (duties.BuilderRequestAuthDuty(b"https://builder", Slot(65)), AT_SLOT),
    (duties.InclusionListDuty(Slot(65), 5, ROOT, (b"\x02",)), {**AT_SLOT, "validator_index": "5"}),
]


@pytest.mark.parametrize(("duty", "told"), TOLD, ids=[duty.type for duty, _ in TOLD])
def test_a_duty_is_told_by_its_own_fields(duty, told: dict[str, str]):
    facts = duty_facts(duty, slots_per_epoch=32)
    assert facts == Duty(type=duty.type, **told)
    whole = Facts(
        version=VERSION,
        opaque=False,
        payload_hash="0x" + "44" * 32,
        duty=facts,
        signer=Signer(key_id="k", public_key="0x" + "ab" * 48, algorithm="bls12-381", namespace="default"),
        caller=Caller(identity="validator-client"),
        environment=Environment(timestamp=1, simulation=False),
    )
    assert decode_facts(encode_facts(whole)) == whole


def test_every_duty_is_told():
    assert {type(duty) for duty, _ in TOLD} == set(get_args(duties.Duty))


def test_a_blocks_fee_recipient_is_told_only_where_it_was_proven():
    assert duty_facts(BLOCK, slots_per_epoch=32).fee_recipient is None
    assert duty_facts(BLOCK, slots_per_epoch=32, proven=Proven(fee_recipient=ADDRESS)).fee_recipient == RECIPIENT
    assert duty_facts(VOTE, slots_per_epoch=32, proven=Proven(fee_recipient=ADDRESS)).fee_recipient is None


def test_a_slots_epoch_is_not_told_where_the_chain_is_not_known():
    assert duty_facts(BLOCK, slots_per_epoch=None).epoch is None
    assert duty_facts(VOTE, slots_per_epoch=None).epoch == "2"


def test_the_largest_slot_there_is_keeps_every_digit():
    furthest = replace(BLOCK, slot=Slot(2**64 - 1))
    assert duty_facts(furthest, slots_per_epoch=32).slot == "18446744073709551615"


def test_no_fact_is_named_that_facts_do_not_have():
    known = {field.name for field in fields(Duty)}
    assert all(set(told) <= known for _, told in TOLD)
