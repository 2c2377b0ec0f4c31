"""Signature domains: what a signature is for, on which chain, under which fork version (phase0, `compute_domain`)."""

from functools import lru_cache

from signer.eth2.ssz import bytes_leaf, hash_pair
from signer.units import Domain, Root, Version

BEACON_PROPOSER = bytes.fromhex("00000000")
BEACON_ATTESTER = bytes.fromhex("01000000")
RANDAO = bytes.fromhex("02000000")
DEPOSIT = bytes.fromhex("03000000")
VOLUNTARY_EXIT = bytes.fromhex("04000000")
SELECTION_PROOF = bytes.fromhex("05000000")
AGGREGATE_AND_PROOF = bytes.fromhex("06000000")
# phase0/beacon-chain.md, phase0/validator.md

SYNC_COMMITTEE = bytes.fromhex("07000000")
SYNC_COMMITTEE_SELECTION_PROOF = bytes.fromhex("08000000")
CONTRIBUTION_AND_PROOF = bytes.fromhex("09000000")
# altair/beacon-chain.md, altair/validator.md

BLS_TO_EXECUTION_CHANGE = bytes.fromhex("0a000000")
# capella/beacon-chain.md

BEACON_BUILDER = bytes.fromhex("0b000000")
PTC_ATTESTER = bytes.fromhex("0c000000")
PROPOSER_PREFERENCES = bytes.fromhex("0d000000")
# gloas/beacon-chain.md

INCLUSION_LIST_COMMITTEE = bytes.fromhex("10000000")
# heze/beacon-chain.md

APPLICATION_BUILDER = bytes.fromhex("00000001")
BUILDER_REQUEST_AUTH = bytes.fromhex("0b000001")
# ethereum/builder-specs, bellatrix/builder.md and gloas/builder.md

ZERO_ROOT = Root(bytes(32))
"""The genesis_validators_root of domains that exist before a chain does: deposits, registrations."""


@lru_cache(maxsize=4096)
def domain(domain_type: bytes, version: Version, genesis_validators_root: Root) -> Domain:
    """The domain of a type under a fork version on a chain. Cached: a signer sees a dozen of them, over and over;
    the bound keeps callers who invent roots from filling the memory.
    """
    fork_data_root = hash_pair(bytes_leaf(version), genesis_validators_root)
    return Domain(domain_type + fork_data_root[:28])
