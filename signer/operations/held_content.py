"""A request for a signature as bytes, for as long as it waits for people, and back.

The signing root is computed anew from what is read, and compared with the one that was approved: a fault here makes
a request that is not signed, never one that is signed as another.
"""

from collections.abc import Mapping
from typing import get_args

import msgspec
from msgspec import Struct

from signer.errors import SealError
from signer.eth2.duties import Duty
from signer.eth2.forks import ForkInfo
from signer.intent import SignDuty
from signer.units import PublicKey

VERSION = 1
"""The first member of the array: fields are added at the end."""

_DUTIES: Mapping[str, type[Duty]] = {kind.type: kind for kind in get_args(Duty)}


class _Stored(Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    version: int
    public_key: bytes
    type: str
    duty: msgspec.Raw
    fork_info: ForkInfo | None


def encode_intent(intent: SignDuty) -> bytes:
    """MessagePack."""
    duty = msgspec.Raw(msgspec.msgpack.encode(intent.duty))
    return msgspec.msgpack.encode(_Stored(VERSION, intent.public_key, intent.duty.type, duty, intent.fork_info))


def decode_intent(content: bytes) -> SignDuty:
    """The request again. Raises SealError: it was written by a newer program."""
    try:
        stored = msgspec.msgpack.decode(content, type=_Stored)
        if stored.version != VERSION:
            raise SealError(f"a request that waits was written in version {stored.version}; this program knows 1")
        duty = msgspec.msgpack.decode(stored.duty, type=_DUTIES[stored.type])
    except (msgspec.MsgspecError, KeyError) as error:
        raise SealError(f"a request that waits cannot be read: {error}") from error
    return SignDuty(PublicKey(stored.public_key), duty, stored.fork_info)
