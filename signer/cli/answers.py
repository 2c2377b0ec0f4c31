"""What a signer tells commands, as its admin routes tell it."""

from collections.abc import Mapping
from dataclasses import dataclass

MOVED_AWAY = "moved away"
"""Among the reasons of `ListedKey.silent`: it left by `migrate out`."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """One key, as the admin route tells it."""

    public_key: str
    namespace: str
    origin: str
    derivation_path: str | None
    quarantined_until_epoch: int | None = None
    """Its votes and blocks before this epoch are refused; None where it does not wait."""

    quarantined_until: str | None = None
    """When that epoch begins, UTC."""

    tags: tuple[str, ...] = ()

    silent: tuple[str, ...] = ()
    """Why it signs nothing, in words (`moved away`, `frozen by tag:NAME`); empty where nothing stands against it."""

    waits_from_start: bool = False
    """No server runs, and its wait will begin with the first that serves it."""


@dataclass(frozen=True, slots=True)
class KeyPreferences:
    """Fee recipient, gas limit and graffiti of one key, by these names; None where nothing is set."""

    public_key: str
    own: Mapping[str, str | None]
    defaults: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class ToldFloors:
    """The floors of one validator, as the admin route tells them."""

    slot: str | None
    source_epoch: str | None
    target_epoch: str | None
    held: bool


@dataclass(frozen=True, slots=True)
class ImportedHistory:
    """What an import did for one validator, or would do, as the admin route tells it."""

    public_key: str | None
    blocks: int
    attestations: int
    error: str | None
    differing: int = 0
    floors_before: ToldFloors | None = None
    floors_after: ToldFloors | None = None
    ends_quarantine: bool = False
    """It waited for history, and waits no more."""


@dataclass(frozen=True, slots=True)
class VerifiedAudit:
    """A log that verifies, as the admin route tells it."""

    entries: int
    head: str


@dataclass(frozen=True, slots=True)
class MarksMoved:
    """Watermarks or floors by their names, before an order and after it, as the admin route tells them."""

    before: dict[str, int | None]
    after: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class RowsPruned:
    """What was deleted, as the admin route tells it."""

    votes: int
    blocks: int
    more: bool


@dataclass(frozen=True, slots=True)
class OrderedKey:
    """What became of one key of an order, as the admin routes tell it."""

    public_key: str
    """`all` where the order was for every key, `tag:NAME` where it was for a tag."""

    status: str
    message: str


@dataclass(frozen=True, slots=True)
class DeletedKeys:
    """A deletion, as the admin route tells it."""

    keys: list[OrderedKey]
    slashing_protection: str
    """An EIP-3076 document."""


@dataclass(frozen=True, slots=True)
class FrozenKey:
    """One frozen key, as the admin route tells it."""

    public_key: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class FrozenGroup:
    """The keys that bear one frozen tag, as the admin route tells them."""

    tag: str
    since_ms: int
    keys: int
    """How many they are."""


@dataclass(frozen=True, slots=True)
class FrozenKeys:
    """What is frozen, as the admin route tells it."""

    all_since_ms: int | None
    keys: list[FrozenKey]
    tags: tuple[FrozenGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class MigratedOut:
    """Keys that have left."""

    keys: list[str]
    signed_by: str


@dataclass(frozen=True, slots=True)
class MigratedIn:
    """Keys that have come, as the admin route tells it."""

    keys: list[str]
    signed_by: str
    receipt: str


@dataclass(frozen=True, slots=True)
class MigrationUndone:
    """Keys that were taken back, as the admin route tells it."""

    keys: list[str]
    receipt: str
    floor_epoch: str | None
    """No vote with a source below it, or a target at or below it, is signed; None: they sign at once."""
