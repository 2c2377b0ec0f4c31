"""Sign a duty: the only road to a private key.

The order is: decide, record, sign, release. The record of the duty, what policies spend for it and its audit entry are
durable before the key is used; a signature leaves only after all of them. A caller that goes away, a deadline that
passes or a crash at any line costs at most that signature: the record stands, and the same request asked again gets the
same signature.

What was decided may not hold any more in the commit: the policies were changed, or a counter that one of them has read.
Then nothing is recorded but that, and the gate is walked again.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress

from signer.approvals.ledger import ApprovalClaim
from signer.audit.entry import Kind
from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.backends.backend import Backend
from signer.clock import Clock
from signer.crypto.bls import SecretKey
from signer.errors import (
    ApprovalChangedError,
    CounterChangedError,
    DeadlineError,
    ForbiddenError,
    PolicyChangedError,
    RefusalError,
    SignerError,
    SigningFailedError,
)
from signer.events import ApprovalMoved, Events, Outcome
from signer.intent import SignDuty, SignExtension
from signer.journal.command import Command, Journal, Receipt
from signer.journal.writer import MAX_BATCH
from signer.operations.deadline import Deadline, DeadlineWatch
from signer.operations.gate import Gate, span
from signer.operations.hold_for_people import approval_given_back, told_approval
from signer.operations.keep_facts import Listening
from signer.operations.policy_check import Hear, Passed, hear_nothing
from signer.operations.signing_step import Step
from signer.operations.stage_times import StageTimes, seconds
from signer.operations.story import DutyStory, ExtensionStory, NoteStory, told_outcomes
from signer.policy.counters import giving_back
from signer.policy.policy_set_ledger import PolicySetClaim
from signer.slashing.network import NetworkClaim
from signer.units import PublicKey, Root, Signature

_CHUNK = MAX_BATCH
"""Entries of a batch that become durable together, and are then signed together."""


_DECIDED_AT_A_TIME = 64
"""Entries of a batch that walk the gate before others on the event loop have a turn: about 1 ms."""


_WALKS = 8
"""The first, and more where the commit says that what was decided by does not hold any more."""

_Overtaken = PolicyChangedError | CounterChangedError | ApprovalChangedError


class Signing:
    """Walks the gate for every request. One instance for the life of the process, safe to call concurrently."""

    def __init__(
        self,
        *,
        gate: Gate,
        journal: Journal,
        backend: Backend[SecretKey],
        clock: Clock,
        events: Events,
        deadline_seconds: float,
    ) -> None:
        self._gate = gate
        self._journal = journal
        self._backend = backend
        self._clock = clock
        self._events = events
        self._deadlines = DeadlineWatch(deadline_seconds)

    def check_may_ask(
        self, caller: Caller, public_key: PublicKey | None = None, *, action: Action = Action.SIGN_DUTY
    ) -> None:
        """What can be said before a costly body is read: may this caller ask at all, and for this key.

        The gate asks again for the duty itself. A refusal here is counted and logged, not an entry of the audit log:
        nothing is known of the duty yet.

        Raises:
            UnknownKeyError, ForbiddenError.
        """
        if public_key is not None:
            self._gate.find_key(public_key, caller)
        check_authorized(caller.principal, action)

    async def sign(self, intent: SignDuty, caller: Caller, *, hear: Hear = hear_nothing) -> Signature:
        """The signature of this duty, released only after its record and audit entry are durable.

        `hear` is told what each policy said, also where an error is raised afterwards.

        Raises:
            RequestError, UnknownKeyError, ForbiddenError, RefusalError, UnavailableError.
        """
        times = StageTimes()
        outcome: Outcome = "failed"
        code = ""
        try:
            with Deadline(self._deadlines):
                step, receipt = await self._record(intent, caller, times, hear)
                times.recorded = seconds()
                # Crash before the commit returned: no record, no signature. Crash from here on: a record without a
                # signature, and asking again is a repeat.
                passed = self._released(step)
                signature = await self._sign(passed, caller, on_start=times.start)
            outcome = "repeated" if receipt.repeat else "signed"
        except SignerError as error:
            outcome, code = _outcome_of(error), error.code
            raise
        finally:
            self._events.publish(times.answered(intent.duty.type, outcome, code))
        return signature

    async def sign_each(
        self, intents: Sequence[SignDuty | SignerError], caller: Caller
    ) -> list[Signature | SignerError]:
        """A signature or an error for each intent, in order; an error that stands in for an intent stays itself.

        The deadline is one for all: what is not signed by then is answered with DeadlineError, the rest stands.
        """
        answers: list[Signature | SignerError | None] = [
            intent if isinstance(intent, SignerError) else None for intent in intents
        ]
        times = StageTimes()
        waiting = [(n, intent) for n, intent in enumerate(intents) if not isinstance(intent, SignerError)]
        try:
            with Deadline(self._deadlines):
                for walk in range(1, _WALKS + 1):
                    steps = await self._decide_each(waiting, caller, answers)
                    times.decided = times.decided or seconds()
                    overtaken = await self._sign_chunks(steps, answers, caller, last=walk == _WALKS)
                    waiting = [(n, intent) for n, intent in waiting if n in overtaken]
                    if not waiting:
                        break
        except DeadlineError as late:
            answers = [late if answer is None else answer for answer in answers]
        done = [answer for answer in answers if answer is not None]
        for intent, answer in zip(intents, done, strict=True):
            if not isinstance(intent, SignerError):
                outcome = _outcome_of(answer) if isinstance(answer, SignerError) else "signed"
                code = answer.code if isinstance(answer, SignerError) else ""
                self._events.publish(times.answered(intent.duty.type, outcome, code))
        return done

    async def sign_extension(self, intent: SignExtension, caller: Caller) -> Signature:
        """The signature over the raw payload; see `SignExtension`. Marked blind in the audit log.

        Raises:
            UnknownKeyError, ForbiddenError, RefusalError, UnavailableError.
        """
        with Deadline(self._deadlines):
            step, _ = await self._record(intent, caller, StageTimes(), hear_nothing)
            passed = self._released(step)
            try:
                return Signature(await self._backend.sign(passed.key.secret, intent.payload))
            except SigningFailedError as error:
                await self._record_failure(passed, error, caller)
                raise

    async def _record(
        self, intent: SignDuty | SignExtension, caller: Caller, times: StageTimes, hear: Hear
    ) -> tuple[Step, Receipt]:
        """The gate up to the durable record; again where the commit says that what was decided by holds no more."""
        for walk in range(1, _WALKS + 1):
            step = self._decide(intent, caller)
            if step.command is None:
                step = await self._ask(intent, step, caller, hear)
            times.decided = seconds()
            try:
                recorded = await self._commit(step)
            except SignerError as error:
                if walk < _WALKS and isinstance(error, _Overtaken):
                    await self._catch_up(step, error)
                    continue
                self._gate.compare_shadows(step.judged)
                raise
            self._gate.compare_shadows(step.judged)
            return recorded
        raise SigningFailedError("the gate was walked to no end")

    async def _commit(self, step: Step) -> tuple[Step, Receipt]:
        """Whoever comes second with an approval gets the same signature, and spends nothing: nor do its policies, which
        may see the first one's spending by now, refuse it then. Raises what the journal raises.
        """
        try:
            return step, await self._journal.commit(step.get_command())
        except ApprovalChangedError:
            if (second := step.second()) is None:
                raise
            return second, await self._journal.commit(second.get_command())

    async def _catch_up(self, step: Step, overtaken: _Overtaken) -> None:
        """Read again what has changed: policies; what a counter says is read whenever a policy asks."""
        if isinstance(overtaken, PolicyChangedError):
            await self._gate.read_policies_again(beyond=step.revision)

    async def _caught_up(self, step: Step, overtaken: _Overtaken) -> SignerError | None:
        """The same for one of many; why it cannot be walked again, or None where it can."""
        try:
            await self._catch_up(step, overtaken)
        except SignerError as error:
            return error
        return None

    def _decide(self, intent: SignDuty | SignExtension, caller: Caller) -> Step:
        """The gate up to the policies, and past them where they have nothing to say.

        A decision against becomes a command that records it.
        """
        if isinstance(intent, SignExtension):
            key, root = self._gate.find_key(intent.public_key, caller), Root(hashlib.sha256(intent.payload).digest())
        else:
            key, root = self._gate.identify(intent, caller)
        try:
            if isinstance(intent, SignExtension):
                passed = self._gate.decide_extension(intent, caller, key=key, digest=root)
            else:
                passed = self._gate.decide(intent, caller, key=key, root=root)
        except (ForbiddenError, RefusalError) as refusal:
            return Step(Command((), self._story(intent, caller, root, refusal)), None, refusal)
        if passed.asking is not None:
            return Step(None, passed, None)
        return Step(Command(passed.claims, self._story(intent, caller, root, None)), passed, None)

    async def _ask(self, intent: SignDuty | SignExtension, step: Step, caller: Caller, hear: Hear) -> Step:
        """What the policies make of it: a command that records a signature, or one that records their refusal."""
        waiting = step.get_passed()
        root = waiting.signing_root
        listening = Listening(hear)
        try:
            passed = await self._gate.ask(intent, waiting, caller, listen=listening)
        except RefusalError as refusal:
            # Nor is anything refused by policies that do not hold any more: the commit judges their revision here too.
            by = tuple(claim for claim in waiting.claims if isinstance(claim, PolicySetClaim))
            command = listening.command(by, self._story(intent, caller, root, refusal), waiting)
            return Step(command, None, refusal, listening.judged)
        story = self._story(
            intent, caller, root, None, note=told_outcomes(passed.outcomes) + told_approval(passed.claims)
        )
        return Step(listening.command(passed.claims, story, waiting), passed, None, listening.judged)

    async def _decide_each(
        self,
        intents: Sequence[tuple[int, SignDuty]],
        caller: Caller,
        answers: list[Signature | SignerError | None],
    ) -> list[tuple[int, Step]]:
        """The gate for the entries of a batch, a portion at a time; an error becomes that entry's answer."""
        steps: list[tuple[int, Step]] = []
        for start in range(0, len(intents), _DECIDED_AT_A_TIME):
            portion = intents[start : start + _DECIDED_AT_A_TIME]
            if start:
                await asyncio.sleep(0)
            decided: list[tuple[int, SignDuty, Step]] = []
            for n, intent in portion:
                try:
                    decided.append((n, intent, self._decide(intent, caller)))
                except SignerError as error:
                    answers[n] = error
            asked = await asyncio.gather(
                *(self._ask(intent, step, caller, hear_nothing) for _, intent, step in decided if step.command is None),
                return_exceptions=True,
            )
            rest = iter(asked)
            for n, _, step in decided:
                found = next(rest) if step.command is None else step
                if isinstance(found, SignerError):
                    answers[n] = found
                elif isinstance(found, BaseException):
                    raise found
                else:
                    steps.append((n, found))
        return steps

    async def _sign_chunks(
        self,
        steps: Sequence[tuple[int, Step]],
        answers: list[Signature | SignerError | None],
        caller: Caller,
        *,
        last: bool,
    ) -> frozenset[int]:
        """Sign each chunk as soon as it is durable, while the next one commits.

        Returns:
            The entries that something has overtaken, to be walked again; none where this was the `last` walk.
        """
        receipts = self._journal.commit_all([step.get_command() for _, step in steps])
        signing = []
        overtaken: set[int] = set()
        try:
            for start in range(0, len(steps), _CHUNK):
                ready: list[tuple[int, Passed]] = []
                for (n, step), receipt in zip(
                    steps[start : start + _CHUNK], receipts[start : start + _CHUNK], strict=True
                ):
                    try:
                        await receipt
                        ready.append((n, self._released(step)))
                    except (PolicyChangedError, CounterChangedError, ApprovalChangedError) as error:
                        answers[n] = error if last else await self._caught_up(step, error)
                        if answers[n] is None:
                            overtaken.add(n)
                            continue
                    except SignerError as error:
                        answers[n] = error
                    self._gate.compare_shadows(step.judged)
                signing.append(asyncio.create_task(self._sign_ready(ready, answers, caller)))
            await asyncio.gather(*signing)
        finally:
            for task in signing:
                task.cancel()
        return frozenset(overtaken)

    async def _sign_ready(
        self, ready: Sequence[tuple[int, Passed]], answers: list[Signature | SignerError | None], caller: Caller
    ) -> None:
        results = await self._backend.sign_many([(passed.key.secret, passed.signing_root) for _, passed in ready])
        for (n, passed), result in zip(ready, results, strict=True):
            answers[n] = result
            if isinstance(result, SigningFailedError):
                await self._record_failure(passed, result, caller)

    def _released(self, step: Step) -> Passed:
        """What may be signed, now that the command is durable."""
        if step.error is not None:
            raise step.error
        passed = step.get_passed()
        for claim in passed.claims:
            if isinstance(claim, NetworkClaim):
                self._gate.pin(claim.genesis_validators_root)
            elif isinstance(claim, ApprovalClaim) and claim.act == "spend":
                self._events.publish(ApprovalMoved("spent"))
        return passed

    async def _sign(self, passed: Passed, caller: Caller, *, on_start: Callable[[], None]) -> Signature:
        try:
            return Signature(await self._backend.sign(passed.key.secret, passed.signing_root, on_start=on_start))
        except SigningFailedError as error:
            await self._record_failure(passed, error, caller)
            raise

    async def _record_failure(self, passed: Passed, error: SigningFailedError, caller: Caller) -> None:
        """The entry said `allowed`; a second one says that no signature was made, and gives back what was spent.

        Crash before this commit: what was spent stays spent.
        """
        story = NoteStory(
            Kind.SIGNING_FAILED,
            self._now_ms(),
            error.sentence,
            caller.principal.name,
            caller.request_id,
            passed.key.public_key,
            error.code,
        )
        back = None if passed.spending is None else giving_back(passed.spending)
        # Together: where somebody has its signature already by the same approval, neither is given back.
        claims = (*approval_given_back(passed.claims), *(() if back is None else (back,)))
        with suppress(ApprovalChangedError):
            await self._journal.commit(Command(claims, story))

    def _story(
        self,
        intent: SignDuty | SignExtension,
        caller: Caller,
        root: Root,
        refusal: SignerError | None,
        *,
        note: str = "",
    ) -> DutyStory | ExtensionStory:
        now_ms = self._now_ms()
        if isinstance(intent, SignExtension):
            duty, at, platform = intent.duty_type, intent.timestamp, intent.platform
            return ExtensionStory(caller, intent.public_key, duty, at, platform, root, now_ms, refusal, note)
        lower, upper = span(intent.duty)
        return DutyStory(caller, intent.public_key, intent.duty.type, lower, upper, root, now_ms, refusal, note)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


def _outcome_of(error: SignerError) -> Outcome:
    return "refused" if isinstance(error, RefusalError | ForbiddenError) else "failed"
