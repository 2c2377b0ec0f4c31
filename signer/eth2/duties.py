"""The consensus duties a validator signs, one frozen class each; `type` is the remote signing API's name.

Fields hold what will be signed, decoded. Where an object is large (a block's body, an execution payload) the
class holds its hash tree root and the few fields worth judging. Bit fields are in their serialised form:
bit i is bit i % 8 of byte i // 8, and a bitlist ends with its delimiting bit.
"""

from typing import ClassVar

from msgspec import Struct

from signer.eth2.block_proofs import BodyProof
from signer.eth2.forks import Fork
from signer.units import UINT64_MAX, Epoch, PublicKey, Root, Signature, Slot, Version

BUILDER_INDEX_SELF_BUILD = UINT64_MAX
"""Stands for the builder of a payload that the proposer has built itself (gloas)."""


class AttestationDuty(Struct, frozen=True):
    """A vote: AttestationData (consensus-specs, phase0)."""

    type: ClassVar[str] = "ATTESTATION"
    slot: Slot
    index: int
    beacon_block_root: Root
    source_epoch: Epoch
    source_root: Root
    target_epoch: Epoch
    target_root: Root


class BlockDuty(Struct, frozen=True):
    """A proposal: BeaconBlockHeader; a full phase0 or altair block is reduced to its header on arrival
    (a block and its header have the same hash tree root).
    """

    type: ClassVar[str] = "BLOCK_V2"
    slot: Slot
    proposer_index: int
    parent_root: Root
    state_root: Root
    body_root: Root
    fee_recipient_proof: BodyProof | None = None
    """Not signed: shows what `body_root` holds, where the client sends it."""

    graffiti_proof: BodyProof | None = None
    """The same."""


class AggregationSlotDuty(Struct, frozen=True):
    """Proof that a validator is chosen to aggregate attestations at a slot (phase0, `get_slot_signature`)."""

    type: ClassVar[str] = "AGGREGATION_SLOT"
    slot: Slot


class AggregateAndProofDuty(Struct, frozen=True):
    """An aggregate of a committee's votes: AggregateAndProof (phase0; Electra adds `committee_bits`)."""

    type: ClassVar[str] = "AGGREGATE_AND_PROOF"
    aggregator_index: int
    aggregation_bits: bytes
    vote: AttestationDuty
    signature: Signature
    selection_proof: Signature
    committee_bits: bytes | None = None
    """None where the request has none: before Electra."""

    declared_fork: Fork | None = None
    """`version` of the request's wrapped shape. Clients write anything there; see `aggregate_fork`."""


class RandaoRevealDuty(Struct, frozen=True):
    """The proposer's share of an epoch's randomness (phase0, `get_epoch_signature`)."""

    type: ClassVar[str] = "RANDAO_REVEAL"
    epoch: Epoch


class DepositDuty(Struct, frozen=True):
    """A deposit into the deposit contract: DepositMessage (phase0). Valid across forks and chains."""

    type: ClassVar[str] = "DEPOSIT"
    deposited_key: PublicKey
    """The key the deposit is for: `pubkey` of the message."""

    withdrawal_credentials: Root
    amount_gwei: int
    genesis_fork_version: Version


class VoluntaryExitDuty(Struct, frozen=True):
    """A validator's irrevocable exit: VoluntaryExit (phase0)."""

    type: ClassVar[str] = "VOLUNTARY_EXIT"
    epoch: Epoch
    validator_index: int


class SyncCommitteeMessageDuty(Struct, frozen=True):
    """A sync committee member's vote for a head: the block's root alone is signed (altair)."""

    type: ClassVar[str] = "SYNC_COMMITTEE_MESSAGE"
    beacon_block_root: Root
    slot: Slot


class SyncCommitteeSelectionProofDuty(Struct, frozen=True):
    """Proof that a member is chosen to aggregate a subcommittee: SyncAggregatorSelectionData (altair)."""

    type: ClassVar[str] = "SYNC_COMMITTEE_SELECTION_PROOF"
    slot: Slot
    subcommittee_index: int


class SyncCommitteeContributionDuty(Struct, frozen=True):
    """A subcommittee's aggregate: ContributionAndProof (altair)."""

    type: ClassVar[str] = "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF"
    aggregator_index: int
    slot: Slot
    beacon_block_root: Root
    subcommittee_index: int
    aggregation_bits: bytes
    signature: Signature
    selection_proof: Signature


class ValidatorRegistrationDuty(Struct, frozen=True):
    """Where a builder shall pay: ValidatorRegistrationV1 (builder-specs, bellatrix)."""

    type: ClassVar[str] = "VALIDATOR_REGISTRATION"
    fee_recipient: bytes
    gas_limit: int
    timestamp: int
    """Seconds since the Unix epoch; the newest registration counts."""

    registered_key: PublicKey
    """`pubkey` of the message."""


class BlsToExecutionChangeDuty(Struct, frozen=True):
    """Withdrawal credentials moved from a BLS key to an address, once and for good: BLSToExecutionChange (capella)."""

    type: ClassVar[str] = "BLS_TO_EXECUTION_CHANGE"
    validator_index: int
    from_bls_key: PublicKey
    to_execution_address: bytes


class ExecutionPayloadBidDuty(Struct, frozen=True):
    """A builder's offer for a slot: ExecutionPayloadBid (gloas; heze adds `inclusion_list_bits`)."""

    type: ClassVar[str] = "EXECUTION_PAYLOAD_BID"
    parent_block_hash: bytes
    parent_block_root: Root
    block_hash: bytes
    prev_randao: bytes
    fee_recipient: bytes
    gas_limit: int
    builder_index: int
    slot: Slot
    value_gwei: int
    execution_payment_gwei: int
    blob_kzg_commitments: tuple[bytes, ...]
    execution_requests_root: Root
    inclusion_list_bits: bytes | None = None
    """None where the request has none: before Heze."""


class ExecutionPayloadEnvelopeDuty(Struct, frozen=True):
    """A builder's payload, revealed: ExecutionPayloadEnvelope (gloas). Payload and requests are held by their roots."""

    type: ClassVar[str] = "EXECUTION_PAYLOAD_ENVELOPE"
    payload_root: Root
    execution_requests_root: Root
    builder_index: int
    beacon_block_root: Root
    parent_beacon_block_root: Root
    slot: Slot
    """`payload.slot_number` (EIP-7843)."""

    block_hash: bytes
    parent_hash: bytes
    fee_recipient: bytes
    gas_limit: int


class PayloadAttestationDuty(Struct, frozen=True):
    """A payload timeliness committee member's vote: PayloadAttestationData (gloas)."""

    type: ClassVar[str] = "PAYLOAD_ATTESTATION_MESSAGE"
    beacon_block_root: Root
    slot: Slot
    payload_present: bool
    blob_data_available: bool


class ProposerPreferencesDuty(Struct, frozen=True):
    """What a proposer asks of builders for a coming slot: ProposerPreferences (gloas)."""

    type: ClassVar[str] = "PROPOSER_PREFERENCES"
    dependent_root: Root
    proposal_slot: Slot
    validator_index: int
    fee_recipient: bytes
    target_gas_limit: int


class BuilderRequestAuthDuty(Struct, frozen=True):
    """A proposer's pass to a builder for one slot: BuilderRequestAuth (builder-specs, gloas/validator.md)."""

    type: ClassVar[str] = "BUILDER_REQUEST_AUTH"
    data: bytes
    """What the two agreed on; without an agreement the builder's URL. At most 4,096 bytes."""

    slot: Slot


class InclusionListDuty(Struct, frozen=True):
    """Transactions a committee member wants included: InclusionList (heze, EIP-7805)."""

    type: ClassVar[str] = "INCLUSION_LIST"
    slot: Slot
    validator_index: int
    committee_root: Root
    """`inclusion_list_committee_root`; drafts after 1.7.0a13 have a `dependent_root` in its place."""

    transactions: tuple[bytes, ...]


Duty = (
    AttestationDuty
    | BlockDuty
    | AggregationSlotDuty
    | AggregateAndProofDuty
    | RandaoRevealDuty
    | DepositDuty
    | VoluntaryExitDuty
    | SyncCommitteeMessageDuty
    | SyncCommitteeSelectionProofDuty
    | SyncCommitteeContributionDuty
    | ValidatorRegistrationDuty
    | BlsToExecutionChangeDuty
    | ExecutionPayloadBidDuty
    | ExecutionPayloadEnvelopeDuty
    | PayloadAttestationDuty
    | ProposerPreferencesDuty
    | BuilderRequestAuthDuty
    | InclusionListDuty
)
"""Everything the consensus layer asks a validator to sign."""
