"""What Dirk exports: it leaves an array out where it has no record of the kind (`omitempty`, dirk's main.go)."""

import json

import pytest

from interchange import SchemaError, SignedAttestation, SignedBlock, read_interchange

KEY = "0x" + "ab" * 48
BLOCKS = [{"slot": "12"}]
VOTES = [{"source_epoch": "3", "target_epoch": "4"}]


def read(element: dict[str, object]):
    metadata = {"interchange_format_version": "5", "genesis_validators_root": "0x" + "04" * 32}
    [history] = read_interchange([json.dumps({"metadata": metadata, "data": [element]}).encode()]).validators
    return history


def test_an_array_that_is_left_out_is_empty() -> None:
    assert read({"pubkey": KEY, "signed_attestations": VOTES}).attestations == (SignedAttestation(3, 4),)
    assert read({"pubkey": KEY, "signed_attestations": VOTES}).blocks == ()
    assert read({"pubkey": KEY, "signed_blocks": BLOCKS}).blocks == (SignedBlock(12),)
    assert read({"pubkey": KEY}).attestations == ()


@pytest.mark.parametrize("name", ["signed_attestation", "signedAttestations", "attestations"])
def test_beside_an_unknown_member_nothing_may_be_missing(name: str) -> None:
    """It may be the array under another name: taking it for an empty one would lose a history."""
    with pytest.raises(SchemaError, match="signed_attestations"):
        read({"pubkey": KEY, "signed_blocks": BLOCKS, name: VOTES})
    both = {"pubkey": KEY, "signed_blocks": BLOCKS, "signed_attestations": VOTES, name: VOTES}
    assert read(both).attestations == (SignedAttestation(3, 4),)


def test_the_key_may_never_be_missing() -> None:
    with pytest.raises(SchemaError, match="pubkey"):
        read({"signed_blocks": BLOCKS, "signed_attestations": VOTES})
