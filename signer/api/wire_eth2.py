"""Web3Signer's sign requests: bytes to decoded duties, as leniently as the six consensus clients need.

The envelope is here; each type's reader is in `wire_duties.py` or `wire_gloas.py`. Every fault of a body ends in
a RequestError that names its JSON path; nothing else is raised, whatever the bytes.
"""

from binascii import a2b_hex

from signer.api.wire_duties import READERS, Reader
from signer.api.wire_fields import bytes32, object_in, one_of, root_in, uint64_in, version_in
from signer.api.wire_gloas import GLOAS_READERS
from signer.api.wire_json import JsonObject, decode_json_object
from signer.errors import BodyTooLargeError, MalformedRequestError, UnknownDutyError, UnknownKeyError
from signer.eth2.forks import ForkInfo
from signer.eth2.networks import Network
from signer.intent import SignDuty, SignExtension
from signer.units import PUBLIC_KEY_BYTES, Epoch, PublicKey, Root

_ALL_READERS = {**READERS, **GLOAS_READERS}

ORDINARY_BODY_BYTES = 256 * 2**10
"""A whole request of any type but the large ones: the longest, a bid with its commitments, is some 10 KiB today."""

_LARGE_TYPES = frozenset({"BLOCK", "BLOCK_V2", "EXECUTION_PAYLOAD_ENVELOPE", "INCLUSION_LIST"})
"""Types that hold whole blocks or transactions: only the route's limit is theirs."""

_EXTENSION_MEMBERS = {"type", "platform", "timestamp"}
"""All that an `ext/sign` body may hold (Web3Signer reads it strictly)."""


def decode_sign_request(body: bytes, public_key: PublicKey, network: Network) -> SignDuty:
    """What a sign request asks for.

    Raises:
        MalformedRequestError: not JSON, or a field that cannot be read.
        UnknownDutyError: no `type`, or one we do not know.
        BodyTooLargeError: more bytes than a request of its type may have.
    """
    request = decode_json_object(body)
    _check_size(request, len(body))
    return decode_sign_object(request, public_key, network)


def decode_batch_entry(entry: bytes, network: Network) -> SignDuty:
    """What an entry of a batch asks for: a sign request with a member `identifier`.

    Raises:
        UnknownKeyError: the identifier names none; and as `decode_sign_request`.
    """
    request = decode_json_object(entry)
    _check_size(request, len(entry))
    identifier = request.get("identifier")
    if type(identifier) is not str:
        raise MalformedRequestError("an entry of a batch names its key in `identifier`", path="identifier")
    return decode_sign_object(request, parse_identifier(identifier), network)


def decode_sign_object(request: object, public_key: PublicKey, network: Network) -> SignDuty:
    """What a decoded sign request asks for. Raises as `decode_sign_request`."""
    if type(request) is not dict:
        raise MalformedRequestError("a sign request is a JSON object; send {...}")
    return SignDuty(
        public_key=public_key,
        duty=_reader(request.get("type"))(request, network.preset),
        fork_info=_read_fork_info(request),
        claimed_root=_read_claimed_root(request),
    )


def decode_extension(body: bytes, public_key: PublicKey) -> SignExtension:
    """What an `ext/sign` request asks for: the body itself is what will be signed.

    Raises:
        MalformedRequestError: anything but `{"type": "PROOF_OF_VALIDATION", "platform": ..., "timestamp": ...}`.
    """
    request = decode_json_object(body)
    unknown = sorted(set(request) - _EXTENSION_MEMBERS)
    if unknown:
        raise MalformedRequestError(f"{unknown[0][:64]!r} is not a member of this request", path=unknown[0][:64])
    if request.get("type") != "PROOF_OF_VALIDATION":
        raise MalformedRequestError("type must be PROOF_OF_VALIDATION here", path="type")
    platform = request.get("platform")
    if type(platform) is not str:
        raise MalformedRequestError("platform must be text", path="platform")
    return SignExtension(
        public_key=public_key, payload=body, platform=platform, timestamp=uint64_in(request, "timestamp", "")
    )


def parse_identifier(text: str) -> PublicKey:
    """The key a path segment or a batch item's `identifier` names: hex in any case, 0x or not.

    Raises:
        UnknownKeyError: it is no public key. No key can have such a name, and Web3Signer answers the same.
    """
    try:
        raw = a2b_hex(text[2:] if text[:2] in {"0x", "0X"} else text)
    except ValueError:
        raw = b""
    if len(raw) != PUBLIC_KEY_BYTES:
        raise UnknownKeyError(text[:128])
    return PublicKey(raw)


def _check_size(request: JsonObject, size_bytes: int) -> None:
    if size_bytes <= ORDINARY_BODY_BYTES:
        return
    type_name = str(request.get("type")).upper()
    if type_name in _ALL_READERS and type_name not in _LARGE_TYPES:
        raise BodyTooLargeError(
            f"the body is larger than a request of type {type_name} may be ({ORDINARY_BODY_BYTES} bytes)",
            evidence={"type": type_name, "limit_bytes": ORDINARY_BODY_BYTES},
        )


def _reader(type_name: object) -> Reader:
    if type(type_name) is str:
        reader = _ALL_READERS.get(type_name) or _ALL_READERS.get(type_name.upper())
        if reader is not None:
            return reader
    shown = "missing" if type_name is None else f"{str(type_name)[:64]!r}, which we do not know"
    raise UnknownDutyError(f"type is {shown}; send one of {', '.join(_ALL_READERS)}")


def _read_fork_info(request: JsonObject) -> ForkInfo | None:
    if request.get("fork_info") is None:
        return None
    fork_info = object_in(request, "fork_info", "")
    fork = object_in(fork_info, "fork", "fork_info")
    return ForkInfo(
        previous_version=version_in(fork, "previous_version", "fork_info.fork"),
        current_version=version_in(fork, "current_version", "fork_info.fork"),
        epoch=Epoch(uint64_in(fork, "epoch", "fork_info.fork")),
        genesis_validators_root=root_in(fork_info, "genesis_validators_root", "fork_info"),
    )


def _read_claimed_root(request: JsonObject) -> Root | None:
    claimed, name = one_of(request, ("signingRoot", "signing_root"))
    return None if claimed is None else Root(bytes32(claimed, "", name))
