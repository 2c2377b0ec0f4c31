"""The policies that decide, in one process: read from the record, loaded, and asked off the event loop.

Each process that answers requests has its own, and what it knows of the record may be a moment old. It is no hole: the
commit refuses what was judged by policies that do not hold any more (`policy/policy_set_ledger.py`), and whoever was
refused so reads them again and asks once more.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace as changed
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from signer.clock import Clock
from signer.errors import (
    PoliciesUnreadableError,
    PolicyNotActiveError,
    ShutDownError,
    SignerError,
    StartupError,
    UnavailableError,
    UnknownPolicyError,
)
from signer.events import Events, PolicyEvaluated, ShadowCompared, VerdictKind
from signer.journal.reader import Reading
from signer.operations.ask_policies import Heard, Hearing
from signer.operations.load_policies import PackLoader, PolicyLoading, newest_revision, read_in_force
from signer.operations.policies_in_force import Bound, InForce, RolesOf, Served
from signer.operations.reading import read_record
from signer.policy.combine import IN_PRODUCTION, Decision, Defaults, Outcome, by_default, combine
from signer.policy.counters import Seen
from signer.policy.evaluations import Evaluations
from signer.policy.facts import Facts
from signer.policy.native import make_engine
from signer.policy.policy_record import read_policy_set
from signer.policy.sandbox import Sandbox
from signer.policy.turns import Lane
from signer.policy.verdict import Allow, Deny, RequireApproval, Verdict, encode_verdict

LOOK_SECONDS = 1.0
"""How often the record is asked for a newer revision: workers and other signers learn of a change so, where no request
has told them before."""

TAGS_SECONDS = 5.0
"""How often tags of keys are read again while policies are bound: facts tell them. Ten thousand take 20 ms."""

SHADOWS_UNDER_WAY = 64
"""Comparisons that may wait; what comes on top is not compared."""

_log = logging.getLogger("holdfast.policy")


class Beside(Struct, frozen=True):
    """What versions that run beside the live ones are compared with."""

    bound: Bound
    in_force: InForce
    heard: tuple[Heard, ...]
    """What the live ones have said."""


class Judged(Struct, frozen=True):
    """What the policies made of one request."""

    decision: Decision
    seen: tuple[Seen, ...]
    """Counters that policies have read: the commit judges them again."""

    revision: int
    """Of the policies that were asked."""

    at_seconds: int
    """The request's time, as the policies were told it: seconds since the Unix epoch."""

    facts: Facts
    """What they were told."""

    beside: Beside | None = None
    """None where nothing runs beside them."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What each policy said."""
        return self.decision.outcomes


class Policies:
    """One for the life of a process, used on its event loop. Begins with nothing bound; `refresh` reads the record."""

    def __init__(
        self,
        *,
        reading: Reading,
        clock: Clock,
        events: Events,
        defaults: Defaults = IN_PRODUCTION,
        roles_of: RolesOf = lambda _: (),
    ) -> None:
        """`defaults`: what is signed where no policy is bound; `roles_of`: the groups whose members may use a key."""
        self._reading = reading
        self._clock = clock
        self._events = events
        self._defaults = defaults
        self._roles_of = roles_of
        self._in_force = InForce(roles_of=roles_of)
        self._loading: PolicyLoading | None = None
        self._evaluations: Evaluations | None = None
        self._refreshing = asyncio.Lock()
        self._fault = ""
        self._tags_read = 0.0
        self._shadows: set[asyncio.Task[None]] = set()

    @property
    def in_force(self) -> InForce:
        """What is known to hold."""
        return self._in_force

    @property
    def fault(self) -> str:
        """Why this process should not be asked: the policies on record cannot be read. Empty where they can.

        For everybody, so without the particulars, which may name files: those are in the log.
        """
        code = PoliciesUnreadableError.code
        return f"{code}: the policies on record cannot be read; the log says what to do" if self._fault else ""

    @property
    def lets_duties_pass(self) -> bool:
        """True where a consensus duty is signed that no policy is bound to."""
        return self._defaults.duties

    def now_seconds(self) -> int:
        """The time that policies are told."""
        return int(self._clock.now())

    # --- what holds --------------------------------------------------------------------------------

    async def refresh(self, *, beyond: int | None = None) -> None:
        """Read the record again, unless something newer than revision `beyond` is known meanwhile.

        Nobody waits here for a policy to be loaded: what is not yet is loaded in the background (see `loaded`).

        Raises:
            PoliciesUnreadableError, DatabaseDownError: it cannot be read; what was known stays.
        """
        async with self._refreshing:
            if beyond is not None and self._in_force.revision > beyond:
                return
            try:
                found = await self._read()
            except StartupError as error:
                raise self._unreadable(error) from error
            self._fault = ""
            if self._loading is not None:
                if found.revision != self._in_force.revision:
                    self._loading.try_again()
                self._loading.load_all(found.policies)
            if not found.is_as(self._in_force):
                self._in_force = found
            self._tags_read = asyncio.get_running_loop().time()

    async def load_bound(self) -> None:
        """Wait until everything that is bound is loaded. Raises StartupError, DatabaseDownError."""
        await self.loaded(Bound(tuple(self._in_force.served.values())))

    async def run(self) -> None:
        """Look for changes once a second. Runs until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except PoliciesUnreadableError:
                continue  # told when it began
            except SignerError as error:
                _log.warning("the policies on record could not be read: %s", error, extra={"code": error.code})

    async def look(self) -> None:
        """Refresh if the record has a newer revision, or if tags may have changed. Raises as `refresh`."""
        newest = await asyncio.to_thread(newest_revision, self._reading)
        if newest != self._in_force.revision or self._fault or self._tags_are_old():
            await self.refresh()

    async def close(self) -> None:
        """End the threads; decisions that wait are given up."""
        for task in self._shadows:
            task.cancel()
        if self._loading is not None:
            self._loading.close()
        if self._evaluations is not None:
            await self._evaluations.close()

    def _tags_are_old(self) -> bool:
        policies = self._in_force.policies
        told = bool(policies.bindings or policies.keeps_facts)
        return told and asyncio.get_running_loop().time() - self._tags_read >= TAGS_SECONDS

    async def _read(self) -> InForce:
        """Threads and an engine are made when the first policy is published: most signers have none."""
        if self._loading is None:
            policies = await asyncio.to_thread(read_record, self._reading, read_policy_set)
            if not policies.policies and not policies.keeps_facts:
                return InForce(policies, roles_of=self._roles_of)
        loading, _ = self._machinery()
        return await asyncio.to_thread(read_in_force, self._reading, loading.find, self._roles_of)

    def _unreadable(self, error: StartupError) -> PoliciesUnreadableError:
        """Told in the log once, with what to do; by requests and by the readiness probe as long as it lasts."""
        told = PoliciesUnreadableError(error.sentence, remedy=error.remedy)
        if told.sentence != self._fault:
            self._fault = told.sentence
            _log.error("%s", told.sentence, extra={"code": told.code})
        return told

    def _machinery(self) -> tuple[PolicyLoading, Evaluations]:
        """What reads and compiles, and the threads on which policies decide."""
        if self._loading is None or self._evaluations is None:
            engine = make_engine()
            self._loading = PolicyLoading(PackLoader(engine, reading=self._reading))
            self._evaluations = Evaluations(engine)
        return self._loading, self._evaluations

    # --- what they say -----------------------------------------------------------------------------

    async def loaded(self, bound: Bound) -> Bound:
        """The same policies, each of them ready to decide: whoever is bound to one that is being loaded waits for it.

        Raises:
            StartupError, DatabaseDownError: the record cannot be read.
            ShutDownError: the signer is stopping.
        """
        if bound.is_loaded:
            return bound
        loading, _ = self._machinery()
        found = [changed(each, decider=await loading.get(each.name, each.version)) for each in bound.policies]
        self._in_force = self._in_force.with_loaded(found)
        return Bound(tuple(found))

    async def judge(self, facts: Facts, bound: Bound, in_force: InForce) -> Judged:
        """What these policies, or the default where there are none, make of a request.

        Versions that run beside them are not asked yet: whoever knows that it stands so calls `compare_shadows`.

        Raises:
            ShutDownError: the signer is stopping.
        """
        at_seconds = facts.environment.timestamp
        if not bound.policies:
            return Judged(by_default(facts, self._defaults), (), in_force.revision, at_seconds, facts)
        if not bound.is_loaded:
            bound = await self.loaded(bound)
        hearing = Hearing(facts, reading=self._reading, lists=in_force.lists)
        heard = await self._turn(bound, facts, partial(hearing.ask_all, bound.policies))
        beside: Beside | None = None
        if not facts.environment.simulation:
            for each in heard:
                self._publish(each)
            beside = Beside(bound, in_force, heard) if bound.has_shadows else None
        decision = combine([each.outcome for each in heard])
        seen = tuple([one for each in heard for one in each.seen])
        return Judged(decision, seen, in_force.revision, at_seconds, facts, beside)

    async def judge_named(self, facts: Facts, names: Sequence[str]) -> Judged:
        """What the versions that serve under these names would say, bound or not. Nothing is counted.

        Raises:
            UnknownPolicyError: there is none of that name.
            PolicyNotActiveError: no version of it was activated.
            ShutDownError, StartupError, DatabaseDownError.
        """
        in_force = self._in_force
        bound = await self.loaded(Bound(tuple([self._find(name, in_force) for name in sorted(set(names))])))
        at_seconds = facts.environment.timestamp
        if not bound.policies:
            return Judged(by_default(facts, self._defaults), (), in_force.revision, at_seconds, facts)
        hearing = Hearing(facts, reading=self._reading, lists=in_force.lists)
        heard = await self._turn(bound, facts, partial(hearing.ask_all, bound.policies))
        return Judged(combine([each.outcome for each in heard]), (), in_force.revision, at_seconds, facts)

    def _find(self, name: str, in_force: InForce) -> Served:
        if (served := in_force.served.get(name)) is not None:
            return served
        policy = in_force.policies.find(name)
        if policy is None:
            raise UnknownPolicyError(f"there is no policy {name}")
        if not policy.version:
            raise PolicyNotActiveError(name, staged=policy.staged)
        loading, _ = self._machinery()
        return Served(name, policy.version, loading.find(name, policy.version))

    def _turn(
        self, bound: Bound, facts: Facts, work: Callable[[Sandbox], tuple[Heard, ...]]
    ) -> "asyncio.Future[tuple[Heard, ...]]":
        _, evaluations = self._machinery()
        return evaluations.submit(Lane(bound.group, facts.signer.key_id), work)

    def _publish(self, heard: Heard) -> None:
        outcome = heard.outcome
        self._events.publish(PolicyEvaluated(outcome.policy, kind_of(outcome.verdict), heard.seconds, heard.fuel))

    # --- versions that run beside --------------------------------------------------------------------

    def compare_shadows(self, judged: Judged) -> None:
        """Ask what runs beside, and tell where it differs: once for each request, which does not wait for it."""
        if judged.beside is None or len(self._shadows) >= SHADOWS_UNDER_WAY:
            return
        told = replace(judged.facts, environment=replace(judged.facts.environment, simulation=True))
        task = asyncio.get_running_loop().create_task(self._compare(told, judged.beside))
        self._shadows.add(task)
        task.add_done_callback(self._shadows.discard)

    async def _compare(self, facts: Facts, beside: Beside) -> None:
        live = {each.outcome.policy: each.outcome.verdict for each in beside.heard}
        hearing = Hearing(facts, reading=self._reading, lists=beside.in_force.lists)
        # A record that cannot be read now: there is nothing to compare with.
        with contextlib.suppress(ShutDownError, StartupError, UnavailableError):
            loading, evaluations = self._machinery()
            shadows = [
                (each.name, changed(each.shadow, decider=await loading.get(each.name, each.shadow.version)))
                for each in beside.bound.policies
                if each.shadow is not None
            ]
            work = partial(hearing.ask_shadows, shadows)
            lane = Lane(("shadow", *(candidate.version for _, candidate in shadows)), facts.signer.key_id)
            for each in await evaluations.submit(lane, work):
                self._publish_comparison(each.outcome, live[each.outcome.policy], facts)

    def _publish_comparison(self, shadow: Outcome, live: Verdict, facts: Facts) -> None:
        self._events.publish(
            ShadowCompared(
                policy=shadow.policy,
                version=shadow.version,
                live=kind_of(live),
                shadow=kind_of(shadow.verdict),
                differs=encode_verdict(live) != encode_verdict(shadow.verdict),
                code=shadow.verdict.code if isinstance(shadow.verdict, Deny) else "",
                payload_hash=facts.payload_hash,
                public_key=facts.signer.public_key,
            )
        )


def kind_of(verdict: Verdict) -> VerdictKind:
    """A verdict in one word."""
    match verdict:
        case Allow():
            return "allow"
        case Deny():
            return "deny"
        case RequireApproval():
            return "require_approval"
