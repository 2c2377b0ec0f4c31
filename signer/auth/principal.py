"""Who asks: a principal, static and from configuration, and what it was granted."""

from enum import StrEnum

from msgspec import Struct


class Action(StrEnum):
    """What a principal may do, `resource:verb`, alphabetical."""

    APPROVALS_CANCEL = "approvals:cancel"
    APPROVALS_READ = "approvals:read"
    APPROVALS_VOTE = "approvals:vote"
    AUDIT_READ = "audit:read"
    KEYS_FREEZE = "keys:freeze"
    KEYS_LIST = "keys:list"
    KEYS_MIGRATE = "keys:migrate"
    KEYS_RELEASE = "keys:release"
    KEYS_RELOAD = "keys:reload"
    KEYS_TAG = "keys:tag"
    KEYS_THAW = "keys:thaw"
    KEYS_WRITE = "keys:write"
    POLICY_READ = "policy:read"
    POLICY_WRITE = "policy:write"
    SIGN_DUTY = "sign:duty"
    SIGN_EXTENSION = "sign:extension"
    SLASHING_READ = "slashing:read"
    SLASHING_WRITE = "slashing:write"


class Principal(Struct, frozen=True):
    """One caller known by name."""

    name: str
    groups: frozenset[str] = frozenset()
    actions: frozenset[Action] = frozenset(Action)
    """What it may do."""

    keys: frozenset[bytes] | None = None
    """The public keys it may see and use; None means all."""

    duties: frozenset[str] | None = None
    """The duty types (`ATTESTATION`, ...) it may have signed; None means all."""


ANONYMOUS = Principal("anonymous")
"""Whoever asks where the configuration demands no authentication (loopback, or mutual TLS alone)."""

OPERATOR = Principal("operator")
"""Whoever reaches the admin socket: the file system let them in."""


KEY_MANAGER = Principal(
    "key-manager",
    actions=frozenset(
        {Action.KEYS_LIST, Action.KEYS_WRITE, Action.SIGN_DUTY, Action.SLASHING_READ, Action.SLASHING_WRITE}
    ),
    duties=frozenset({"VOLUNTARY_EXIT"}),
)
"""Whoever shows the key manager's token: for the key manager API alone, where exits are all that is signed."""


class Caller(Struct, frozen=True):
    """A principal at one moment: where from, and under which request id."""

    principal: Principal
    address: str = ""
    request_id: bytes = b"\0" * 8
    """8 bytes, also in the log line, the problem document and the audit entry."""

    collects: bytes = b""
    """The id of the approval whose signature they ask for; then people are asked nothing anew. Empty for a request."""
