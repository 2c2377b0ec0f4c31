"""The root a duty's signature is made over: the object's root under its domain.

Rule 1: the fork version is the one `fork_info` gives for the duty's epoch, never one of the network's schedule,
but for the duties whose specification fixes it: exits (EIP-7044), deposits, registrations, builder requests,
changes of withdrawal credentials.
Rule 2: `fork_info.fork.epoch` is not compared with the schedule: Lodestar sends the duty's own epoch.
Rule 3: a shape that depends on the fork is chosen by what the schedule and `fork_info` say together.
"""

from collections.abc import Callable, Mapping
from typing import Any

from signer.errors import MalformedRequestError
from signer.eth2 import domains, object_roots
from signer.eth2.domains import ZERO_ROOT, domain
from signer.eth2.duties import (
    AggregateAndProofDuty,
    AggregationSlotDuty,
    AttestationDuty,
    BlockDuty,
    BlsToExecutionChangeDuty,
    BuilderRequestAuthDuty,
    DepositDuty,
    Duty,
    ExecutionPayloadBidDuty,
    ExecutionPayloadEnvelopeDuty,
    InclusionListDuty,
    PayloadAttestationDuty,
    ProposerPreferencesDuty,
    RandaoRevealDuty,
    SyncCommitteeContributionDuty,
    SyncCommitteeMessageDuty,
    SyncCommitteeSelectionProofDuty,
    ValidatorRegistrationDuty,
    VoluntaryExitDuty,
)
from signer.eth2.forks import Fork, ForkInfo
from signer.eth2.networks import Network
from signer.eth2.ssz import signing_data_root, uint64_leaf
from signer.units import Domain, Epoch, Root, Slot


def signing_root(duty: Duty, fork_info: ForkInfo | None, network: Network) -> Root:
    """The root to sign for a duty.

    Raises:
        MalformedRequestError: `fork_info` is missing where the type needs one, or a field does not fit the
            type of the duty's fork.
    """
    return _ROOTS[type(duty)](duty, fork_info, network)


# --- votes and proposals -----------------------------------------------------------------------------


def attestation_root(duty: AttestationDuty, fork_info: ForkInfo | None, network: Network) -> Root:  # noqa: ARG001 -- one signature for all
    """A vote, under the target's epoch."""
    vote_domain = _domain_at_epoch(domains.BEACON_ATTESTER, duty.target_epoch, fork_info)
    return signing_data_root(object_roots.attestation_data_root(duty), vote_domain)


def block_root(duty: BlockDuty, fork_info: ForkInfo | None, network: Network) -> Root:
    """A proposal."""
    block_domain = _domain_at_slot(domains.BEACON_PROPOSER, duty.slot, fork_info, network)
    return signing_data_root(object_roots.block_header_root(duty), block_domain)


def randao_reveal_root(duty: RandaoRevealDuty, fork_info: ForkInfo | None, network: Network) -> Root:  # noqa: ARG001 -- one signature for all
    """A RANDAO reveal: the epoch itself is signed."""
    return signing_data_root(uint64_leaf(duty.epoch), _domain_at_epoch(domains.RANDAO, duty.epoch, fork_info))


# --- aggregates -----------------------------------------------------------------------------------------


def aggregation_slot_root(duty: AggregationSlotDuty, fork_info: ForkInfo | None, network: Network) -> Root:
    """A selection proof: the slot itself is signed."""
    proof_domain = _domain_at_slot(domains.SELECTION_PROOF, duty.slot, fork_info, network)
    return signing_data_root(uint64_leaf(duty.slot), proof_domain)


def aggregate_and_proof_root(duty: AggregateAndProofDuty, fork_info: ForkInfo | None, network: Network) -> Root:
    """An aggregate, in the shape of its fork."""
    known = _required(fork_info)
    aggregate_domain = _domain_at_slot(domains.AGGREGATE_AND_PROOF, duty.vote.slot, known, network)
    fork = aggregate_fork(duty, known, network)
    if fork < Fork.ELECTRA:
        return signing_data_root(object_roots.aggregate_and_proof_root(duty), aggregate_domain)
    if duty.committee_bits is None:
        raise MalformedRequestError(
            "committee_bits is missing: an aggregate of Electra or later has them (EIP-7549)",
            path="aggregate_and_proof.aggregate.committee_bits",
        )
    root_of = (
        object_roots.electra_aggregate_and_proof_root
        if fork < Fork.GLOAS
        else object_roots.gloas_aggregate_and_proof_root
    )
    return signing_data_root(root_of(duty, duty.committee_bits, preset=network.preset), aggregate_domain)


def aggregate_fork(duty: AggregateAndProofDuty, fork_info: ForkInfo, network: Network) -> Fork:
    """The fork whose shape an aggregate has.

    The later one of what the schedule says of the slot and what the version in `fork_info` belongs to, so that a
    schedule that has not heard of a fork's date does no harm. Where the schedule does not know the version at
    all, the request itself is the witness: its declared version, and `committee_bits`, which no client sends
    before Electra unasked.
    """
    epoch = network.epoch_of(duty.vote.slot)
    scheduled = network.fork_at(epoch)
    versioned = network.find_fork(fork_info.version_at(epoch))
    if versioned is not None:
        return max(scheduled, versioned)
    witnessed = Fork.PHASE0 if duty.committee_bits is None else Fork.ELECTRA
    return max(scheduled, witnessed, duty.declared_fork or Fork.PHASE0)


# --- sync committees ------------------------------------------------------------------------------------


def sync_committee_message_root(duty: SyncCommitteeMessageDuty, fork_info: ForkInfo | None, network: Network) -> Root:
    """A sync committee vote: the head's root itself is signed."""
    vote_domain = _domain_at_slot(domains.SYNC_COMMITTEE, duty.slot, fork_info, network)
    return signing_data_root(duty.beacon_block_root, vote_domain)


def sync_committee_selection_proof_root(
    duty: SyncCommitteeSelectionProofDuty, fork_info: ForkInfo | None, network: Network
) -> Root:
    """A sync committee selection proof."""
    proof_domain = _domain_at_slot(domains.SYNC_COMMITTEE_SELECTION_PROOF, duty.slot, fork_info, network)
    return signing_data_root(object_roots.sync_aggregator_selection_root(duty), proof_domain)


def sync_committee_contribution_root(
    duty: SyncCommitteeContributionDuty, fork_info: ForkInfo | None, network: Network
) -> Root:
    """A sync committee contribution with its proof."""
    contribution_domain = _domain_at_slot(domains.CONTRIBUTION_AND_PROOF, duty.slot, fork_info, network)
    return signing_data_root(object_roots.contribution_and_proof_root(duty, network.preset), contribution_domain)


# --- a validator's life: versions fixed by the specification ------------------------------------------------


def deposit_root(duty: DepositDuty, fork_info: ForkInfo | None, network: Network) -> Root:  # noqa: ARG001 -- one signature for all
    """A deposit: the genesis fork version of the request, before any chain (phase0, `apply_deposit`)."""
    deposit_domain = domain(domains.DEPOSIT, duty.genesis_fork_version, ZERO_ROOT)
    return signing_data_root(object_roots.deposit_message_root(duty), deposit_domain)


def voluntary_exit_root(duty: VoluntaryExitDuty, fork_info: ForkInfo | None, network: Network) -> Root:
    """An exit. Since Deneb it is valid under Capella's version for ever (EIP-7044), whatever its epoch."""
    known = _required(fork_info)
    version = known.version_at(duty.epoch)
    # The schedule may lag behind the chain, or the exit's epoch may lie before Deneb while the chain is past it:
    # a current version of Deneb or later is proof enough.
    current = network.find_fork(known.current_version)
    if network.fork_at(duty.epoch) >= Fork.DENEB or (current is not None and current >= Fork.DENEB):
        version = network.find_version(Fork.CAPELLA) or version
    exit_domain = domain(domains.VOLUNTARY_EXIT, version, known.genesis_validators_root)
    return signing_data_root(object_roots.voluntary_exit_root(duty), exit_domain)


def validator_registration_root(
    duty: ValidatorRegistrationDuty,
    fork_info: ForkInfo | None,  # noqa: ARG001 -- Nimbus sends one, the type has none
    network: Network,
) -> Root:
    """A builder registration: genesis fork version, before any chain (builder-specs, bellatrix/builder.md)."""
    builder_domain = domain(domains.APPLICATION_BUILDER, network.genesis_fork_version, ZERO_ROOT)
    return signing_data_root(object_roots.validator_registration_root(duty), builder_domain)


def bls_to_execution_change_root(duty: BlsToExecutionChangeDuty, fork_info: ForkInfo | None, network: Network) -> Root:
    """A change of credentials: genesis fork version on this chain (capella, `process_bls_to_execution_change`)."""
    genesis_validators_root = _required(fork_info).genesis_validators_root
    change_domain = domain(domains.BLS_TO_EXECUTION_CHANGE, network.genesis_fork_version, genesis_validators_root)
    return signing_data_root(object_roots.bls_to_execution_change_root(duty), change_domain)


# --- Gloas and Heze -------------------------------------------------------------------------------------------


def execution_payload_bid_root(duty: ExecutionPayloadBidDuty, fork_info: ForkInfo | None, network: Network) -> Root:
    """A builder's bid; Heze's shape has inclusion list bits, and no client sends them unasked."""
    bid_domain = _domain_at_slot(domains.BEACON_BUILDER, duty.slot, fork_info, network)
    if duty.inclusion_list_bits is not None:
        heze_root = object_roots.heze_execution_payload_bid_root(duty, duty.inclusion_list_bits)
        return signing_data_root(heze_root, bid_domain)
    if network.fork_at(network.epoch_of(duty.slot)) >= Fork.HEZE:
        raise MalformedRequestError(
            "inclusion_list_bits is missing: a bid of Heze has them (EIP-7805)",
            path="execution_payload_bid.inclusion_list_bits",
        )
    return signing_data_root(object_roots.execution_payload_bid_root(duty), bid_domain)


def execution_payload_envelope_root(
    duty: ExecutionPayloadEnvelopeDuty, fork_info: ForkInfo | None, network: Network
) -> Root:
    """A revealed payload."""
    envelope_domain = _domain_at_slot(domains.BEACON_BUILDER, duty.slot, fork_info, network)
    return signing_data_root(object_roots.execution_payload_envelope_root(duty), envelope_domain)


def payload_attestation_root(duty: PayloadAttestationDuty, fork_info: ForkInfo | None, network: Network) -> Root:
    """A payload timeliness vote."""
    vote_domain = _domain_at_slot(domains.PTC_ATTESTER, duty.slot, fork_info, network)
    return signing_data_root(object_roots.payload_attestation_data_root(duty), vote_domain)


def proposer_preferences_root(duty: ProposerPreferencesDuty, fork_info: ForkInfo | None, network: Network) -> Root:
    """A proposer's preferences, under the proposal's epoch."""
    preferences_domain = _domain_at_slot(domains.PROPOSER_PREFERENCES, duty.proposal_slot, fork_info, network)
    return signing_data_root(object_roots.proposer_preferences_root(duty), preferences_domain)


def builder_request_auth_root(
    duty: BuilderRequestAuthDuty,
    fork_info: ForkInfo | None,  # noqa: ARG001 -- the type has none
    network: Network,
) -> Root:
    """A pass to a builder: genesis fork version, before any chain (builder-specs, gloas/builder.md)."""
    auth_domain = domain(domains.BUILDER_REQUEST_AUTH, network.genesis_fork_version, ZERO_ROOT)
    return signing_data_root(object_roots.builder_request_auth_root(duty), auth_domain)


def inclusion_list_root(duty: InclusionListDuty, fork_info: ForkInfo | None, network: Network) -> Root:
    """An inclusion list. Lodestar sends no `fork_info` with it: the network's own then stands in, if it has a root."""
    if fork_info is None and network.genesis_validators_root is not None:
        version = network.version_at(network.epoch_of(duty.slot))
        list_domain = domain(domains.INCLUSION_LIST_COMMITTEE, version, network.genesis_validators_root)
    else:
        list_domain = _domain_at_slot(domains.INCLUSION_LIST_COMMITTEE, duty.slot, fork_info, network)
    return signing_data_root(object_roots.inclusion_list_root(duty), list_domain)


# --- domains --------------------------------------------------------------------------------------------------


def _domain_at_slot(domain_type: bytes, slot: Slot, fork_info: ForkInfo | None, network: Network) -> Domain:
    return _domain_at_epoch(domain_type, network.epoch_of(slot), fork_info)


def _domain_at_epoch(domain_type: bytes, epoch: Epoch, fork_info: ForkInfo | None) -> Domain:
    known = _required(fork_info)
    return domain(domain_type, known.version_at(epoch), known.genesis_validators_root)


def _required(fork_info: ForkInfo | None) -> ForkInfo:
    if fork_info is None:
        raise MalformedRequestError(
            "fork_info is missing: this type is signed under a fork version and a genesis_validators_root",
            path="fork_info",
        )
    return fork_info


_ROOTS: Mapping[type[Duty], Callable[[Any, ForkInfo | None, Network], Root]] = {
    AttestationDuty: attestation_root,
    BlockDuty: block_root,
    RandaoRevealDuty: randao_reveal_root,
    AggregationSlotDuty: aggregation_slot_root,
    AggregateAndProofDuty: aggregate_and_proof_root,
    SyncCommitteeMessageDuty: sync_committee_message_root,
    SyncCommitteeSelectionProofDuty: sync_committee_selection_proof_root,
    SyncCommitteeContributionDuty: sync_committee_contribution_root,
    DepositDuty: deposit_root,
    VoluntaryExitDuty: voluntary_exit_root,
    ValidatorRegistrationDuty: validator_registration_root,
    BlsToExecutionChangeDuty: bls_to_execution_change_root,
    ExecutionPayloadBidDuty: execution_payload_bid_root,
    ExecutionPayloadEnvelopeDuty: execution_payload_envelope_root,
    PayloadAttestationDuty: payload_attestation_root,
    ProposerPreferencesDuty: proposer_preferences_root,
    BuilderRequestAuthDuty: builder_request_auth_root,
    InclusionListDuty: inclusion_list_root,
}
"""Every duty has its entry; a test compares with `Duty`."""
