"""Secrets, sealing and derivation."""

import pickle

import pytest

from signer.crypto.aead import Sealer
from signer.crypto.kdf import ARGON2_COST, Argon2Cost, ScryptCost, argon2id, pbkdf2_sha256, scrypt, subkey
from signer.crypto.secret import Secret
from signer.errors import SealError

NONCE = bytes(range(12))
KEY = Secret(b"k" * 32)


def test_a_secret_shows_stars_of_one_length() -> None:
    assert repr(Secret(b"hunter2")) == f"{Secret(b'')}" == "Secret(********)"
    assert "hunter2" not in f"{[Secret(b'hunter2')]!r}"


def test_secrets_compare_by_value_and_with_nothing_else() -> None:
    assert Secret(b"a") == Secret(bytearray(b"a"))
    assert Secret(b"a") != Secret(b"b")
    assert Secret(b"a") != b"a"


def test_a_secret_is_neither_hashed_nor_pickled() -> None:
    with pytest.raises(TypeError):
        hash(Secret(b"a"))
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(b"a"))


def test_a_wiped_secret_is_zero() -> None:
    secret = Secret(b"hunter2")
    secret.wipe()
    assert secret.reveal() == bytes(7)


def test_what_was_sealed_opens_with_the_same_key_and_data() -> None:
    sealed = Sealer(KEY).seal(b"text", b"bound", nonce=NONCE)
    assert sealed[0] == 1
    assert Sealer(KEY).open(sealed, b"bound") == b"text"


def test_every_changed_bit_is_seen() -> None:
    sealer = Sealer(KEY)
    sealed = sealer.seal(b"text", b"bound", nonce=NONCE)
    for position in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[position] ^= 1 << bit
            with pytest.raises(SealError):
                sealer.open(bytes(changed), b"bound")


@pytest.mark.parametrize("length", [0, 1, 13, 28])
def test_a_sealed_value_cut_short_is_refused(length: int) -> None:
    sealed = Sealer(KEY).seal(b"", b"", nonce=NONCE)
    with pytest.raises(SealError, match="cut short"):
        Sealer(KEY).open(sealed[:length], b"")


def test_another_key_or_other_data_do_not_open() -> None:
    sealed = Sealer(KEY).seal(b"text", b"bound", nonce=NONCE)
    with pytest.raises(SealError, match="another key"):
        Sealer(Secret(b"x" * 32)).open(sealed, b"bound")
    with pytest.raises(SealError, match="another key"):
        Sealer(KEY).open(sealed, b"other")


def test_keys_and_nonces_of_a_wrong_length_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(Secret(b"short"))
    with pytest.raises(ValueError, match="12 bytes"):
        Sealer(KEY).seal(b"", b"", nonce=b"short")


def test_scrypt_gives_rfc_7914s_answer() -> None:
    derived = scrypt(Secret(b"password"), salt=b"NaCl", cost=ScryptCost(1024, 8, 16), length=64)
    assert derived.reveal().hex().startswith("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")


def test_pbkdf2_gives_rfc_7914s_answer() -> None:
    derived = pbkdf2_sha256(Secret(b"passwd"), salt=b"salt", iterations=1, length=64)
    assert derived.reveal().hex().startswith("55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc")


def test_argon2id_gives_the_reference_programs_answer() -> None:
    cost = Argon2Cost(iterations=2, lanes=1, memory_kib=65_536)
    derived = argon2id(Secret(b"password"), salt=b"somesalt", cost=cost, length=32)
    assert derived.reveal().hex() == "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"


def test_our_argon2id_cost_is_rfc_9106s_second_choice() -> None:
    assert Argon2Cost(iterations=3, lanes=4, memory_kib=64 << 10) == ARGON2_COST


def test_subkeys_of_different_uses_differ() -> None:
    assert subkey(KEY, b"a") != subkey(KEY, b"b")
    assert subkey(KEY, b"a") == subkey(Secret(b"k" * 32), b"a")
