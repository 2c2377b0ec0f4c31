"""EIP-2335 keystores: the standard's own, Web3Signer's, and hostile ones."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from signer.crypto.bls import Bls, SecretKey
from signer.crypto.kdf import ScryptCost
from signer.crypto.secret import Secret
from signer.errors import KeyFormatError
from signer.keys.keystore import Keystore, Pbkdf2Cost, normalised
from signer.keys.keystore_format import parse_keystore
from signer.keys.keystore_writer import encode_keystore

# "testpassword" in Fraktur, and a key (EIP-2335, test cases)
PASSWORD = "\U0001d531\U0001d522\U0001d530\U0001d531\U0001d52d"
PASSWORD += "\U0001d51e\U0001d530\U0001d530\U0001d534\U0001d52c\U0001d52f\U0001d521\U0001f511"


def web3signer_keystores(vectors: Path) -> Path:
    resources = vectors / "web3signer-acceptance" / "resources"
    return resources / "bls-keystore" / "tech" / "pegasys" / "web3signer" / "bls" / "keystore"


def test_the_standards_keystores_open_with_the_standards_password(vectors: Path) -> None:
    directory = vectors / "wallets" / "eip2335"
    expected = json.loads((directory / "expected.json").read_text())
    assert expected["password"] == PASSWORD
    for name in ("erc2335_scrypt.json", "erc2335_pbkdf2.json", "ethstaker_test0.json", "ethstaker_test1.json"):
        keystore = parse_keystore((directory / name).read_bytes())
        secret = keystore.open(Secret(PASSWORD.encode()))
        assert "0x" + secret.reveal().hex() == expected["secret"], name


def test_the_standards_password_is_normalised_as_the_standard_says(vectors: Path) -> None:
    expected = json.loads((vectors / "wallets" / "eip2335" / "expected.json").read_text())
    assert normalised(Secret(PASSWORD.encode())).reveal().hex() == expected["password_nfkd_stripped_utf8_hex"]


@pytest.mark.parametrize(
    ("password", "same_as"),
    [
        ("pass\n", "pass"),
        ("pa\tss\r\n", "pass"),
        ("pa\x7fss\x80\x9f\x00", "pass"),
        ("\u212b", "A\u030a"),  # ANGSTROM SIGN decomposes
        ("\ufb01sh", "fish"),  # a ligature is compatible with its letters
        (" pass ", " pass "),  # a space is no control character
        ("\u00a0", " "),  # NO-BREAK SPACE is compatible with a space, and is not C1
        ("", ""),
    ],
)
def test_passwords_are_normalised(password: str, same_as: str) -> None:
    assert normalised(Secret(password.encode())).reveal() == same_as.encode()


def test_a_password_that_is_not_utf8_is_refused_without_being_quoted() -> None:
    with pytest.raises(KeyFormatError, match="not UTF-8") as caught:
        normalised(Secret(b"hunter\xff"))
    assert caught.value.__cause__ is None
    assert "hunter" not in repr(caught.value)


@pytest.mark.parametrize(
    ("name", "password"), [("bls_keystore.json", "somepassword"), ("bls_keystore_2.json", "otherpassword")]
)
def test_web3signers_acceptance_keystores_open_to_their_public_keys(
    vectors: Path, library: Bls, name: str, password: str
) -> None:
    file = vectors / "web3signer-acceptance" / "resources" / "acceptance-tests" / "eth2" / name
    keystore = parse_keystore(file.read_bytes())
    opened = SecretKey.from_bytes(keystore.open(Secret(password.encode())).reveal())
    assert library.public_key(opened) == keystore.public_key


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missingCrypto.json", "missing required field `crypto`"),
        ("missingKdfSectionTestVector.json", "missing required field `params`"),
        ("missingVersion.json", "missing required field `version`"),
        ("unsupportedChecksumFunction.json", "checksum .* is not supported"),
        ("unsupportedCipherFunction.json", "cipher .* is not supported"),
        ("unsupportedDkLen.json", "dklen must be from 32 to 1024, this one is 31"),
        ("unsupportedKdfFunction.json", "kdf function .* is not supported"),
        ("unsupportedPBKDF2Prf.json", "prf .* is not supported"),
        ("v3TestVector.json", "version 3 is not supported"),
    ],
)
def test_web3signers_malformed_keystores_are_refused(vectors: Path, name: str, reason: str) -> None:
    with pytest.raises(KeyFormatError, match=reason):
        parse_keystore((web3signer_keystores(vectors) / name).read_bytes())


def test_web3signers_good_keystores_parse_and_unknown_members_are_ignored(vectors: Path) -> None:
    for name in ("scryptTestVector.json", "pbkdf2TestVector.json", "scryptExtraFieldTestVector.json"):
        keystore = parse_keystore((web3signer_keystores(vectors) / name).read_bytes())
        assert keystore.derivation_path is None or keystore.derivation_path.startswith("m/")


def test_a_wrong_password_is_told_from_a_malformed_file(house: Any) -> None:
    keystore = parse_keystore(house.keystore(7))
    with pytest.raises(KeyFormatError, match="password does not open") as caught:
        keystore.open(Secret(b"hunter2"))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("cost", [Pbkdf2Cost(10), ScryptCost(n=16, r=1, p=1), ScryptCost(n=2, r=8, p=3)])
def test_what_we_write_we_read(library: Bls, cost: Pbkdf2Cost | ScryptCost) -> None:
    secret = SecretKey.from_bytes(b"\x33" * 32)
    public_key = library.public_key(secret)
    data = encode_keystore(secret, public_key, Secret("pässword".encode()), cost=cost, derivation_path="m/1/2")
    keystore = parse_keystore(data)
    assert keystore.open(Secret("pässword\n".encode())).reveal() == b"\x33" * 32
    assert (keystore.public_key, keystore.derivation_path, keystore.cost) == (public_key, "m/1/2", cost)
    assert json.loads(data)["version"] == 4


def test_two_keystores_of_one_key_share_no_salt(library: Bls) -> None:
    secret = SecretKey.from_bytes(b"\x33" * 32)
    first, second = (
        encode_keystore(secret, library.public_key(secret), Secret(b"p"), cost=Pbkdf2Cost(1)) for _ in "12"
    )
    assert parse_keystore(first).salt != parse_keystore(second).salt
    assert json.loads(first)["uuid"] != json.loads(second)["uuid"]


def spoilt(document: dict[str, Any], place: str, value: object) -> bytes:
    document = copy.deepcopy(document)
    *parents, name = place.split(".")
    inside = document
    for parent in parents:
        inside = inside[parent]
    inside[name] = value
    return json.dumps(document).encode()


SCRYPT = {"dklen": 32, "n": 262144, "r": 8, "p": 1, "salt": "00" * 32}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n": 1 << 40}, "MiB; the limit is 1024 MiB"),
        ({"n": 1 << 62}, "MiB; the limit is 1024 MiB"),
        ({"n": 10**30}, "power of two|out of range"),
        ({"r": 1 << 30}, "MiB; the limit"),
        ({"p": 1 << 25}, "MiB; the limit"),
        ({"n": 2, "r": 1, "p": (1 << 22) + 5_000_000}, "MiB; the limit"),
        ({"n": 1 << 16, "r": 8, "p": 65}, "the limit is 33554432"),
        ({"n": 0}, "power of two"),
        ({"n": 1}, "power of two"),
        ({"n": -4}, "power of two"),
        ({"n": 262143}, "power of two"),
        ({"r": 0}, "1 or more"),
        ({"p": -1}, "1 or more"),
        ({"r": 1, "n": 65536}, "below 65536 when r is 1"),
        ({"dklen": 16}, "dklen"),
        ({"dklen": 1 << 31}, "dklen"),
        ({"n": "262144"}, "Expected `int`"),
        ({"n": True}, "Expected `int`"),
        ({"salt": "zz"}, "salt is not hexadecimal"),
        ({"salt": "00 00"}, "salt is not hexadecimal"),
        ({"salt": "00" * 1025}, "salt is longer"),
        ({"salt": 5}, "Expected `str`"),
    ],
)
def test_scrypt_that_is_wrong_or_costs_too_much_is_refused_before_it_runs(
    keystore_document: dict[str, Any], change: dict[str, object], reason: str
) -> None:
    kdf = {"function": "scrypt", "params": SCRYPT | change, "message": ""}
    with pytest.raises(KeyFormatError, match=reason):
        parse_keystore(spoilt(keystore_document, "crypto.kdf", kdf))


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        ("crypto.kdf.params.c", 0, "c must be from 1"),
        ("crypto.kdf.params.c", 1 << 40, "c must be from 1 to 67108864"),
        ("crypto.kdf.params", [], "Expected `object`"),
        ("crypto.kdf.function", "argon2id", "kdf function 'argon2id'"),
        ("crypto.kdf.function", "x" * 1000, "kdf function 'x{40}' is"),
        ("crypto.cipher.params.iv", "00" * 7, "iv has 7 bytes"),
        ("crypto.cipher.params.iv", "00" * 17, "iv has 17 bytes"),
        ("crypto.cipher.message", "00" * 31, "message has 31 bytes"),
        ("crypto.cipher.message", "", "message has 0 bytes"),
        ("crypto.cipher.message", "0", "not hexadecimal"),
        ("crypto.checksum.message", None, "Expected `str`"),
        ("pubkey", "00" * 47, "pubkey has 47 bytes"),
        ("pubkey", "nonsense", "pubkey is not hexadecimal"),
        ("version", "4", "Expected `int`"),
        ("version", 5, "version 5"),
        ("crypto", {}, "missing required field"),
    ],
)
def test_a_spoilt_keystore_is_refused_with_its_reason(
    keystore_document: dict[str, Any], place: str, value: object, reason: str
) -> None:
    with pytest.raises(KeyFormatError, match=reason):
        parse_keystore(spoilt(keystore_document, place, value))


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b"{" * 100_000, b"[" * 100_000, b'{"version": 4}', b"\xef\xbb\xbf{}"],
)
def test_what_is_no_keystore_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(KeyFormatError, match="not an EIP-2335 keystore"):
        parse_keystore(data)


def test_a_keystore_cut_anywhere_is_refused(house: Any) -> None:
    data = house.keystore(7).rstrip()
    for length in range(0, len(data), 7):
        with pytest.raises(KeyFormatError):
            parse_keystore(data[:length])


def test_a_public_key_may_be_left_out_or_empty_or_have_0x(keystore_document: dict[str, Any], house: Any) -> None:
    text = house.public_key(7).hex()
    for given, read in ((None, None), ("", None), (text, text), ("0x" + text, text), (text.upper(), text)):
        keystore = parse_keystore(spoilt(keystore_document, "pubkey", given))
        assert keystore.public_key == (bytes.fromhex(read) if read else None)


def test_a_short_iv_is_followed_by_zeros(house: Any, keystore_document: dict[str, Any]) -> None:
    zeros_at_the_end = "0102030405060708" + "00" * 8
    long = parse_keystore(spoilt(keystore_document, "crypto.cipher.params.iv", zeros_at_the_end))
    short = parse_keystore(spoilt(keystore_document, "crypto.cipher.params.iv", "0102030405060708"))
    assert long.open(Secret(b"pass")) == short.open(Secret(b"pass"))


def test_no_memory_for_scrypt_is_a_fault_of_this_keystore_alone() -> None:
    cost = ScryptCost(n=1 << 50, r=8, p=1)  # parse_keystore would have refused it
    keystore = Keystore(cost, b"salt", 32, bytes(16), bytes(32), bytes(32), None, None)
    with pytest.raises(KeyFormatError, match="no memory for scrypt"):
        keystore.open(Secret(b"p"))
