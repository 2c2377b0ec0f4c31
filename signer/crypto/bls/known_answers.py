"""Known answers a BLS implementation must give before it signs for anyone.

The key, message and signature are ethereum/bls12-381-tests v0.1.2, sign_case_11b8c7cad5238946; the public key is the
same suite's, in verify_valid_case_2f09d443ab8a3ac2.
"""

from collections.abc import Callable

from signer.crypto.bls.scheme import COMPRESSED_INFINITY_G1, COMPRESSED_INFINITY_G2, Bls
from signer.crypto.bls.secret_key import CURVE_ORDER, SECRET_KEY_BYTES, SecretKey
from signer.errors import StartupError

_SECRET = bytes.fromhex("47b8192d77bf871b62e87859d653922725724a5c031afeabc60bcef5ff665138")
_PUBLIC_KEY = bytes.fromhex(
    "b301803f8b5ac4a1133581fc676dfedc60d891dd5fa99028805e5ea5b08d3491af75d0707adab3b70c6a6a580217bf81"
)
_MESSAGE = bytes(32)
_SIGNATURE = bytes.fromhex(
    "b23c46be3a001c63ca711f87a005c200cc550b9429d5f4eb38d74322144f1b63926da3388979e5321012fb1a0526bcd1"
    "00b5ef5fe72628ce4cd5e904aeaa3279527843fae5ca9ca675f4f51ed8f83bbf7155da9ecc9663100a885d5dc6df96d9"
)


def check_known_answers(bls: Bls) -> None:
    """Sign, verify and refuse what is known.

    Raises:
        StartupError: an answer differs; this implementation must not be used.
    """
    secret = SecretKey.from_bytes(_SECRET)
    answers = {
        "public key": bls.public_key(secret) == _PUBLIC_KEY,
        "signature": bls.sign(secret, _MESSAGE) == _SIGNATURE,
        "signature of a hashed message": bls.sign_hashed(secret, bls.hash_to_g2(_MESSAGE)) == _SIGNATURE,
        "true signature accepted": bls.verify(_PUBLIC_KEY, _MESSAGE, _SIGNATURE),
        "other message refused": not bls.verify(_PUBLIC_KEY, b"\1" * 32, _SIGNATURE),
        "infinite public key refused": not bls.verify(COMPRESSED_INFINITY_G1, _MESSAGE, COMPRESSED_INFINITY_G2),
        "infinite signature refused": not bls.verify(_PUBLIC_KEY, _MESSAGE, COMPRESSED_INFINITY_G2),
        "private key 0 refused": _refuses(lambda: SecretKey.from_bytes(bytes(SECRET_KEY_BYTES))),
        "private key r refused": _refuses(lambda: SecretKey.from_bytes(CURVE_ORDER.to_bytes(SECRET_KEY_BYTES, "big"))),
    }
    wrong = [question for question, right in answers.items() if not right]
    if wrong:
        raise StartupError(
            f"the BLS self-test of {bls.name} failed: {', '.join(wrong)}",
            remedy="reinstall the locked dependencies; do not sign with this installation",
        )


def _refuses(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except ValueError:
        return True
    return False
