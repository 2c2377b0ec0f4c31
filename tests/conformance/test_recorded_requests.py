"""Requests of real clients and of Web3Signer's own documents: decoded, hashed and signed to the recorded bytes."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from recorded_requests import (
    RecordedRequest,
    computed_requests,
    interop_key,
    lodestar_requests,
    web3signer_deposits,
    web3signer_examples,
)

from signer.api.wire_eth2 import decode_sign_request
from signer.crypto.bls import SecretKey, load
from signer.eth2.signing_root import signing_root
from signer.intent import SignDuty
from signer.units import PublicKey

SOURCES: dict[str, tuple[Callable[[Path], Iterator[RecordedRequest]], int]] = {
    "lodestar": (lodestar_requests, 318),
    "computed": (computed_requests, 158),
    "web3signer": (web3signer_examples, 23),
    "deposits": (web3signer_deposits, 4),
}


def decode(recorded: RecordedRequest, request: dict) -> SignDuty:
    return decode_sign_request(json.dumps(request).encode(), PublicKey(recorded.public_key), recorded.network)


@pytest.mark.parametrize("source", SOURCES)
def test_every_recorded_request_has_its_recorded_root(vectors, source):
    requests, count = SOURCES[source]
    seen = 0
    for recorded in requests(vectors):
        seen += 1
        intent = decode(recorded, recorded.request)
        assert intent.public_key == recorded.public_key
        root = signing_root(intent.duty, intent.fork_info, recorded.network)
        assert "0x" + root.hex() == recorded.signing_root, recorded.name
        assert intent.claimed_root in (None, root), recorded.name
    assert seen == count


@pytest.mark.parametrize("source", SOURCES)
def test_every_recorded_request_has_its_recorded_signature(vectors, source):
    bls = load()
    interop = {bls.public_key(SecretKey.from_bytes(interop_key(i))): interop_key(i) for i in range(64)}
    for recorded in SOURCES[source][0](vectors):
        intent = decode(recorded, recorded.request)
        root = signing_root(intent.duty, intent.fork_info, recorded.network)
        secret = SecretKey.from_bytes(recorded.private_key or interop[recorded.public_key])
        assert bls.public_key(secret) == recorded.public_key
        assert "0x" + bls.sign(secret, root).hex() == recorded.signature, recorded.name


def test_the_recordings_cover_every_type_lodestar_signed_in_its_forks(vectors):
    assert {recorded.request["type"] for recorded in lodestar_requests(vectors)} == {
        "AGGREGATE_AND_PROOF",
        "AGGREGATE_AND_PROOF_V2",
        "AGGREGATION_SLOT",
        "ATTESTATION",
        "BLOCK_V2",
        "BLS_TO_EXECUTION_CHANGE",
        "DEPOSIT",
        "RANDAO_REVEAL",
        "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF",
        "SYNC_COMMITTEE_MESSAGE",
        "SYNC_COMMITTEE_SELECTION_PROOF",
        "VALIDATOR_REGISTRATION",
        "VOLUNTARY_EXIT",
    }


@pytest.mark.parametrize("source", SOURCES)
def test_a_request_means_the_same_without_its_claimed_root_and_with_numbers_for_text(vectors, source):
    for recorded in SOURCES[source][0](vectors):
        spoken = {name: item for name, item in recorded.request.items() if name not in {"signingRoot", "signing_root"}}
        expected = decode(recorded, recorded.request)
        assert decode(recorded, spoken).claimed_root is None
        assert decode(recorded, spoken).duty == expected.duty
        assert decode(recorded, _with_numbers(spoken)).duty == expected.duty
        assert decode(recorded, _in_other_hex(spoken)).duty == expected.duty


def _with_numbers(value):
    match value:
        case dict():
            return {name: _with_numbers(item) for name, item in value.items()}
        case list():
            return [_with_numbers(item) for item in value]
        case str() if value.isdigit():
            return int(value)
        case _:
            return value


def _in_other_hex(value):
    match value:
        case dict():
            return {name: _in_other_hex(item) for name, item in value.items()}
        case list():
            return [_in_other_hex(item) for item in value]
        case str() if value.startswith("0x"):
            return value[2:].upper()
        case _:
            return value
