"""The hand-written merkleisation against the consensus specification's vectors and against the library."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from remerkleable.basic import boolean, uint64
from remerkleable.bitfields import Bitlist, Bitvector
from remerkleable.byte_arrays import ByteList, Bytes32, Bytes48, Bytes96
from remerkleable.complex import Container, List
from remerkleable.progressive import ProgressiveBitlist, ProgressiveByteList, ProgressiveContainer, ProgressiveList

from signer.api.wire_eth2 import decode_sign_object
from signer.eth2 import object_roots as roots
from signer.eth2.builtin_networks import find_network
from signer.eth2.domains import domain
from signer.eth2.forks import Fork
from signer.eth2.networks import PRESETS
from signer.eth2.ssz import (
    bitlist_length,
    bitlist_root,
    bitvector_root,
    boolean_leaf,
    byte_list_root,
    bytes48_root,
    bytes96_root,
    container_root,
    depth_of,
    merkleize,
    progressive_bitlist_root,
    progressive_byte_list_root,
    progressive_container_root,
    progressive_list_root,
    signing_data_root,
    uint64_leaf,
)
from signer.units import PublicKey

FORKS = ("phase0", "altair", "bellatrix", "capella", "deneb", "electra", "fulu")


def _duty(request):
    return decode_sign_object(request, PublicKey(bytes(48)), find_network("mainnet")).duty


def _attestation_data(value, preset, fork):
    return roots.attestation_data_root(_duty({"type": "ATTESTATION", "attestation": value}))


def _header(value, preset, fork):
    header = {"version": "CAPELLA", "block_header": value}
    return roots.block_header_root(_duty({"type": "BLOCK_V2", "beacon_block": header}))


def _full_block(value, preset, fork):
    network = find_network("minimal" if preset.name == "minimal" else "mainnet")
    request = {"type": "BLOCK_V2", "beacon_block": {"version": fork.upper(), "block": value}}
    return roots.block_header_root(decode_sign_object(request, PublicKey(bytes(48)), network).duty)


def _aggregate_and_proof(value, preset, fork):
    duty = _duty({"type": "AGGREGATE_AND_PROOF", "aggregate_and_proof": value})
    if Fork[fork.upper()] < Fork.ELECTRA:
        return roots.aggregate_and_proof_root(duty)
    return roots.electra_aggregate_and_proof_root(duty, duty.committee_bits, preset=preset)


def _contribution_and_proof(value, preset, fork):
    duty = _duty({"type": "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF", "contribution_and_proof": value})
    return roots.contribution_and_proof_root(duty, preset)


def _selection_data(value, preset, fork):
    request = {"type": "SYNC_COMMITTEE_SELECTION_PROOF", "sync_aggregator_selection_data": value}
    return roots.sync_aggregator_selection_root(_duty(request))


def _deposit_message(value, preset, fork):
    return roots.deposit_message_root(
        _duty({"type": "DEPOSIT", "deposit": value | {"genesis_fork_version": "0x00000000"}})
    )


def _voluntary_exit(value, preset, fork):
    return roots.voluntary_exit_root(_duty({"type": "VOLUNTARY_EXIT", "voluntary_exit": value}))


def _change(value, preset, fork):
    return roots.bls_to_execution_change_root(
        _duty({"type": "BLS_TO_EXECUTION_CHANGE", "BLS_TO_EXECUTION_CHANGE": value})
    )


def _signing_data(value, preset, fork):
    return signing_data_root(bytes.fromhex(value["object_root"][2:]), bytes.fromhex(value["domain"][2:]))


SIGNED_CONTAINERS = {
    "AttestationData": _attestation_data,
    "BeaconBlockHeader": _header,
    "AggregateAndProof": _aggregate_and_proof,
    "ContributionAndProof": _contribution_and_proof,
    "SyncAggregatorSelectionData": _selection_data,
    "DepositMessage": _deposit_message,
    "VoluntaryExit": _voluntary_exit,
    "BLSToExecutionChange": _change,
    "SigningData": _signing_data,
}


def _cases(vectors: Path, preset: str, fork: str):
    return json.loads((vectors / "eth-consensus" / "ssz_static" / f"{preset}-{fork}.json").read_text())


@pytest.mark.parametrize("fork", FORKS)
@pytest.mark.parametrize("preset", ["minimal", "mainnet"])
def test_every_signed_container_has_the_specifications_root(vectors, preset, fork):
    readers = SIGNED_CONTAINERS | ({"BeaconBlock": _full_block} if fork in {"phase0", "altair"} else {})
    seen = set()
    for case in _cases(vectors, preset, fork):
        root_of = readers.get(case["type"])
        if root_of is None:
            continue
        seen.add(case["type"])
        assert "0x" + root_of(case["value"], PRESETS[preset], fork).hex() == case["root"], case["case"]
    since_capella = {"BLSToExecutionChange"} if Fork[fork.upper()] < Fork.CAPELLA else set()
    since_altair = {"ContributionAndProof", "SyncAggregatorSelectionData"} if fork == "phase0" else set()
    assert seen == set(readers) - since_capella - since_altair


@pytest.mark.parametrize("preset", ["minimal", "mainnet"])
def test_a_domain_holds_the_specifications_fork_data_root(vectors, preset):
    cases = [case for case in _cases(vectors, preset, "fulu") if case["type"] == "ForkData"]
    assert cases
    for case in cases:
        version = bytes.fromhex(case["value"]["current_version"][2:])
        root = bytes.fromhex(case["value"]["genesis_validators_root"][2:])
        assert domain(b"\7\0\0\0", version, root).hex() == "07000000" + case["root"][2:58]


# --- the library says the same ------------------------------------------------------------------------


class SixLeaves(Container):
    a: Bytes32
    b: uint64
    c: boolean
    d: Bytes48
    e: Bytes96
    f: List[uint64, 4]


class FiveProgressive(ProgressiveContainer(active_fields=[1] * 5)):
    a: uint64
    b: Bytes32
    c: Bytes48
    d: ProgressiveByteList
    e: ProgressiveBitlist


@given(a=st.binary(min_size=32, max_size=32), b=st.integers(0, 2**64 - 1), c=st.booleans(), long=st.binary(max_size=96))
def test_a_container_has_the_librarys_root(a, b, c, long):
    d, e = long[:48].ljust(48, b"\1"), long.ljust(96, b"\2")
    expected = SixLeaves(a=a, b=b, c=c, d=d, e=e, f=[]).hash_tree_root()
    empty_list = bytes(List[uint64, 4]().hash_tree_root())
    fields = (a, uint64_leaf(b), boolean_leaf(c), bytes48_root(d), bytes96_root(e), empty_list)
    assert container_root(*fields) == expected


@given(data=st.binary(max_size=300), limit=st.sampled_from([300, 4096, 2**30]))
def test_a_byte_list_has_the_librarys_root(data, limit):
    assert byte_list_root(data, limit) == ByteList[limit](data).hash_tree_root()


@given(bits=st.lists(st.booleans(), max_size=1200), limit=st.sampled_from([1200, 2048, 131072]))
@settings(max_examples=60)
def test_a_bitlist_has_the_librarys_root_and_length(bits, limit):
    value = Bitlist[limit](bits)
    serialised = value.encode_bytes()
    assert bitlist_length(serialised) == len(bits)
    assert bitlist_root(serialised, limit) == value.hash_tree_root()


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 255, 256, 257, 2047, 2048])
def test_a_bitlist_whose_delimiter_stands_at_an_edge_has_the_librarys_root(length):
    value = Bitlist[2048]([True] * length)
    assert bitlist_root(value.encode_bytes(), 2048) == value.hash_tree_root()
    progressive = ProgressiveBitlist([True] * length)
    assert progressive_bitlist_root(progressive.encode_bytes()) == progressive.hash_tree_root()


@given(data=st.data(), size=st.sampled_from([4, 8, 64, 128, 512]))
@settings(max_examples=60)
def test_a_bitvector_has_the_librarys_root(data, size):
    value = Bitvector[size](data.draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    assert bitvector_root(value.encode_bytes(), size) == value.hash_tree_root()


@given(bits=st.lists(st.booleans(), max_size=1500))
@settings(max_examples=40)
def test_a_progressive_bitlist_has_the_librarys_root(bits):
    value = ProgressiveBitlist(bits)
    assert progressive_bitlist_root(value.encode_bytes()) == value.hash_tree_root()


@given(data=st.binary(max_size=800))
@settings(max_examples=40)
def test_a_progressive_byte_list_has_the_librarys_root(data):
    assert progressive_byte_list_root(data) == ProgressiveByteList(data).hash_tree_root()


@given(items=st.lists(st.binary(min_size=48, max_size=48), max_size=30))
@settings(max_examples=40)
def test_a_progressive_list_has_the_librarys_root(items):
    expected = ProgressiveList[Bytes48](items).hash_tree_root()
    assert progressive_list_root([bytes48_root(item) for item in items]) == expected


@given(a=st.integers(0, 2**64 - 1), b=st.binary(min_size=48, max_size=48), bits=st.lists(st.booleans(), max_size=20))
@settings(max_examples=40)
def test_a_progressive_container_has_the_librarys_root(a, b, bits):
    value = FiveProgressive(a=a, b=b[:32], c=b, d=b, e=ProgressiveBitlist(bits))
    bits_root = progressive_bitlist_root(ProgressiveBitlist(bits).encode_bytes())
    fields = (uint64_leaf(a), b[:32], bytes48_root(b), progressive_byte_list_root(b), bits_root)
    assert progressive_container_root(*fields) == value.hash_tree_root()


@pytest.mark.parametrize(("chunks", "depth"), [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4)])
def test_a_tree_is_as_deep_as_its_limit_asks(chunks, depth):
    assert depth_of(chunks) == depth
    assert len(merkleize([b"\1" * 32] * chunks, depth)) == 32
