"""A policy as one piece: what decides, its data and its manifest in one text of bytes, named by their SHA-256.

    holdfast-policy-1 LF
    4 bytes length (big-endian), the manifest: JSON, fields in alphabetical order, no spaces
    4 bytes length, the content: a WebAssembly module, or a file of rules
    4 bytes length, the data document of a module of Open Policy Agent, or nothing

Rule 1: one policy has one spelling. What is not byte for byte what we would write is no pack.
Rule 2: the version of a policy is the hash of its pack: nothing about it can change without another version.
Rule 3: a signature says that its owner made exactly this pack, and nothing about when or where it may be used.
"""

import hashlib
from enum import StrEnum
from typing import Annotated

from msgspec import DecodeError, Meta, Struct
from msgspec import json as fast_json

from signer.crypto.ed25519 import ed25519_sign, ed25519_verifies
from signer.crypto.secret import Secret
from signer.errors import PolicyPackError
from signer.nesting import is_nested_deeper
from signer.policy.grants import Grants, HostFunction
from signer.policy.limits import DEFAULT_LIMITS, MAX_FUEL, MAX_MEMORY_BYTES, MAX_MODULE_BYTES, MAX_WALL_SECONDS, Limits

MAGIC = b"holdfast-policy-1\n"

MAX_MANIFEST_BYTES = 64 << 10
MAX_DATA_BYTES = 256 << 10
"""Of a `data` document: it is read again in every decision, for about 15 fuel a byte."""

_SIGNED = b"holdfast-policy-signature-1\n"
"""What a signature is for: it stands before the hash, so that no signature of another kind is one of a policy."""

_LENGTH_BYTES = 4
_MAX_MANIFEST_LEVELS = 4

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]
GrantedName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:/-]{1,128}\Z")]
GrantedNames = Annotated[tuple[GrantedName, ...], Meta(max_length=256)]


class Kind(StrEnum):
    """What decides."""

    MODULE = "module"
    RULES = "rules"


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a policy is and may. Every field is written, so that a manifest has one spelling."""

    name: Name
    kind: Kind
    description: Annotated[str, Meta(max_length=1024)] = ""
    functions: tuple[HostFunction, ...] = ()
    """Functions of `holdfast` that the module may import. Like every list here: each once, in alphabetical order."""

    counters: GrantedNames = ()
    lists: GrantedNames = ()
    entry_point: Annotated[str, Meta(max_length=256)] = ""
    """Of a module of Open Policy Agent: the rule that decides."""

    fuel: Annotated[int, Meta(ge=1, le=MAX_FUEL)] = DEFAULT_LIMITS.fuel
    memory_bytes: Annotated[int, Meta(ge=1 << 16, le=MAX_MEMORY_BYTES)] = DEFAULT_LIMITS.memory_bytes
    wall_milliseconds: Annotated[int, Meta(ge=1, le=int(MAX_WALL_SECONDS * 1000))] = int(
        DEFAULT_LIMITS.wall_seconds * 1000
    )

    @property
    def grants(self) -> Grants:
        """What it may ask of its host."""
        return Grants(frozenset(self.functions), frozenset(self.counters), frozenset(self.lists))

    @property
    def limits(self) -> Limits:
        """What one decision may use up."""
        return Limits(self.fuel, self.memory_bytes, self.wall_milliseconds / 1000)


class Pack(Struct, frozen=True):
    """A policy, complete."""

    manifest: Manifest
    content: bytes
    data: bytes = b""


_DECODER = fast_json.Decoder(Manifest)
_ENCODER = fast_json.Encoder(order="sorted")


def write_pack(pack: Pack) -> bytes:
    """The one text of a pack. Raises PolicyPackError where the pack could not be read again."""
    written = MAGIC + b"".join(
        len(part).to_bytes(_LENGTH_BYTES, "big") + part
        for part in (_ENCODER.encode(pack.manifest), pack.content, pack.data)
    )
    read_pack(written)
    return written


def read_pack(text: bytes) -> Pack:
    """The pack with this text. Whether its content is a policy is not looked at. Raises PolicyPackError."""
    if not text.startswith(MAGIC):
        raise PolicyPackError("this is no pack of a policy: it does not begin with `holdfast-policy-1`")
    rest = text[len(MAGIC) :]
    manifest_text, rest = _part(rest, "manifest", most=MAX_MANIFEST_BYTES)
    content, rest = _part(rest, "content", most=MAX_MODULE_BYTES)
    data, rest = _part(rest, "data document", most=MAX_DATA_BYTES)
    if rest:
        raise PolicyPackError(f"{len(rest)} bytes follow where the pack should end")
    manifest = _manifest(manifest_text)
    if not content:
        raise PolicyPackError("the pack has nothing that decides: its content is empty")
    _check_kind(manifest, data)
    return Pack(manifest, content, data)


def version_of(text: bytes) -> str:
    """The version of the policy with this pack: its SHA-256 in hexadecimal."""
    return hashlib.sha256(text).hexdigest()


def sign_pack(text: bytes, private_key: Secret) -> bytes:
    """An Ed25519 signature of this pack, 64 bytes, to be kept beside it."""
    return ed25519_sign(private_key, _SIGNED + hashlib.sha256(text).digest())


def is_signed_by(text: bytes, signature: bytes, public_key: bytes) -> bool:
    """True when the owner of this Ed25519 key has signed exactly this pack."""
    return ed25519_verifies(public_key, _SIGNED + hashlib.sha256(text).digest(), signature)


def _part(text: bytes, what: str, *, most: int) -> tuple[bytes, bytes]:
    """The next part and what is behind it."""
    end = _LENGTH_BYTES + int.from_bytes(text[:_LENGTH_BYTES], "big")
    if len(text) < _LENGTH_BYTES or len(text) < end:
        raise PolicyPackError(f"the pack ends in the middle of its {what}")
    if end - _LENGTH_BYTES > most:
        raise PolicyPackError(f"the {what} has {end - _LENGTH_BYTES} bytes; at most {most} are read")
    return text[_LENGTH_BYTES:end], text[end:]


def _manifest(text: bytes) -> Manifest:
    if is_nested_deeper(text, levels=_MAX_MANIFEST_LEVELS):
        raise PolicyPackError("the manifest is nested more deeply than a manifest")
    try:
        manifest = _DECODER.decode(text)
    except (DecodeError, UnicodeDecodeError) as error:
        raise PolicyPackError(f"the manifest cannot be read: {error}") from None
    for field, names in (
        ("functions", manifest.functions),
        ("counters", manifest.counters),
        ("lists", manifest.lists),
    ):
        if list(names) != sorted(set(names)):
            raise PolicyPackError(f"{field} in the manifest are not in alphabetical order, each once")
    if _ENCODER.encode(manifest) != text:
        raise PolicyPackError("the manifest is not written as a manifest is: every field, alphabetical, no spaces")
    return manifest


def _check_kind(manifest: Manifest, data: bytes) -> None:
    if manifest.kind is Kind.MODULE:
        return
    plain = Manifest(name=manifest.name, kind=manifest.kind, description=manifest.description)
    if data or manifest != plain:
        raise PolicyPackError("a file of rules has no data document, no grants, no entry point and no limits to set")
