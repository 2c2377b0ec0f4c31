"""The hash tree root of each duty's object: what is signed before the domain is mixed in.

One function per container. Attestation data and headers are written out by hand: they are the hot path.
The shapes of Electra, Gloas and Heze are functions of their own; `signing_root.py` chooses.
"""

from signer.errors import MalformedRequestError
from signer.eth2.duties import (
    AggregateAndProofDuty,
    AttestationDuty,
    BlockDuty,
    BlsToExecutionChangeDuty,
    BuilderRequestAuthDuty,
    DepositDuty,
    ExecutionPayloadBidDuty,
    ExecutionPayloadEnvelopeDuty,
    InclusionListDuty,
    PayloadAttestationDuty,
    ProposerPreferencesDuty,
    SyncCommitteeContributionDuty,
    SyncCommitteeSelectionProofDuty,
    ValidatorRegistrationDuty,
    VoluntaryExitDuty,
)
from signer.eth2.networks import Preset
from signer.eth2.ssz import (
    ZERO_CHUNK,
    ZERO_HASHES,
    bitlist_length,
    bitlist_root,
    bitvector_root,
    boolean_leaf,
    byte_list_root,
    bytes48_root,
    bytes96_root,
    bytes_leaf,
    container_root,
    hash_pair,
    progressive_bitlist_root,
    progressive_byte_lists_root,
    progressive_container_root,
    progressive_list_root,
    uint64_leaf,
)

MAX_VALIDATORS_PER_COMMITTEE = 2048
"""Bits of an aggregate before Electra, and per committee since (phase0, the same in every preset)."""

INCLUSION_LIST_COMMITTEE_SIZE = 16
"""Bits of a Heze bid's `inclusion_list_bits` (heze, the same in every preset)."""

MAX_BUILDER_AUTH_DATA_SIZE = 4096
"""Bytes of a BuilderRequestAuth's data (builder-specs, gloas/builder.md)."""


def attestation_data_root(vote: AttestationDuty) -> bytes:
    """AttestationData."""
    source = hash_pair(uint64_leaf(vote.source_epoch), vote.source_root)
    target = hash_pair(uint64_leaf(vote.target_epoch), vote.target_root)
    where = hash_pair(uint64_leaf(vote.slot), uint64_leaf(vote.index))
    first = hash_pair(where, hash_pair(vote.beacon_block_root, source))
    return hash_pair(first, hash_pair(hash_pair(target, ZERO_CHUNK), ZERO_HASHES[1]))


def block_header_root(header: BlockDuty) -> bytes:
    """BeaconBlockHeader, and the BeaconBlock it stands for."""
    where = hash_pair(uint64_leaf(header.slot), uint64_leaf(header.proposer_index))
    first = hash_pair(where, hash_pair(header.parent_root, header.state_root))
    return hash_pair(first, hash_pair(hash_pair(header.body_root, ZERO_CHUNK), ZERO_HASHES[1]))


# --- aggregates -----------------------------------------------------------------------------------


def aggregate_and_proof_root(aggregate: AggregateAndProofDuty) -> bytes:
    """AggregateAndProof of phase0 to Deneb. Raises MalformedRequestError where the bits do not fit the type."""
    _check_bitlist(aggregate.aggregation_bits, MAX_VALIDATORS_PER_COMMITTEE)
    return _aggregate_and_proof_root(
        aggregate,
        container_root(
            bitlist_root(aggregate.aggregation_bits, MAX_VALIDATORS_PER_COMMITTEE),
            attestation_data_root(aggregate.vote),
            bytes96_root(aggregate.signature),
        ),
    )


def electra_aggregate_and_proof_root(
    aggregate: AggregateAndProofDuty, committee_bits: bytes, *, preset: Preset
) -> bytes:
    """AggregateAndProof of Electra and Fulu (EIP-7549). Raises MalformedRequestError where the bits do not fit."""
    limit = MAX_VALIDATORS_PER_COMMITTEE * preset.max_committees_per_slot
    _check_bitlist(aggregate.aggregation_bits, limit)
    _check_bitvector(committee_bits, preset.max_committees_per_slot, field="committee_bits")
    return _aggregate_and_proof_root(
        aggregate,
        container_root(
            bitlist_root(aggregate.aggregation_bits, limit),
            attestation_data_root(aggregate.vote),
            bytes96_root(aggregate.signature),
            bitvector_root(committee_bits, preset.max_committees_per_slot),
        ),
    )


def gloas_aggregate_and_proof_root(aggregate: AggregateAndProofDuty, committee_bits: bytes, *, preset: Preset) -> bytes:
    """AggregateAndProof since Gloas: a progressive Attestation (EIP-7688). Raises MalformedRequestError as above."""
    _check_bitlist(aggregate.aggregation_bits, MAX_VALIDATORS_PER_COMMITTEE * preset.max_committees_per_slot)
    _check_bitvector(committee_bits, preset.max_committees_per_slot, field="committee_bits")
    return _aggregate_and_proof_root(
        aggregate,
        progressive_container_root(
            progressive_bitlist_root(aggregate.aggregation_bits),
            attestation_data_root(aggregate.vote),
            bytes96_root(aggregate.signature),
            bitvector_root(committee_bits, preset.max_committees_per_slot),
        ),
    )


def _aggregate_and_proof_root(aggregate: AggregateAndProofDuty, attestation_root: bytes) -> bytes:
    return container_root(
        uint64_leaf(aggregate.aggregator_index), attestation_root, bytes96_root(aggregate.selection_proof)
    )


# --- sync committees ------------------------------------------------------------------------------


def sync_aggregator_selection_root(selection: SyncCommitteeSelectionProofDuty) -> bytes:
    """SyncAggregatorSelectionData."""
    return hash_pair(uint64_leaf(selection.slot), uint64_leaf(selection.subcommittee_index))


def contribution_and_proof_root(contribution: SyncCommitteeContributionDuty, preset: Preset) -> bytes:
    """ContributionAndProof. Raises MalformedRequestError where the bits do not fit the preset."""
    _check_bitvector(contribution.aggregation_bits, preset.sync_subcommittee_size, field="aggregation_bits")
    return container_root(
        uint64_leaf(contribution.aggregator_index),
        container_root(
            uint64_leaf(contribution.slot),
            contribution.beacon_block_root,
            uint64_leaf(contribution.subcommittee_index),
            bitvector_root(contribution.aggregation_bits, preset.sync_subcommittee_size),
            bytes96_root(contribution.signature),
        ),
        bytes96_root(contribution.selection_proof),
    )


# --- a validator's life -----------------------------------------------------------------------------


def deposit_message_root(deposit: DepositDuty) -> bytes:
    """DepositMessage."""
    return container_root(
        bytes48_root(deposit.deposited_key), deposit.withdrawal_credentials, uint64_leaf(deposit.amount_gwei)
    )


def voluntary_exit_root(voluntary_exit: VoluntaryExitDuty) -> bytes:
    """VoluntaryExit."""
    return hash_pair(uint64_leaf(voluntary_exit.epoch), uint64_leaf(voluntary_exit.validator_index))


def validator_registration_root(registration: ValidatorRegistrationDuty) -> bytes:
    """ValidatorRegistrationV1."""
    return container_root(
        bytes_leaf(registration.fee_recipient),
        uint64_leaf(registration.gas_limit),
        uint64_leaf(registration.timestamp),
        bytes48_root(registration.registered_key),
    )


def bls_to_execution_change_root(change: BlsToExecutionChangeDuty) -> bytes:
    """BLSToExecutionChange."""
    return container_root(
        uint64_leaf(change.validator_index),
        bytes48_root(change.from_bls_key),
        bytes_leaf(change.to_execution_address),
    )


# --- Gloas and Heze -----------------------------------------------------------------------------------


def execution_payload_bid_root(bid: ExecutionPayloadBidDuty) -> bytes:
    """ExecutionPayloadBid of Gloas."""
    return progressive_container_root(*_bid_fields(bid))


def heze_execution_payload_bid_root(bid: ExecutionPayloadBidDuty, inclusion_list_bits: bytes) -> bytes:
    """ExecutionPayloadBid since Heze. Raises MalformedRequestError where the bits do not fit."""
    _check_bitvector(inclusion_list_bits, INCLUSION_LIST_COMMITTEE_SIZE, field="inclusion_list_bits")
    bits = bitvector_root(inclusion_list_bits, INCLUSION_LIST_COMMITTEE_SIZE)
    return progressive_container_root(*_bid_fields(bid), bits)


def _bid_fields(bid: ExecutionPayloadBidDuty) -> tuple[bytes, ...]:
    return (
        bid.parent_block_hash,
        bid.parent_block_root,
        bid.block_hash,
        bid.prev_randao,
        bytes_leaf(bid.fee_recipient),
        uint64_leaf(bid.gas_limit),
        uint64_leaf(bid.builder_index),
        uint64_leaf(bid.slot),
        uint64_leaf(bid.value_gwei),
        uint64_leaf(bid.execution_payment_gwei),
        progressive_list_root([bytes48_root(commitment) for commitment in bid.blob_kzg_commitments]),
        bid.execution_requests_root,
    )


def execution_payload_envelope_root(envelope: ExecutionPayloadEnvelopeDuty) -> bytes:
    """ExecutionPayloadEnvelope."""
    return progressive_container_root(
        envelope.payload_root,
        envelope.execution_requests_root,
        uint64_leaf(envelope.builder_index),
        envelope.beacon_block_root,
        envelope.parent_beacon_block_root,
    )


def payload_attestation_data_root(vote: PayloadAttestationDuty) -> bytes:
    """PayloadAttestationData."""
    return container_root(
        vote.beacon_block_root,
        uint64_leaf(vote.slot),
        boolean_leaf(vote.payload_present),
        boolean_leaf(vote.blob_data_available),
    )


def proposer_preferences_root(preferences: ProposerPreferencesDuty) -> bytes:
    """ProposerPreferences."""
    return container_root(
        preferences.dependent_root,
        uint64_leaf(preferences.proposal_slot),
        uint64_leaf(preferences.validator_index),
        bytes_leaf(preferences.fee_recipient),
        uint64_leaf(preferences.target_gas_limit),
    )


def builder_request_auth_root(auth: BuilderRequestAuthDuty) -> bytes:
    """BuilderRequestAuth. Raises MalformedRequestError where the data is too long."""
    if len(auth.data) > MAX_BUILDER_AUTH_DATA_SIZE:
        raise MalformedRequestError(
            f"data has {len(auth.data)} bytes; at most {MAX_BUILDER_AUTH_DATA_SIZE} fit", path="data"
        )
    return hash_pair(byte_list_root(auth.data, MAX_BUILDER_AUTH_DATA_SIZE), uint64_leaf(auth.slot))


def inclusion_list_root(inclusion_list: InclusionListDuty) -> bytes:
    """InclusionList."""
    return container_root(
        uint64_leaf(inclusion_list.slot),
        uint64_leaf(inclusion_list.validator_index),
        inclusion_list.committee_root,
        progressive_byte_lists_root(inclusion_list.transactions),
    )


# --- bit fields that must fit their type ------------------------------------------------------------


def _check_bitlist(bits: bytes, limit: int) -> None:
    if bitlist_length(bits) > limit:
        raise MalformedRequestError(
            f"aggregation_bits holds {bitlist_length(bits)} bits; at most {limit} fit at this fork",
            path="aggregation_bits",
        )


def _check_bitvector(bits: bytes, size: int, *, field: str) -> None:
    if len(bits) != -(-size // 8) or int.from_bytes(bits, "little") >> size:
        raise MalformedRequestError(
            f"{field} is not a vector of {size} bits; send {-(-size // 8)} bytes (is the signer on your network?)",
            path=field,
        )
