"""Packs for tests of what is done with policies."""

from signer.crypto.ed25519 import ed25519_public_key
from signer.crypto.secret import Secret
from signer.policy.pack import Kind, Manifest, Pack, sign_pack, version_of, write_pack

ALLOW_DUTIES = "version: 1\nallow:\n  - name: duties\n    payload: [duty]\n"
NO_DUTIES = "version: 1\nallow:\n  - name: payments\n    payload: [transaction]\n"

OWNER, STRANGER = Secret(b"\1" * 32), Secret(b"\2" * 32)
"""Who signs packs."""


def rules_pack(name: str = "staking", *, text: str | bytes = ALLOW_DUTIES, description: str = "") -> bytes:
    """A policy of rules; another description is another version."""
    content = text.encode() if isinstance(text, str) else text
    return write_pack(Pack(Manifest(name=name, kind=Kind.RULES, description=description), content))


def module_pack(module: bytes, name: str = "staking", **manifest: object) -> bytes:
    return write_pack(Pack(Manifest(name=name, kind=Kind.MODULE, **manifest), module))  # type: ignore[arg-type]


def key_of(owner: Secret) -> str:
    """As a set of policies names it."""
    return ed25519_public_key(owner).hex()


ONE, TWO, THREE = (rules_pack(description=each) for each in ("one", "two", "three"))
FIRST, SECOND, THIRD = map(version_of, (ONE, TWO, THREE))
"""Three versions of one policy."""

__all__ = [
    "ALLOW_DUTIES",
    "FIRST",
    "NO_DUTIES",
    "ONE",
    "OWNER",
    "SECOND",
    "STRANGER",
    "THIRD",
    "THREE",
    "TWO",
    "key_of",
    "module_pack",
    "rules_pack",
    "sign_pack",
    "version_of",
]
