"""From the record to the policies in force: packs are read and compiled, each version once, and nobody waits for it but
whoever is bound to it.

Rule 1: what does not load denies whatever it is bound to (POLICY_NOT_LOADED). Fails closed.
Rule 2: reading the set that holds loads nothing: it is quick, however large the packs are. They are loaded one after
the other on a thread of their own, first those that somebody waits for.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor

from wasmtime import Engine

from signer.errors import CorruptDatabaseError, RequestError, ShutDownError, SignerError, UnknownPolicyError
from signer.journal.reader import Reading
from signer.keys.tags import read_tags
from signer.operations.policies_in_force import Candidate, Decider, InForce, RolesOf, Served
from signer.policy.load_pack import load_pack
from signer.policy.modules import Modules
from signer.policy.pack import read_pack
from signer.policy.policy_record import read_pack as read_packed
from signer.policy.policy_record import read_policy_set
from signer.policy.policy_set import PolicySet, ServedPolicy
from signer.policy.policy_set_ledger import read_revision
from signer.policy.sandbox import Sandbox
from signer.policy.verdict import Deny

NOT_LOADED = "POLICY_NOT_LOADED"

RETRY_SECONDS = 60.0
"""What did not load is tried again so often, and at once when the policies change: the fault may have been ours."""

Load = Callable[[str, str], Decider]
"""A policy's name and a version of it that is on record; blocks."""

Find = Callable[[str, str], Decider | None]
"""The same, where it is loaded; at once."""

_log = logging.getLogger("holdfast.policy")


class PackLoader:
    """Reads a pack and makes of it what decides. Used by one thread at a time, never on the event loop."""

    def __init__(self, engine: Engine, *, reading: Reading) -> None:
        self._modules = Modules(engine)
        self._sandbox = Sandbox(engine)
        self._reading = reading

    def __call__(self, name: str, version: str) -> Decider:
        """See `Load`. Raises StartupError, DatabaseDownError: the record cannot be read."""
        try:
            with self._reading() as moment:
                text = read_packed(moment, version)
            return load_pack(self._modules, self._sandbox, read_pack(text))
        except (UnknownPolicyError, CorruptDatabaseError, RequestError) as error:
            _log.error(
                "policy %s does not load, so whatever it is bound to is denied: %s; publish a version that loads, and"
                " activate it",
                name,
                error,
                extra={"code": NOT_LOADED},
            )
            return not_loaded(str(error))


class PolicyLoading:
    """What is loaded, and what is about to be. Owned by `Policies`, on its event loop."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._loaded: dict[str, Decider] = {}
        """By version."""
        self._refused: dict[str, tuple[Deny, float]] = {}
        """Versions that did not load, and when by the monotonic clock. No set in force holds their denials for good."""
        self._waited_for: dict[str, asyncio.Future[Decider]] = {}
        self._order: deque[tuple[str, str]] = deque()
        """Names and versions that are not begun yet."""
        self._work: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="policy-loading")
        self._closed = False

    def find(self, _name: str, version: str) -> Decider | None:
        """What decides; None while it is not loaded. May be called on any thread."""
        return self._loaded.get(version) if version else not_loaded("no version of it was activated yet")

    async def get(self, name: str, version: str) -> Decider:
        """The same, waited for. Raises StartupError, DatabaseDownError: the record cannot be read; ShutDownError."""
        if (found := self.find(name, version)) is not None:
            return found
        if version in self._refused:
            return self._refused[version][0]
        if self._closed:
            raise ShutDownError("policies are not loaded any more")
        return await asyncio.shield(self._begin(name, version, first=True))

    def load_all(self, policies: PolicySet) -> None:
        """Begin with everything that these policies may come to decide by, first what is bound; let go of the rest."""
        bound = {binding.policy for binding in policies.bindings}
        wanted = [
            (policy.name, version)
            for policy in sorted(policies.policies, key=lambda each: each.name not in bound)
            for version in (policy.version, policy.shadow, policy.staged)
            if version
        ]
        self._forget_others({version for _, version in wanted})
        for name, version in wanted:
            if version not in self._loaded and version not in self._refused:
                self._begin(name, version, first=False)

    def try_again(self) -> None:
        """The policies were changed: what did not load may do so now."""
        self._refused.clear()

    def close(self) -> None:
        """Whoever waits gets a ShutDownError; what is being compiled comes to its end on its thread."""
        self._closed = True
        if self._work is not None:
            self._work.cancel()
        for future in self._waited_for.values():
            _settle(future, ShutDownError("policies are not loaded any more"))
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _begin(self, name: str, version: str, *, first: bool) -> asyncio.Future[Decider]:
        future = self._waited_for.get(version)
        if future is None:
            future = self._waited_for[version] = asyncio.get_running_loop().create_future()
            future.add_done_callback(_noticed)
            self._order.append((name, version))
        if first and (name, version) in self._order:
            self._order.remove((name, version))
            self._order.appendleft((name, version))
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._load_in_order())
        return future

    async def _load_in_order(self) -> None:
        loop = asyncio.get_running_loop()
        while self._order:
            name, version = self._order.popleft()
            future = self._waited_for[version]
            try:
                decider = await loop.run_in_executor(self._thread, self._load, name, version)
            except Exception as error:  # noqa: BLE001 - whoever waits for it gets it, and the next is loaded
                if not isinstance(error, SignerError):
                    _log.exception("policy %s could not be loaded", name)
                _settle(future, error)
            else:
                if isinstance(decider, Deny):
                    self._refused[version] = decider, time.monotonic()
                else:
                    self._loaded[version] = decider
                _settle(future, decider)
            del self._waited_for[version]

    def _forget_others(self, used: Collection[str]) -> None:
        """Compiled modules take memory: those of versions that nothing names are let go."""
        late = time.monotonic() - RETRY_SECONDS
        self._loaded = {version: decider for version, decider in self._loaded.items() if version in used}
        self._refused = {
            version: (denial, at) for version, (denial, at) in self._refused.items() if version in used and at > late
        }


def read_in_force(reading: Reading, find: Find, roles_of: RolesOf) -> InForce:
    """The policies that the record says hold now, with what is loaded of them. Blocks, but compiles nothing.

    Raises:
        StartupError, DatabaseDownError: the record cannot be read.
    """
    with reading() as moment:
        policies = read_policy_set(moment)
        bound = {binding.policy for binding in policies.bindings}
        return InForce(
            policies,
            {each.name: _served(each, find) for each in policies.policies if each.name in bound},
            {each.name: frozenset(each.items) for each in policies.lists},
            read_tags(moment) if bound or policies.keeps_facts else {},
            roles_of,
        )


def newest_revision(reading: Reading) -> int:
    """Of the policies on record. Blocks. Raises StartupError, DatabaseDownError."""
    with reading() as moment:
        return read_revision(moment)


def not_loaded(reason: str) -> Deny:
    """What a policy says that does not load."""
    return Deny(NOT_LOADED, f"the policy does not load: {reason}", {})


def _served(policy: ServedPolicy, find: Find) -> Served:
    shadow = Candidate(policy.shadow, find(policy.name, policy.shadow)) if policy.shadow else None
    return Served(policy.name, policy.version, find(policy.name, policy.version), shadow)


def _settle(future: asyncio.Future[Decider], found: Decider | Exception) -> None:
    if future.done():
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)


def _noticed(future: asyncio.Future[Decider]) -> None:
    """Nobody needs to wait for what fails: the next who does has it loaded again."""
    if not future.cancelled():
        future.exception()
