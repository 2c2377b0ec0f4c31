"""What a caller wants done with a key, fully decoded: all that operations accept."""

from typing import ClassVar

from msgspec import Struct

from signer.eth2.duties import Duty
from signer.eth2.forks import ForkInfo
from signer.units import PublicKey, Root


class SignDuty(Struct, frozen=True):
    """Sign one consensus duty with one key."""

    public_key: PublicKey
    duty: Duty
    fork_info: ForkInfo | None
    """From the request; None where the type needs none (deposits, registrations)."""

    claimed_root: Root | None = None
    """The caller's `signing_root`: compared with ours, never signed."""


class SignExtension(Struct, frozen=True):
    """Sign the raw bytes of a PROOF_OF_VALIDATION body (Web3Signer's `ext/sign`): the one named exception
    to signing only what we hash. Off unless configured; marked in the audit log.
    """

    duty_type: ClassVar[str] = "PROOF_OF_VALIDATION"
    public_key: PublicKey
    payload: bytes
    platform: str
    timestamp: int
