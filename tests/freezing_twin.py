"""In-memory twins of what freezes keys and tags them, for the edges."""

from collections.abc import Mapping

from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.errors import SignerError
from signer.keys.tags import Tag
from signer.operations.freeze_keys import Frozen, FrozenGroup, FrozenKey, Targets
from signer.operations.orders import Carried, TagKeys
from signer.units import PublicKey

FROZEN_MS = 1_700_000_000_000


class FreezingTwin:
    """Nothing is frozen until somebody orders it; every order is carried out at once."""

    def __init__(self) -> None:
        self.states: dict[PublicKey | Tag, int] = {}
        self.error: SignerError | None = None

    async def freeze(self, targets: Targets, caller: Caller) -> tuple[Carried, ...]:
        check_authorized(caller.principal, Action.KEYS_FREEZE)
        if self.error is not None:
            raise self.error
        self.states |= dict.fromkeys((*targets.keys, *targets.tags), FROZEN_MS)
        keys = (Carried(key, "frozen") for key in targets.keys)
        return (*keys, *(Carried(PublicKey(b""), "frozen", tag=tag) for tag in targets.tags))

    async def thaw(self, targets: Targets, caller: Caller) -> tuple[Carried, ...]:
        check_authorized(caller.principal, Action.KEYS_THAW)
        if self.error is not None:
            raise self.error
        keys = tuple(Carried(key, self._thaw(key)) for key in targets.keys)
        return (*keys, *(Carried(PublicKey(b""), self._thaw(tag), tag=tag) for tag in targets.tags))

    async def frozen(self, caller: Caller) -> Frozen:
        check_authorized(caller.principal, Action.KEYS_LIST)
        return await self.summary()

    async def why_silent(self, _caller: Caller) -> Mapping[PublicKey, tuple[str, ...]]:
        return {key: ("frozen",) if key else ("frozen by all",) for key in self.states if isinstance(key, bytes)}

    async def summary(self) -> Frozen:
        keys = sorted(key for key in self.states if isinstance(key, bytes) and key)
        tags = sorted(tag for tag in self.states if isinstance(tag, str))
        return Frozen(
            self.states.get(PublicKey(b"")),
            tuple(FrozenKey(key, self.states[key]) for key in keys),
            tuple(FrozenGroup(tag, self.states[tag], 2) for tag in tags),
        )

    def _thaw(self, what: PublicKey | Tag) -> str:
        return "thawed" if self.states.pop(what, None) else "not_frozen"


class TaggingTwin:
    """Keeps what it is told; the tag `frozen` is frozen."""

    def __init__(self) -> None:
        self.kept: dict[PublicKey, set[Tag]] = {}
        self.error: SignerError | None = None

    async def tags(self, caller: Caller) -> Mapping[PublicKey, tuple[Tag, ...]]:
        check_authorized(caller.principal, Action.KEYS_LIST)
        return {key: tuple(sorted(tags)) for key, tags in self.kept.items()}

    async def tag(self, order: TagKeys, caller: Caller) -> tuple[Carried, ...]:
        check_authorized(caller.principal, Action.KEYS_TAG)
        if self.error is not None:
            raise self.error
        if "frozen" in order.remove:
            return tuple(Carried(key, "error", "nothing was changed: it is frozen") for key in order.keys)
        for key in order.keys:
            self.kept[key] = (self.kept.get(key, set()) | set(order.add)) - set(order.remove)
        return tuple(Carried(key, "tagged") for key in order.keys)
