"""What an approval is bound to: the request to its last bit, and all policies that were asked.

Rule 1: a changed bit is another request, and whoever else asks for the same makes another one too.
Rule 2: each hash begins with what it is for, and its parts cannot run into each other.
"""

import hashlib
from collections.abc import Iterable

_REQUEST = b"holdfast-approval-1\n"
_CHANGE = b"holdfast-approval-change-1\n"
_POLICIES = b"holdfast-policies-1\n"


def request_hash(*, requester: str, public_key: bytes, signing_root: bytes, subject: str) -> bytes:
    """Of a signature that `requester` asks for. Key and root have fixed lengths, and no name holds a zero byte."""
    parts = (_REQUEST, requester.encode(), b"\0", public_key, signing_root, subject.encode())
    return hashlib.sha256(b"".join(parts)).digest()


def change_hash(*, requester: str, order: bytes) -> bytes:
    """Of a change that `requester` orders, as canonical bytes."""
    return hashlib.sha256(b"".join((_CHANGE, requester.encode(), b"\0", order))).digest()


def policies_hash(asked: Iterable[tuple[str, str]], *, since: int) -> bytes:
    """Of the policies that were asked: name and version of each, in any order.

    `since`: the revision from which on just these have decided, so that none that was replaced and has come back
    passes for the one that was approved under.
    """
    lines = [f"{name}\0{version}\n".encode() for name, version in sorted(set(asked))]
    return hashlib.sha256(b"".join((_POLICIES, f"{since}\n".encode(), *lines))).digest()


def facts_hash(facts: bytes) -> bytes:
    """Of what approvers were shown."""
    return hashlib.sha256(facts).digest()
