"""What policies are told of a consensus duty: a table of which field of the duty is which fact.

Rule 1: a fact is a field of the message that is signed, or follows from one (a slot's epoch). Nothing else is told.
Rule 2: what a header holds only as a root is told where it was proven, and otherwise not at all.
"""

from collections.abc import Mapping

from msgspec import Struct

from signer.eth2 import duties
from signer.policy.facts import Duty

_SLOT = {"slot": "slot"}
_VOTE = {
    "slot": "slot",
    "epoch": "target_epoch",
    "source_epoch": "source_epoch",
    "target_epoch": "target_epoch",
    "beacon_block_root": "beacon_block_root",
}
_HEAD = {"slot": "slot", "beacon_block_root": "beacon_block_root"}

_FIELDS: Mapping[type, Mapping[str, str]] = {
    duties.AttestationDuty: _VOTE,
    duties.BlockDuty: {"slot": "slot", "validator_index": "proposer_index"},
    duties.AggregationSlotDuty: _SLOT,
    duties.AggregateAndProofDuty: {"validator_index": "aggregator_index"},
    duties.RandaoRevealDuty: {"epoch": "epoch"},
    duties.DepositDuty: {
        "public_key": "deposited_key",
        "withdrawal_credentials": "withdrawal_credentials",
        "amount_gwei": "amount_gwei",
    },
    duties.VoluntaryExitDuty: {"epoch": "epoch", "validator_index": "validator_index"},
    duties.SyncCommitteeMessageDuty: _HEAD,
    duties.SyncCommitteeSelectionProofDuty: _SLOT,
    duties.SyncCommitteeContributionDuty: {**_HEAD, "validator_index": "aggregator_index"},
    duties.ValidatorRegistrationDuty: {
        "public_key": "registered_key",
        "fee_recipient": "fee_recipient",
        "gas_limit": "gas_limit",
    },
    duties.BlsToExecutionChangeDuty: {
        "validator_index": "validator_index",
        "to_execution_address": "to_execution_address",
    },
    duties.ExecutionPayloadBidDuty: {
        "slot": "slot",
        "fee_recipient": "fee_recipient",
        "gas_limit": "gas_limit",
        "amount_gwei": "value_gwei",
    },
    duties.ExecutionPayloadEnvelopeDuty: {**_HEAD, "fee_recipient": "fee_recipient", "gas_limit": "gas_limit"},
    duties.PayloadAttestationDuty: _HEAD,
    duties.ProposerPreferencesDuty: {
        "slot": "proposal_slot",
        "validator_index": "validator_index",
        "fee_recipient": "fee_recipient",
        "gas_limit": "target_gas_limit",
    },
    duties.BuilderRequestAuthDuty: _SLOT,
    duties.InclusionListDuty: {"slot": "slot", "validator_index": "validator_index"},
}
"""For each duty: the fact's name, and the field that is it."""


class Proven(Struct, frozen=True):
    """What a request has proven of a block's body, against the root of it that is signed; None where it has not."""

    fee_recipient: bytes | None = None
    graffiti: bytes | None = None
    """All 32 bytes."""


NOTHING_PROVEN = Proven()


def duty_facts(duty: duties.Duty, *, slots_per_epoch: int | None, proven: Proven = NOTHING_PROVEN) -> Duty:
    """The facts of a duty.

    Args:
        duty: what will be signed.
        slots_per_epoch: of the chain; None where it is not known yet: then a slot's epoch is not told.
        proven: of a block, what the request proved.
    """
    facts = _facts(duty, _FIELDS[type(duty)])
    if isinstance(duty, duties.AggregateAndProofDuty):
        facts |= _facts(duty.vote, _VOTE)
    if isinstance(duty, duties.BlockDuty):
        if proven.fee_recipient is not None:
            facts["fee_recipient"] = _written(proven.fee_recipient)
        if proven.graffiti is not None:
            facts["graffiti"] = _written(proven.graffiti)
    if slots_per_epoch is not None and "slot" in facts and "epoch" not in facts:
        facts["epoch"] = str(int(facts["slot"]) // slots_per_epoch)
    return Duty(type=duty.type, **facts)


def _facts(duty: object, fields: Mapping[str, str]) -> dict[str, str]:
    return {fact: _written(getattr(duty, name)) for fact, name in fields.items()}


def _written(value: int | bytes) -> str:
    return str(value) if isinstance(value, int) else "0x" + value.hex()
