"""Keys whose private half the whole world knows: from test suites, standards and development networks.

A production signer refuses them: whoever reads this file can sign with them too.
"""

import hashlib
from collections.abc import Iterable

from signer.crypto.bls import CURVE_ORDER, SECRET_KEY_BYTES, Bls, SecretKey
from signer.keys.key import Key
from signer.units import PublicKey

INTEROP_KEYS = 100_000
"""How many of the interop validators' keys we know; development networks start with some hundreds to thousands."""

_NAMED_KEYS = frozenset(
    bytes.fromhex(text)
    for text in (
        # EIP-2335, test cases
        "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07",
        # Web3Signer, acceptance tests
        "89b54db68c6281b5919ff0167cf88f2e0077cd90b65efcd0dbbc7772ee953c6a5bc96be01c5a9a14ba45edbc933fa4c3",
        "948b6281ec1e6df13ba20d3f5e8ff504c134af25e994046814d2cff9ecde289ead1988ffb13d337248848f98fd33766f",
        "95c434ebe924ef9b8fac1766ae6e68b70a43b03c00a0d8ddfbf55238f6eb4d8f895ad3316ba6fa21a14da5259b820498",
        "989d34725a2bfc3f15105f3f5fc8741f436c25ee1ee4f948e425d6bcb8c56bce6e06c269635b7e985a7ffa639e2409bf",
        "98d083489b3b06b8740da2dfec5cc3c01b2086363fe023a9d7dc1f907633b1ff11f7b99b19e0533e969862270061d884",
        "a46bf94016af71e55ca0518fe6a8bd3852e01b3f959780a4faf3bbe461ac553c0a83f232cc5f2a4b827d8d3455b706e4",
        "b6ee692dd6e14d1e897006b64b797c63908c17ce804cb32b3cfd160e5d9fbdc6a7a38a7b0613c0d39715d6fb7062415f",
        # ethereum/bls12-381-tests, sign
        "a491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e2644f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a",
        "b301803f8b5ac4a1133581fc676dfedc60d891dd5fa99028805e5ea5b08d3491af75d0707adab3b70c6a6a580217bf81",
        "b53d21a4cfd562c469cc81514d4ce5a6b577d8403d32a394dc265dd190b47fa9f829fdd7963afdf972e5e77854051f6f",
        # Deposit tool tests, mnemonic "test" x 11 "waste"
        "86474cd2874663445ef0ee02aca81b2b942a383fd4c7085fa675388e26c67afc0fef44a8666d46f571723e349ae4a0cb",
        "88b6b3a9b391fa5593e8bce8d06102df1a56248368086929709fbb4a8570dc6a560febeef8159b19789e9c1fd13572f0",
        "92ca8dddba4ae7ada6584c377fc53fb978ad9d5ee8db585b18e226c27682b326b3c68e10f5d99a453e233268c144e0ef",
        "997e27aa262238beb01464434694a466321b5270297bdfdb944b65a3b6617b6ce2613628ac35a8f4cf2e9b4b55c46ef8",
        "a2801622bc391724989004b5de78cb85746f85a303572691ecc945d9f5c61ec512127e58482e0dfcb4de77be3294ab01",
        "a33ab9d93fb53c4f027944aaa11a13be0c150b7cc2e379d85d1ed4db38d178b4e4ebeae05832158b8c746c1961da00ce",
        "a57a4ed429e415b862cc758e75c93936e3f6339640d0763b969ba133a82c03717827fbdd8ec42fc862ed50e3b5b528dc",
    )
)


def publicly_known(keys: Iterable[Key]) -> tuple[PublicKey, ...]:
    """Those of these keys that are publicly known, in the given order. A tenth of a second of work.

    Interop keys are found by their private halves: deriving a hundred thousand public keys would take eight seconds.
    """
    keys = tuple(keys)
    by_secret = {key.secret.to_secret().reveal(): key.public_key for key in keys}
    interop = {by_secret[secret] for secret in map(interop_secret, range(INTEROP_KEYS)) if secret in by_secret}
    return tuple(key.public_key for key in keys if key.public_key in interop or key.public_key in _NAMED_KEYS)


def published_public_keys(bls: Bls, *, interop: int) -> frozenset[bytes]:
    """The public halves that are known without opening anything: the named ones and the first interop validators'.

    Each of the latter takes 80 microseconds.
    """
    secrets = (SecretKey.from_bytes(interop_secret(index)) for index in range(interop))
    return _NAMED_KEYS | {bls.public_key(secret) for secret in secrets}


def interop_secret(index: int) -> bytes:
    """The private key of interop validator `index`, big endian (ethereum/eth2.0-pm, interop/mocked_start)."""
    digest = hashlib.sha256(index.to_bytes(32, "little")).digest()
    return (int.from_bytes(digest, "little") % CURVE_ORDER).to_bytes(SECRET_KEY_BYTES, "big")
