"""Both BLS implementations against ethereum/bls12-381-tests and py_ecc."""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from signer.crypto.bls import CURVE_ORDER, Bls, SecretKey
from signer.crypto.bls.scheme import COMPRESSED_INFINITY_G1
from signer.crypto.bls.through_ckzg import CkzgBls
from signer.crypto.bls.through_pyblst import PyblstBls

RECURSION_LIMIT = sys.getrecursionlimit()
from py_ecc.bls import G2ProofOfPossession as Oracle  # noqa: E402 - it raises the limit for the whole process

sys.setrecursionlimit(RECURSION_LIMIT)


@pytest.fixture(params=[CkzgBls, PyblstBls], scope="module")
def bls(request: pytest.FixtureRequest) -> Bls:
    return request.param()


def cases(vectors: Path, kind: str) -> Iterator[tuple[str, dict[str, Any], Any]]:
    files = sorted((vectors / "eth-consensus" / "bls" / kind).glob("*.json"))
    assert files, f"no vectors of kind {kind}"
    for file in files:
        case = json.loads(file.read_text())
        yield file.stem, case["input"], case["output"]


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def test_every_sign_vector_gives_its_signature_or_is_refused(bls: Bls, vectors: Path) -> None:
    for name, given, output in cases(vectors, "sign"):
        if output is None:
            with pytest.raises(ValueError, match="zero is not"):
                SecretKey.from_bytes(unhex(given["privkey"]))
        else:
            secret = SecretKey.from_bytes(unhex(given["privkey"]))
            assert bls.sign(secret, unhex(given["message"])) == unhex(output), name


def test_every_verify_vector_gives_its_verdict(bls: Bls, vectors: Path) -> None:
    for name, given, output in cases(vectors, "verify"):
        verdict = bls.verify(unhex(given["pubkey"]), unhex(given["message"]), unhex(given["signature"]))
        assert verdict is output, name


def test_public_keys_deserialise_as_the_vectors_say_but_infinity_is_no_key(bls: Bls, vectors: Path) -> None:
    for name, given, output in cases(vectors, "deserialization_G1"):
        value = unhex(given["pubkey"])
        assert bls.is_public_key(value) is (output and value != COMPRESSED_INFINITY_G1), name


def test_signatures_deserialise_as_the_vectors_say(bls: Bls, vectors: Path) -> None:
    for name, given, output in cases(vectors, "deserialization_G2"):
        assert bls.is_signature(unhex(given["signature"])) is output, name


def test_single_key_aggregates_verify_as_plain_signatures(bls: Bls, vectors: Path) -> None:
    seen = 0
    for name, given, output in cases(vectors, "fast_aggregate_verify"):
        if len(given["pubkeys"]) == 1:
            seen += 1
            verdict = bls.verify(unhex(given["pubkeys"][0]), unhex(given["message"]), unhex(given["signature"]))
            assert verdict is output, name
    assert seen


def test_an_independent_implementation_agrees(bls: Bls) -> None:
    dice = random.Random(20261121)
    for length in (0, 32, 100):
        number, message = dice.randrange(1, CURVE_ORDER), dice.randbytes(length)
        secret = SecretKey.from_bytes(number.to_bytes(32, "big"))
        assert bls.public_key(secret) == Oracle.SkToPk(number)
        assert bls.sign(secret, message) == Oracle.Sign(number, message)


def test_both_implementations_agree_on_the_edges_of_the_private_key() -> None:
    ckzg, pyblst = CkzgBls(), PyblstBls()
    for number in (1, 2, CURVE_ORDER - 1, CURVE_ORDER // 2):
        secret = SecretKey.from_bytes(number.to_bytes(32, "big"))
        assert ckzg.public_key(secret) == pyblst.public_key(secret)
        assert ckzg.sign(secret, b"edge") == pyblst.sign(secret, b"edge")


def test_a_hashed_message_serves_many_keys(bls: Bls) -> None:
    hashed = bls.hash_to_g2(b"one root")
    for number in range(1, 6):
        secret = SecretKey.from_bytes(number.to_bytes(32, "big"))
        signature = bls.sign_hashed(secret, hashed)
        assert signature == bls.sign(secret, b"one root")
        assert bls.verify(bls.public_key(secret), b"one root", signature)


@pytest.mark.parametrize("length", [0, 1, 47, 49, 95, 97])
def test_points_of_a_wrong_length_verify_nothing(bls: Bls, length: int) -> None:
    secret = SecretKey.from_bytes(bytes(31) + b"\7")
    public_key, signature = bls.public_key(secret), bls.sign(secret, b"m")
    assert not bls.verify(bytes(length), b"m", signature)
    assert not bls.verify(public_key, b"m", bytes(length))
