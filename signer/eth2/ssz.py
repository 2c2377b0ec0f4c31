"""SSZ merkleisation by hand, for the small objects of the hot path (consensus-specs, ssz/simple-serialize.md).

Every function takes values that were checked when they were decoded and gives 32 bytes. `limit` and `size`
are the type's, in bits or chunks as named. Full blocks and payloads are merkleised by a library instead
(`containers.py`); tests prove both equal.

Rule 1: a chunk is 32 bytes; nothing here pads on the left.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256

from signer.units import Root

CHUNK_BYTES = 32
"""BYTES_PER_CHUNK of the specification."""

ZERO_CHUNK = bytes(CHUNK_BYTES)
"""The leaf that pads a tree."""


def _zero_hashes(depth: int) -> tuple[bytes, ...]:
    hashes = [ZERO_CHUNK]
    for _ in range(depth):
        hashes.append(sha256(hashes[-1] * 2).digest())
    return tuple(hashes)


ZERO_HASHES = _zero_hashes(64)
"""ZERO_HASHES[d] is the root of a subtree of depth d without content."""


def hash_pair(left: bytes, right: bytes) -> bytes:
    """The parent of two nodes."""
    return sha256(left + right).digest()


def uint64_leaf(value: int) -> bytes:
    """A uint64's chunk."""
    return value.to_bytes(CHUNK_BYTES, "little")


def boolean_leaf(value: bool) -> bytes:  # noqa: FBT001 -- the value itself, not a switch
    """A boolean's chunk."""
    return b"\1".ljust(CHUNK_BYTES, b"\0") if value else ZERO_CHUNK


def bytes_leaf(value: bytes) -> bytes:
    """The chunk of a byte vector of up to 32 bytes (versions, addresses, roots)."""
    return value.ljust(CHUNK_BYTES, b"\0")


def bytes48_root(value: bytes) -> bytes:
    """The root of a Bytes48 (public keys, commitments): two chunks."""
    return sha256(value.ljust(64, b"\0")).digest()


def bytes96_root(value: bytes) -> bytes:
    """The root of a Bytes96 (signatures): three chunks and a zero one."""
    return hash_pair(sha256(value[:64]).digest(), sha256(value[64:].ljust(64, b"\0")).digest())


def merkleize(chunks: Sequence[bytes], depth: int) -> bytes:
    """The root of a tree of 2**depth leaves that begins with these chunks and is zero beyond."""
    if not chunks:
        return ZERO_HASHES[depth]
    nodes = list(chunks)
    for level in range(depth):
        if len(nodes) % 2:
            nodes.append(ZERO_HASHES[level])
        nodes = [sha256(nodes[i] + nodes[i + 1]).digest() for i in range(0, len(nodes), 2)]
    return nodes[0]


def container_root(*fields: bytes) -> bytes:
    """The root of a container whose fields have these roots."""
    return merkleize(fields, depth_of(len(fields)))


def mix_in_length(root: bytes, length: int) -> bytes:
    """A list's root: its content's root and its length."""
    return hash_pair(root, uint64_leaf(length))


def pack_bytes(value: bytes) -> list[bytes]:
    """A byte string as chunks, the last one filled up with zeros."""
    padded = _padded(value)
    return [padded[i : i + CHUNK_BYTES] for i in range(0, len(padded), CHUNK_BYTES)]


def _padded(value: bytes) -> bytes:
    """Zeros up to a whole number of chunks."""
    return value.ljust(-(-len(value) // CHUNK_BYTES) * CHUNK_BYTES, b"\0")


def depth_of(chunk_limit: int) -> int:
    """The depth of the smallest tree with room for this many chunks."""
    return max(chunk_limit - 1, 0).bit_length()


def byte_list_root(value: bytes, limit: int) -> bytes:
    """The root of a ByteList[limit]."""
    return mix_in_length(merkleize(pack_bytes(value), depth_of(-(-limit // CHUNK_BYTES))), len(value))


# --- bits -------------------------------------------------------------------------------------


def bitvector_root(bits: bytes, size: int) -> bytes:
    """The root of a Bitvector[size] in its serialised form."""
    return merkleize(pack_bytes(bits), depth_of(-(-size // 256)))


def bitlist_length(bits: bytes) -> int:
    """How many bits a serialised bitlist holds: all below the delimiter, the highest set bit of the last byte."""
    return len(bits) * 8 - 8 + bits[-1].bit_length() - 1


def bitlist_root(bits: bytes, limit: int) -> bytes:
    """The root of a Bitlist[limit] in its serialised form."""
    chunks = pack_bytes(_without_delimiter(bits))
    return mix_in_length(merkleize(chunks, depth_of(-(-limit // 256))), bitlist_length(bits))


def _without_delimiter(bits: bytes) -> bytes:
    length = bitlist_length(bits)
    last = bits[-1] ^ (1 << (length % 8))
    return bits[:-1] + bytes([last]) if length % 8 else bits[:-1]


# --- progressive forms (EIP-7916, EIP-7495; Gloas uses them by EIP-7688) ------------------------

_SHORT_LENGTHS = tuple(uint64_leaf(length) for length in range(CHUNK_BYTES + 1))
"""The length's leaf of every byte list that fits a chunk."""

_EMPTY_BYTE_LIST_ROOT = hash_pair(ZERO_CHUNK, _SHORT_LENGTHS[0])


def merkleize_progressive(chunks: bytes) -> bytes:
    """The root of a progressive tree: subtrees of 1, 4, 16, ... leaves along a spine (EIP-7916).

    The chunks lie side by side: a million of them as objects of their own would take three times the memory.
    """
    subtrees = []
    start, depth = 0, 0
    while start < len(chunks):
        end = start + (CHUNK_BYTES << depth)
        subtrees.append(_merkleize_packed(chunks[start:end], depth))
        start = end
        depth += 2
    root = ZERO_CHUNK
    for subtree in reversed(subtrees):
        root = hash_pair(subtree, root)
    return root


def _merkleize_packed(level: bytes, depth: int) -> bytes:
    """`merkleize` for chunks that lie side by side; there is at least one."""
    for height in range(depth):
        if len(level) % (2 * CHUNK_BYTES):
            level += ZERO_HASHES[height]
        level = b"".join([sha256(level[i : i + 64]).digest() for i in range(0, len(level), 64)])
    return level


def progressive_container_root(*fields: bytes) -> bytes:
    """The root of a ProgressiveContainer with all of its fields active (EIP-7495)."""
    active_fields = uint64_leaf((1 << len(fields)) - 1)
    return hash_pair(merkleize_progressive(b"".join(fields)), active_fields)


def progressive_list_root(roots: Sequence[bytes]) -> bytes:
    """The root of a ProgressiveList of composite elements that have these roots (EIP-7916)."""
    return mix_in_length(merkleize_progressive(b"".join(roots)), len(roots))


def progressive_byte_list_root(value: bytes) -> bytes:
    """The root of a ProgressiveByteList (EIP-7916)."""
    length = len(value)
    if length == 0:
        return _EMPTY_BYTE_LIST_ROOT
    if length <= CHUNK_BYTES:  # one leaf beside an empty spine: a payload may have a million of these
        return sha256(sha256(value.ljust(64, b"\0")).digest() + _SHORT_LENGTHS[length]).digest()
    return mix_in_length(merkleize_progressive(_padded(value)), length)


def progressive_byte_lists_root(values: Iterable[bytes]) -> bytes:
    """The root of a ProgressiveList[ProgressiveByteList]: the transactions of a payload (EIP-7916, EIP-7688)."""
    roots = bytearray()
    for value in values:
        roots += progressive_byte_list_root(value)
    return mix_in_length(merkleize_progressive(bytes(roots)), len(roots) // CHUNK_BYTES)


def progressive_bitlist_root(bits: bytes) -> bytes:
    """The root of a ProgressiveBitlist in its serialised form (EIP-7916)."""
    return mix_in_length(merkleize_progressive(_padded(_without_delimiter(bits))), bitlist_length(bits))


def signing_data_root(object_root: bytes, domain: bytes) -> Root:
    """The root that is signed: SigningData(object_root, domain) (phase0, `compute_signing_root`)."""
    return Root(sha256(object_root + domain).digest())
