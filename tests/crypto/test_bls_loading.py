"""The self-test, the fall-back, and the private key's manners."""

import pickle
import threading

import pytest

from signer.crypto import bls
from signer.crypto.bls import CURVE_ORDER, Bls, SecretKey
from signer.crypto.bls.known_answers import check_known_answers
from signer.crypto.bls.through_ckzg import CkzgBls
from signer.crypto.bls.through_pyblst import PyblstBls
from signer.errors import StartupError
from signer.units import Signature


class ForgetfulBls(CkzgBls):
    """Accepts every signature: the self-test must see it."""

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return True


class CrookedBls(CkzgBls):
    """Signs wrongly by one bit."""

    def sign(self, secret: SecretKey, message: bytes) -> Signature:
        signature = super().sign(secret, message)
        return Signature(signature[:-1] + bytes([signature[-1] ^ 1]))


def hidden_symbols() -> Bls:
    raise AttributeError("undefined symbol: blst_hash_to_g2")


def missing_package() -> Bls:
    raise ImportError("No module named 'pyblst'")


def test_blst_through_ckzg_is_chosen_here() -> None:
    chosen = bls.load()
    assert isinstance(chosen, CkzgBls)
    assert chosen.releases_interpreter_lock
    assert chosen.name.startswith("blst through ckzg 2.")


@pytest.mark.parametrize("broken", [hidden_symbols, missing_package, ForgetfulBls, CrookedBls])
def test_a_broken_implementation_is_passed_over(broken: type[Bls]) -> None:
    assert isinstance(bls.load((broken, PyblstBls)), PyblstBls)


def test_with_no_implementation_left_the_signer_does_not_start() -> None:
    with pytest.raises(StartupError, match=r"undefined symbol.*No module named") as caught:
        bls.load((hidden_symbols, missing_package))
    assert "ckzg" in caught.value.remedy


def test_the_self_test_names_what_failed() -> None:
    with pytest.raises(StartupError, match="other message refused, infinite public key refused"):
        check_known_answers(ForgetfulBls())


@pytest.mark.parametrize("library", ["libc.so.6", "/nonexistent/ckzg.so"])
def test_a_real_library_without_the_symbols_is_passed_over(library: str) -> None:
    assert isinstance(bls.load((lambda: CkzgBls(library), PyblstBls)), PyblstBls)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (bytes(32), "zero is not"),
        (CURVE_ORDER.to_bytes(32, "big"), "below the curve order"),
        ((CURVE_ORDER + 1).to_bytes(32, "big"), "below the curve order"),
        (b"\xff" * 32, "below the curve order"),
        (b"\1" * 31, "has 32 bytes"),
        (b"\1" * 33, "has 32 bytes"),
        (b"", "has 32 bytes"),
    ],
)
def test_what_is_no_private_key_is_refused_without_being_quoted(value: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        SecretKey.from_bytes(value)
    assert not value or value.hex() not in str(caught.value)


def test_the_largest_private_key_is_one() -> None:
    value = (CURVE_ORDER - 1).to_bytes(32, "big")
    assert SecretKey.from_bytes(value).to_secret().reveal() == value


def test_a_private_key_shows_stars_and_is_not_pickled() -> None:
    secret = SecretKey.from_bytes(b"\x11" * 32)
    assert repr(secret) == str(secret) == f"{secret}" == "SecretKey(********)"
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


def test_a_wiped_key_is_zero_and_signs_nothing() -> None:
    secret = SecretKey.from_bytes(b"\x11" * 32)
    buffer = secret.scalar
    secret.wipe()
    assert bytes(buffer) == bytes(32)
    for implementation in (CkzgBls(), PyblstBls()):
        with pytest.raises(ValueError, match="wiped"):
            implementation.sign(secret, b"m")
        with pytest.raises(ValueError, match="wiped"):
            implementation.public_key(secret)


def test_a_key_is_wiped_when_its_last_holder_lets_go() -> None:
    secret = SecretKey.from_bytes(b"\x11" * 32)
    buffer = secret.scalar
    del secret
    assert bytes(buffer) == bytes(32)


def test_threads_sign_at_once_and_alike() -> None:
    chosen = bls.load()
    secrets = [SecretKey.from_bytes(bytes(31) + bytes([number])) for number in range(1, 9)]
    hashed = chosen.hash_to_g2(b"root")
    expected = [chosen.sign(secret, b"root") for secret in secrets]
    wrong: list[int] = []

    def sign_all() -> None:
        for _ in range(20):
            for number, secret in enumerate(secrets):
                if chosen.sign_hashed(secret, hashed) != expected[number]:
                    wrong.append(number)

    threads = [threading.Thread(target=sign_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
