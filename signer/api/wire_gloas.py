"""Readers of the duties of Gloas and Heze, under every name and shape the clients use for them.

remote-signing-api v1.4.0 wraps each object in `{"version", "data"}`; Lighthouse and Lodestar shipped bare
objects, and other names, before it. All are read.
"""

from collections.abc import Mapping

from signer.api.wire_duties import Reader
from signer.api.wire_fields import (
    address_in,
    any_bytes,
    boolean_in,
    bytes32,
    duty_object,
    fixed_bytes,
    list_in,
    object_in,
    one_of,
    root_in,
    uint64_in,
    unwrapped,
)
from signer.api.wire_json import JsonObject
from signer.api.wire_ssz import read_root
from signer.errors import MalformedRequestError
from signer.eth2.containers import execution_payload_type, execution_requests_type
from signer.eth2.duties import (
    BuilderRequestAuthDuty,
    ExecutionPayloadBidDuty,
    ExecutionPayloadEnvelopeDuty,
    InclusionListDuty,
    PayloadAttestationDuty,
    ProposerPreferencesDuty,
)
from signer.eth2.networks import Preset
from signer.units import Root, Slot

KZG_COMMITMENT_BYTES = 48
"""A KZG commitment (deneb, `KZGCommitment`)."""

MAX_BLOB_COMMITMENTS = 4096
"""Commitments of a bid (deneb, MAX_BLOB_COMMITMENTS_PER_BLOCK)."""

MAX_BYTES_PER_INCLUSION_LIST = 8192
"""All transactions of an inclusion list together (heze, EIP-7805); so many transactions too: none is empty."""


def _read_execution_payload_bid(request: JsonObject, _: Preset) -> ExecutionPayloadBidDuty:
    bid, at = unwrapped(*duty_object(request, "execution_payload_bid"))
    commitments = list_in(bid, "blob_kzg_commitments", at, limit=MAX_BLOB_COMMITMENTS)
    inclusion_list_bits = bid.get("inclusion_list_bits")
    return ExecutionPayloadBidDuty(
        parent_block_hash=root_in(bid, "parent_block_hash", at),
        parent_block_root=root_in(bid, "parent_block_root", at),
        block_hash=root_in(bid, "block_hash", at),
        prev_randao=root_in(bid, "prev_randao", at),
        fee_recipient=address_in(bid, "fee_recipient", at),
        gas_limit=uint64_in(bid, "gas_limit", at),
        builder_index=uint64_in(bid, "builder_index", at),
        slot=Slot(uint64_in(bid, "slot", at)),
        value_gwei=uint64_in(bid, "value", at),
        execution_payment_gwei=uint64_in(bid, "execution_payment", at),
        blob_kzg_commitments=tuple(
            fixed_bytes(commitment, at, f"blob_kzg_commitments[{i}]", length=KZG_COMMITMENT_BYTES)
            for i, commitment in enumerate(commitments)
        ),
        execution_requests_root=root_in(bid, "execution_requests_root", at),
        inclusion_list_bits=None
        if inclusion_list_bits is None
        else any_bytes(inclusion_list_bits, at, "inclusion_list_bits"),
    )


def _read_execution_payload_envelope(request: JsonObject, _: Preset) -> ExecutionPayloadEnvelopeDuty:
    envelope, at = unwrapped(*duty_object(request, "execution_payload_envelope"))
    in_payload = f"{at}.payload"
    payload_json = object_in(envelope, "payload", at)
    in_requests = f"{at}.execution_requests"
    return ExecutionPayloadEnvelopeDuty(
        payload_root=read_root(payload_json, execution_payload_type(), in_payload),
        execution_requests_root=read_root(envelope.get("execution_requests"), execution_requests_type(), in_requests),
        builder_index=uint64_in(envelope, "builder_index", at),
        beacon_block_root=root_in(envelope, "beacon_block_root", at),
        parent_beacon_block_root=root_in(envelope, "parent_beacon_block_root", at),
        slot=Slot(uint64_in(payload_json, "slot_number", in_payload)),
        block_hash=root_in(payload_json, "block_hash", in_payload),
        parent_hash=root_in(payload_json, "parent_hash", in_payload),
        fee_recipient=address_in(payload_json, "fee_recipient", in_payload),
        gas_limit=uint64_in(payload_json, "gas_limit", in_payload),
    )


def _read_payload_attestation(request: JsonObject, _: Preset) -> PayloadAttestationDuty:
    vote, at = unwrapped(
        *duty_object(request, "payload_attestation_message", "payload_attestation", "payload_attestation_data")
    )
    return PayloadAttestationDuty(
        beacon_block_root=root_in(vote, "beacon_block_root", at),
        slot=Slot(uint64_in(vote, "slot", at)),
        payload_present=boolean_in(vote, "payload_present", at),
        blob_data_available=boolean_in(vote, "blob_data_available", at),
    )


def _read_proposer_preferences(request: JsonObject, _: Preset) -> ProposerPreferencesDuty:
    preferences, at = unwrapped(*duty_object(request, "proposer_preferences"))
    return ProposerPreferencesDuty(
        dependent_root=root_in(preferences, "dependent_root", at),
        proposal_slot=Slot(uint64_in(preferences, "proposal_slot", at)),
        validator_index=uint64_in(preferences, "validator_index", at),
        fee_recipient=address_in(preferences, "fee_recipient", at),
        target_gas_limit=uint64_in(preferences, "target_gas_limit", at),
    )


def _read_builder_request_auth(request: JsonObject, _: Preset) -> BuilderRequestAuthDuty:
    auth, at = unwrapped(*duty_object(request, "builder_request_auth", "request_auth"))
    return BuilderRequestAuthDuty(data=any_bytes(auth.get("data"), at, "data"), slot=Slot(uint64_in(auth, "slot", at)))


def _read_inclusion_list(request: JsonObject, _: Preset) -> InclusionListDuty:
    inclusion_list, at = unwrapped(*duty_object(request, "inclusion_list"))
    items = list_in(inclusion_list, "transactions", at, limit=MAX_BYTES_PER_INCLUSION_LIST)
    transactions = tuple(any_bytes(item, at, f"transactions[{i}]") for i, item in enumerate(items))
    if (size_bytes := sum(map(len, transactions))) > MAX_BYTES_PER_INCLUSION_LIST:
        raise MalformedRequestError(
            f"{at}.transactions has {size_bytes} bytes; send at most {MAX_BYTES_PER_INCLUSION_LIST}",
            path=f"{at}.transactions",
        )
    committee_root, name = one_of(inclusion_list, ("inclusion_list_committee_root", "dependent_root"), at)
    return InclusionListDuty(
        slot=Slot(uint64_in(inclusion_list, "slot", at)),
        validator_index=uint64_in(inclusion_list, "validator_index", at),
        committee_root=Root(bytes32(committee_root, at, name)),
        transactions=transactions,
    )


GLOAS_READERS: Mapping[str, Reader] = {
    "EXECUTION_PAYLOAD_BID": _read_execution_payload_bid,
    "EXECUTION_PAYLOAD_ENVELOPE": _read_execution_payload_envelope,
    "PAYLOAD_ATTESTATION_MESSAGE": _read_payload_attestation,
    "PAYLOAD_ATTESTATION": _read_payload_attestation,
    "PROPOSER_PREFERENCES": _read_proposer_preferences,
    "BUILDER_REQUEST_AUTH": _read_builder_request_auth,
    "REQUEST_AUTH": _read_builder_request_auth,
    "INCLUSION_LIST": _read_inclusion_list,
}
"""By the type's name on the wire."""
