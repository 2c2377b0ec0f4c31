"""SSZ types of the large objects, built on a library when first needed: full phase0 and altair block bodies,
and Gloas' execution payloads. Everything else is small and merkleised by hand (`object_roots.py`).

Field names and limits: consensus-specs, {phase0,altair,gloas}/beacon-chain.md; the limits are the same in
every preset but for the size of a sync committee.
"""

from functools import lru_cache
from typing import Any

from signer.eth2.forks import Fork
from signer.eth2.networks import Preset

SszType = Any
"""A class of the SSZ library, which has no type hints: construct it with keyword arguments or values."""

MAX_PROPOSER_SLASHINGS = 16
MAX_ATTESTER_SLASHINGS = 2
MAX_ATTESTATIONS = 128
MAX_DEPOSITS = 16
MAX_VOLUNTARY_EXITS = 16
MAX_VALIDATORS_PER_COMMITTEE = 2048
DEPOSIT_PROOF_LENGTH = 33
MAX_TRANSACTIONS_PER_PAYLOAD = 2**20
MAX_WITHDRAWALS_PER_PAYLOAD = 16
MAX_DEPOSIT_REQUESTS_PER_PAYLOAD = 8192
MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD = 16
MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD = 2
MAX_BUILDER_DEPOSIT_REQUESTS_PER_PAYLOAD = 64
MAX_BUILDER_EXIT_REQUESTS_PER_PAYLOAD = 16
# consensus-specs presets/*/phase0.yaml; the proof is DEPOSIT_CONTRACT_TREE_DEPTH and the length;
# bellatrix, capella, electra and gloas beacon-chain.md: limits of a payload. Smaller presets have fewer withdrawals.


def list_limit(ssz_type: SszType) -> int:
    """The most elements a progressive list may have: the type has no limit, the rules for payloads have one."""
    return int(ssz_type.most_elements)


@lru_cache
def block_body_type(fork: Fork, preset: Preset) -> SszType:
    """The type of a full BeaconBlockBody. `fork` is PHASE0 or ALTAIR; later blocks are signed by their headers."""
    fields = _phase0_body_fields()
    if fork is Fork.ALTAIR:
        fields["sync_aggregate"] = _sync_aggregate(preset)
    return _container("BeaconBlockBody", **fields)


@lru_cache
def execution_payload_type() -> SszType:
    """The type of a Gloas ExecutionPayload (EIP-7688, EIP-7928, EIP-7843)."""
    from remerkleable.basic import uint64, uint256
    from remerkleable.byte_arrays import ByteList, Bytes32, ByteVector
    from remerkleable.progressive import ProgressiveByteList

    withdrawal = _container("Withdrawal", index=uint64, validator_index=uint64, address=ByteVector[20], amount=uint64)
    return _progressive_container(
        "ExecutionPayload",
        parent_hash=Bytes32,
        fee_recipient=ByteVector[20],
        state_root=Bytes32,
        receipts_root=Bytes32,
        logs_bloom=ByteVector[256],
        prev_randao=Bytes32,
        block_number=uint64,
        gas_limit=uint64,
        gas_used=uint64,
        timestamp=uint64,
        extra_data=ByteList[32],
        base_fee_per_gas=uint256,
        block_hash=Bytes32,
        transactions=_progressive_list(ProgressiveByteList, MAX_TRANSACTIONS_PER_PAYLOAD),
        withdrawals=_progressive_list(withdrawal, MAX_WITHDRAWALS_PER_PAYLOAD),
        blob_gas_used=uint64,
        excess_blob_gas=uint64,
        block_access_list=ProgressiveByteList,
        slot_number=uint64,
    )


@lru_cache
def execution_requests_type() -> SszType:
    """The type of Gloas ExecutionRequests (EIP-7685, EIP-8282)."""
    from remerkleable.basic import uint64
    from remerkleable.byte_arrays import Bytes32, Bytes48, Bytes96, ByteVector

    builder_deposit = {"pubkey": Bytes48, "withdrawal_credentials": Bytes32, "amount": uint64, "signature": Bytes96}
    deposit = _container("DepositRequest", **builder_deposit, index=uint64)
    withdrawal = _container("WithdrawalRequest", source_address=ByteVector[20], validator_pubkey=Bytes48, amount=uint64)
    consolidation = _container(
        "ConsolidationRequest", source_address=ByteVector[20], source_pubkey=Bytes48, target_pubkey=Bytes48
    )
    builder_exit = _container("BuilderExitRequest", source_address=ByteVector[20], pubkey=Bytes48)
    return _progressive_container(
        "ExecutionRequests",
        deposits=_progressive_list(deposit, MAX_DEPOSIT_REQUESTS_PER_PAYLOAD),
        withdrawals=_progressive_list(withdrawal, MAX_WITHDRAWAL_REQUESTS_PER_PAYLOAD),
        consolidations=_progressive_list(consolidation, MAX_CONSOLIDATION_REQUESTS_PER_PAYLOAD),
        builder_deposits=_progressive_list(
            _container("BuilderDepositRequest", **builder_deposit), MAX_BUILDER_DEPOSIT_REQUESTS_PER_PAYLOAD
        ),
        builder_exits=_progressive_list(builder_exit, MAX_BUILDER_EXIT_REQUESTS_PER_PAYLOAD),
    )


def _phase0_body_fields() -> dict[str, SszType]:
    from remerkleable.basic import uint64
    from remerkleable.bitfields import Bitlist
    from remerkleable.byte_arrays import Bytes32, Bytes48, Bytes96
    from remerkleable.complex import List, Vector

    checkpoint = _container("Checkpoint", epoch=uint64, root=Bytes32)
    data = _container(
        "AttestationData",
        slot=uint64,
        index=uint64,
        beacon_block_root=Bytes32,
        source=checkpoint,
        target=checkpoint,
    )
    header = _container(
        "BeaconBlockHeader",
        slot=uint64,
        proposer_index=uint64,
        parent_root=Bytes32,
        state_root=Bytes32,
        body_root=Bytes32,
    )
    signed_header = _container("SignedBeaconBlockHeader", message=header, signature=Bytes96)
    indexed_attestation = _container(
        "IndexedAttestation",
        attesting_indices=List[uint64, MAX_VALIDATORS_PER_COMMITTEE],
        data=data,
        signature=Bytes96,
    )
    attestation = _container(
        "Attestation", aggregation_bits=Bitlist[MAX_VALIDATORS_PER_COMMITTEE], data=data, signature=Bytes96
    )
    deposit_data = _container(
        "DepositData", pubkey=Bytes48, withdrawal_credentials=Bytes32, amount=uint64, signature=Bytes96
    )
    deposit = _container("Deposit", proof=Vector[Bytes32, DEPOSIT_PROOF_LENGTH], data=deposit_data)
    voluntary_exit = _container("VoluntaryExit", epoch=uint64, validator_index=uint64)
    signed_exit = _container("SignedVoluntaryExit", message=voluntary_exit, signature=Bytes96)
    proposer_slashing = _container("ProposerSlashing", signed_header_1=signed_header, signed_header_2=signed_header)
    attester_slashing = _container(
        "AttesterSlashing", attestation_1=indexed_attestation, attestation_2=indexed_attestation
    )
    return {
        "randao_reveal": Bytes96,
        "eth1_data": _container("Eth1Data", deposit_root=Bytes32, deposit_count=uint64, block_hash=Bytes32),
        "graffiti": Bytes32,
        "proposer_slashings": List[proposer_slashing, MAX_PROPOSER_SLASHINGS],
        "attester_slashings": List[attester_slashing, MAX_ATTESTER_SLASHINGS],
        "attestations": List[attestation, MAX_ATTESTATIONS],
        "deposits": List[deposit, MAX_DEPOSITS],
        "voluntary_exits": List[signed_exit, MAX_VOLUNTARY_EXITS],
    }


def _sync_aggregate(preset: Preset) -> SszType:
    from remerkleable.bitfields import Bitvector
    from remerkleable.byte_arrays import Bytes96

    return _container(
        "SyncAggregate",
        sync_committee_bits=Bitvector[preset.sync_committee_size],
        sync_committee_signature=Bytes96,
    )


def _container(name: str, **fields: SszType) -> SszType:
    from remerkleable.complex import Container

    return type(Container)(name, (Container,), {"__annotations__": fields})


def _progressive_container(name: str, **fields: SszType) -> SszType:
    from remerkleable.progressive import ProgressiveContainer

    parent = ProgressiveContainer(active_fields=[1] * len(fields))
    return type(parent)(name, (parent,), {"__annotations__": fields})


def _progressive_list(element_type: SszType, most_elements: int) -> SszType:
    from remerkleable.progressive import ProgressiveList

    parent = ProgressiveList[element_type]
    return type(parent)("ProgressiveList", (parent,), {"most_elements": most_elements})
