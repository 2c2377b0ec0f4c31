"""Readers of the duties of phase0 to Fulu: one function per type, from a whole request to a decoded duty.

Member names are those of the remote signing API, with the clients' other spellings beside them.
"""

from collections.abc import Callable, Mapping

from signer.api.wire_blocks import read_block, read_block_v2
from signer.api.wire_fields import (
    address_in,
    any_bytes,
    bitlist,
    duty_object,
    fork,
    object_in,
    public_key_in,
    root_in,
    signature_in,
    uint64_in,
    unwrapped,
    version_in,
)
from signer.api.wire_json import JsonObject
from signer.eth2.duties import (
    AggregateAndProofDuty,
    AggregationSlotDuty,
    AttestationDuty,
    BlsToExecutionChangeDuty,
    DepositDuty,
    Duty,
    RandaoRevealDuty,
    SyncCommitteeContributionDuty,
    SyncCommitteeMessageDuty,
    SyncCommitteeSelectionProofDuty,
    ValidatorRegistrationDuty,
    VoluntaryExitDuty,
)
from signer.eth2.networks import Preset
from signer.units import Epoch, Slot

Reader = Callable[[JsonObject, Preset], Duty]
"""Reads a request of one type. Raises MalformedRequestError."""


def _read_attestation(request: JsonObject, _: Preset) -> AttestationDuty:
    return _attestation_data(object_in(request, "attestation", ""), "attestation")


def _attestation_data(data: JsonObject, at: str) -> AttestationDuty:
    source = object_in(data, "source", at)
    target = object_in(data, "target", at)
    return AttestationDuty(
        slot=Slot(uint64_in(data, "slot", at)),
        index=uint64_in(data, "index", at),
        beacon_block_root=root_in(data, "beacon_block_root", at),
        source_epoch=Epoch(uint64_in(source, "epoch", f"{at}.source")),
        source_root=root_in(source, "root", f"{at}.source"),
        target_epoch=Epoch(uint64_in(target, "epoch", f"{at}.target")),
        target_root=root_in(target, "root", f"{at}.target"),
    )


def _read_aggregation_slot(request: JsonObject, _: Preset) -> AggregationSlotDuty:
    selection, at = duty_object(request, "aggregation_slot")
    return AggregationSlotDuty(slot=Slot(uint64_in(selection, "slot", at)))


def _read_aggregate_and_proof(request: JsonObject, _: Preset) -> AggregateAndProofDuty:
    # Both type names carry both shapes: Lighthouse sends the bare one with Electra's fields, Prysm the wrapped
    # one with version PHASE0 (peers' sources; Web3Signer's deserialiser does the same).
    wrapper, name = duty_object(request, "aggregate_and_proof")
    message, at = unwrapped(wrapper, name)
    declared = None if message is wrapper else wrapper.get("version")
    aggregate = object_in(message, "aggregate", at)
    committee_bits = aggregate.get("committee_bits")
    in_aggregate = f"{at}.aggregate"
    return AggregateAndProofDuty(
        aggregator_index=uint64_in(message, "aggregator_index", at),
        aggregation_bits=bitlist(aggregate.get("aggregation_bits"), in_aggregate, "aggregation_bits"),
        vote=_attestation_data(object_in(aggregate, "data", in_aggregate), f"{in_aggregate}.data"),
        signature=signature_in(aggregate, "signature", in_aggregate),
        selection_proof=signature_in(message, "selection_proof", at),
        committee_bits=None if committee_bits is None else any_bytes(committee_bits, in_aggregate, "committee_bits"),
        declared_fork=None if declared is None else fork(declared, name, "version"),
    )


def _read_randao_reveal(request: JsonObject, _: Preset) -> RandaoRevealDuty:
    reveal, at = duty_object(request, "randao_reveal")
    return RandaoRevealDuty(epoch=Epoch(uint64_in(reveal, "epoch", at)))


def _read_deposit(request: JsonObject, _: Preset) -> DepositDuty:
    deposit, at = duty_object(request, "deposit")
    return DepositDuty(
        deposited_key=public_key_in(deposit, "pubkey", at),
        withdrawal_credentials=root_in(deposit, "withdrawal_credentials", at),
        amount_gwei=uint64_in(deposit, "amount", at),
        genesis_fork_version=version_in(deposit, "genesis_fork_version", at),
    )


def _read_voluntary_exit(request: JsonObject, _: Preset) -> VoluntaryExitDuty:
    voluntary_exit, at = duty_object(request, "voluntary_exit")
    return VoluntaryExitDuty(
        epoch=Epoch(uint64_in(voluntary_exit, "epoch", at)),
        validator_index=uint64_in(voluntary_exit, "validator_index", at),
    )


def _read_sync_committee_message(request: JsonObject, _: Preset) -> SyncCommitteeMessageDuty:
    message, at = duty_object(request, "sync_committee_message")
    return SyncCommitteeMessageDuty(
        beacon_block_root=root_in(message, "beacon_block_root", at), slot=Slot(uint64_in(message, "slot", at))
    )


def _read_sync_committee_selection_proof(request: JsonObject, _: Preset) -> SyncCommitteeSelectionProofDuty:
    selection, at = duty_object(request, "sync_aggregator_selection_data")
    return SyncCommitteeSelectionProofDuty(
        slot=Slot(uint64_in(selection, "slot", at)), subcommittee_index=uint64_in(selection, "subcommittee_index", at)
    )


def _read_sync_committee_contribution(request: JsonObject, _: Preset) -> SyncCommitteeContributionDuty:
    message, at = duty_object(request, "contribution_and_proof")
    contribution = object_in(message, "contribution", at)
    inside = f"{at}.contribution"
    return SyncCommitteeContributionDuty(
        aggregator_index=uint64_in(message, "aggregator_index", at),
        slot=Slot(uint64_in(contribution, "slot", inside)),
        beacon_block_root=root_in(contribution, "beacon_block_root", inside),
        subcommittee_index=uint64_in(contribution, "subcommittee_index", inside),
        aggregation_bits=any_bytes(contribution.get("aggregation_bits"), inside, "aggregation_bits"),
        signature=signature_in(contribution, "signature", inside),
        selection_proof=signature_in(message, "selection_proof", at),
    )


def _read_validator_registration(request: JsonObject, _: Preset) -> ValidatorRegistrationDuty:
    registration, at = duty_object(request, "validator_registration")
    return ValidatorRegistrationDuty(
        fee_recipient=address_in(registration, "fee_recipient", at),
        gas_limit=uint64_in(registration, "gas_limit", at),
        timestamp=uint64_in(registration, "timestamp", at),
        registered_key=public_key_in(registration, "pubkey", at),
    )


def _read_bls_to_execution_change(request: JsonObject, _: Preset) -> BlsToExecutionChangeDuty:
    # Lodestar writes the member's name in upper case.
    change, at = duty_object(request, "bls_to_execution_change", "BLS_TO_EXECUTION_CHANGE")
    return BlsToExecutionChangeDuty(
        validator_index=uint64_in(change, "validator_index", at),
        from_bls_key=public_key_in(change, "from_bls_pubkey", at),
        to_execution_address=address_in(change, "to_execution_address", at),
    )


READERS: Mapping[str, Reader] = {
    "ATTESTATION": _read_attestation,
    "BLOCK": read_block,
    "BLOCK_V2": read_block_v2,
    "AGGREGATION_SLOT": _read_aggregation_slot,
    "AGGREGATE_AND_PROOF": _read_aggregate_and_proof,
    "AGGREGATE_AND_PROOF_V2": _read_aggregate_and_proof,
    "RANDAO_REVEAL": _read_randao_reveal,
    "DEPOSIT": _read_deposit,
    "VOLUNTARY_EXIT": _read_voluntary_exit,
    "SYNC_COMMITTEE_MESSAGE": _read_sync_committee_message,
    "SYNC_COMMITTEE_SELECTION_PROOF": _read_sync_committee_selection_proof,
    "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF": _read_sync_committee_contribution,
    "VALIDATOR_REGISTRATION": _read_validator_registration,
    "BLS_TO_EXECUTION_CHANGE": _read_bls_to_execution_change,
}
"""By the type's name on the wire."""
