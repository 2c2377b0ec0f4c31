"""A policy as one piece of bytes: one spelling, one version."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from signer.crypto.ed25519 import ed25519_public_key
from signer.crypto.secret import Secret
from signer.errors import PolicyPackError
from signer.policy.grants import Grants, HostFunction
from signer.policy.limits import MAX_FUEL, Limits
from signer.policy.pack import (
    MAGIC,
    MAX_DATA_BYTES,
    Kind,
    Manifest,
    Pack,
    is_signed_by,
    read_pack,
    sign_pack,
    version_of,
    write_pack,
)

MANIFEST = Manifest(
    name="treasury",
    kind=Kind.MODULE,
    description="who may be paid",
    functions=(HostFunction.LIST_CONTAINS, HostFunction.READ_COUNTER),
    counters=("eth", "usd"),
    lists=("receivers",),
    entry_point="treasury/verdict",
    fuel=5000,
    memory_bytes=1 << 20,
    wall_milliseconds=50,
)
PACK = Pack(MANIFEST, b"\0asm", b'{"receivers":[]}')
RULES = Pack(Manifest(name="rules", kind=Kind.RULES), b"version: 1\n")
TEXT = write_pack(PACK)


@pytest.mark.parametrize("pack", [PACK, RULES, Pack(Manifest(name="a", kind=Kind.MODULE), b"x")])
def test_a_pack_is_read_as_it_was_written(pack: Pack):
    assert read_pack(write_pack(pack)) == pack


def test_a_manifest_says_what_is_granted_and_how_much_may_be_used():
    assert MANIFEST.grants == Grants(
        frozenset({HostFunction.LIST_CONTAINS, HostFunction.READ_COUNTER}),
        frozenset({"eth", "usd"}),
        frozenset({"receivers"}),
    )
    assert MANIFEST.limits == Limits(5000, 1 << 20, 0.05)


def test_the_version_is_the_hash_of_the_pack_and_changes_with_every_part():
    assert version_of(TEXT) == hashlib.sha256(TEXT).hexdigest()
    others = [
        replace(PACK, content=b"\0asn"),
        replace(PACK, data=b"{}"),
        replace(PACK, manifest=replace(MANIFEST, fuel=5001)),
        replace(PACK, manifest=replace(MANIFEST, counters=("eth",))),
        replace(PACK, manifest=replace(MANIFEST, description="")),
    ]
    assert len({version_of(write_pack(each)) for each in (PACK, *others)}) == 1 + len(others)


def assembled(manifest: bytes, content: bytes = b"x", data: bytes = b"", rest: bytes = b"") -> bytes:
    return MAGIC + b"".join(len(part).to_bytes(4, "big") + part for part in (manifest, content, data)) + rest


WRITTEN = TEXT[len(MAGIC) + 4 :][: int.from_bytes(TEXT[len(MAGIC) :][:4], "big")]

NO_PACKS = {
    "nothing": b"",
    "the magic alone": MAGIC,
    "another version": TEXT.replace(b"policy-1", b"policy-2"),
    "one byte less": TEXT[:-1],
    "one byte more": TEXT + b"\0",
    "no content": assembled(WRITTEN, b""),
    "a manifest with spaces": assembled(WRITTEN.replace(b":", b": ", 1)),
    "a manifest in another order": assembled(b'{"name":"treasury",' + WRITTEN[1:].replace(b',"name":"treasury"', b"")),
    "a manifest without a field": assembled(WRITTEN.replace(b',"fuel":5000', b"")),
    "a manifest with a field of its own": assembled(WRITTEN[:-1] + b',"x":1}'),
    "a field that stands twice": assembled(WRITTEN[:-1] + b',"wall_milliseconds":50}'),
    "grants in another order": assembled(WRITTEN.replace(b'["eth","usd"]', b'["usd","eth"]')),
    "a grant that stands twice": assembled(WRITTEN.replace(b'["eth","usd"]', b'["eth","eth"]')),
    "a function that is none": assembled(WRITTEN.replace(b"read_counter", b"read_a_clock")),
    "a name in capitals": assembled(WRITTEN.replace(b'"treasury"', b'"Treasury"')),
    "more fuel than there is": assembled(WRITTEN.replace(b"5000", str(MAX_FUEL + 1).encode())),
    "no time": assembled(WRITTEN.replace(b'"wall_milliseconds":50', b'"wall_milliseconds":0')),
    "no UTF-8": assembled(WRITTEN.replace(b"who may", b"\xff\xff\xff may")),
    "an endless manifest": assembled(b"[" * 60_000),
    "no manifest": assembled(b""),
    "too much data": assembled(WRITTEN, b"x", b" " * (MAX_DATA_BYTES + 1)),
}


@pytest.mark.parametrize("text", NO_PACKS.values(), ids=NO_PACKS.keys())
def test_what_is_not_written_as_a_pack_is_none(text: bytes):
    with pytest.raises(PolicyPackError):
        read_pack(text)


@pytest.mark.parametrize(
    "pack",
    [
        replace(RULES, data=b"{}"),
        replace(RULES, manifest=replace(RULES.manifest, counters=("eth",))),
        replace(RULES, manifest=replace(RULES.manifest, fuel=7)),
        replace(RULES, manifest=replace(RULES.manifest, entry_point="a/b")),
        replace(PACK, manifest=replace(MANIFEST, counters=("usd", "eth"))),
        replace(PACK, manifest=replace(MANIFEST, name="no name")),
    ],
)
def test_what_could_not_be_read_again_is_not_written(pack: Pack):
    with pytest.raises(PolicyPackError):
        write_pack(pack)


@given(st.integers(0, len(TEXT) - 1), st.integers(1, 255))
def test_no_two_texts_are_one_pack(at: int, flip: int):
    changed = bytearray(TEXT)
    changed[at] ^= flip
    try:
        pack = read_pack(bytes(changed))
    except PolicyPackError:
        return
    assert write_pack(pack) == bytes(changed)
    assert pack != PACK


def test_a_signature_is_of_this_pack_and_of_nothing_else():
    key, other = Secret(b"\1" * 32), Secret(b"\2" * 32)
    signature = sign_pack(TEXT, key)
    assert is_signed_by(TEXT, signature, ed25519_public_key(key))
    assert not is_signed_by(TEXT, signature, ed25519_public_key(other))
    assert not is_signed_by(write_pack(RULES), signature, ed25519_public_key(key))
    assert not is_signed_by(TEXT, signature[:-1] + bytes([signature[-1] ^ 1]), ed25519_public_key(key))
    assert not is_signed_by(TEXT, b"", ed25519_public_key(key))
