"""Sign a duty: the only road to a private key.

The order is: decide, record, sign, release. The record of the duty and its audit entry are durable before the key is
used; a signature leaves only after both. A caller that goes away, a deadline that passes or a crash at any line costs
at most that signature: the record stands, and the same request asked again gets the same signature.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from signer.audit.entry import Kind
from signer.auth.authorize import check_authorized
from signer.auth.principal import Action, Caller
from signer.backends.backend import Backend
from signer.clock import Clock
from signer.crypto.bls import SecretKey
from signer.errors import DeadlineError, ForbiddenError, RefusalError, SignerError, SigningFailedError
from signer.events import DutyAnswered, Events, Outcome
from signer.intent import SignDuty, SignExtension
from signer.journal.command import Command, Journal, Receipt
from signer.journal.writer import MAX_BATCH
from signer.keys.ledger import KeyUseClaim
from signer.operations.deadline import Deadline, DeadlineWatch
from signer.operations.gate import Gate, Passed, span
from signer.operations.story import DutyStory, ExtensionStory, NoteStory
from signer.slashing.network import NetworkClaim
from signer.units import PublicKey, Root, Signature

_seconds = time.perf_counter

_CHUNK = MAX_BATCH
"""Entries of a batch that become durable together, and are then signed together."""


_DECIDED_AT_A_TIME = 64
"""Entries of a batch that walk the gate before others on the event loop have a turn: about 1 ms."""


@dataclass(slots=True)
class _Step:
    """One duty on its way through: a command to commit, and what to sign once it is durable."""

    command: Command
    passed: Passed | None
    error: SignerError | None
    """A refusal that was decided before the commit, which only records it."""


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

    async def sign(self, intent: SignDuty, caller: Caller) -> Signature:
        """The signature of this duty, released only after its record and audit entry are durable.

        Raises:
            RequestError, UnknownKeyError, ForbiddenError, RefusalError, UnavailableError.
        """
        times = _Times()
        outcome: Outcome = "failed"
        code = ""
        try:
            step = self._decide(intent, caller)
            times.decided = _seconds()
            with Deadline(self._deadlines):
                receipt = await self._journal.commit(step.command)
                times.recorded = _seconds()
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
        times = _Times()
        steps: list[tuple[int, _Step]] = []
        for n, intent in enumerate(intents):
            if (step := self._attempt(intent, caller, answers, n)) is not None:
                steps.append((n, step))
            if n % _DECIDED_AT_A_TIME == _DECIDED_AT_A_TIME - 1:
                await asyncio.sleep(0)
        times.decided = _seconds()
        receipts = self._journal.commit_all([step.command for _, step in steps])
        try:
            with Deadline(self._deadlines):
                await self._sign_chunks(steps, receipts, answers, caller)
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
            UnknownKeyError, ForbiddenError, UnavailableError.
        """
        key = self._gate.find_key(intent.public_key, caller)
        digest = hashlib.sha256(intent.payload).digest()
        refused: SignerError | None = None
        claims: tuple[KeyUseClaim, ...] = ()
        try:
            self._gate.decide_extension(intent, caller)
            claims = (KeyUseClaim(intent.public_key),)
        except ForbiddenError as error:
            refused = error
        story = ExtensionStory(
            caller,
            intent.public_key,
            intent.duty_type,
            intent.timestamp,
            intent.platform,
            digest,
            self._now_ms(),
            refused_as=refused,
        )
        with Deadline(self._deadlines):
            await self._journal.commit(Command(claims, story))
            if refused is not None:
                raise refused
            return Signature(await self._backend.sign(key.secret, intent.payload))

    def _decide(self, intent: SignDuty, caller: Caller) -> _Step:
        """The gate up to the commit. A decision against becomes a command that records it."""
        key, root = self._gate.identify(intent, caller)
        try:
            passed = self._gate.decide(intent, caller, key=key, root=root)
        except (ForbiddenError, RefusalError) as refusal:
            return _Step(Command((), self._story(intent, caller, root, refusal)), None, refusal)
        return _Step(Command(passed.claims, self._story(intent, caller, root, None)), passed, None)

    def _attempt(
        self, intent: SignDuty | SignerError, caller: Caller, answers: list[Signature | SignerError | None], n: int
    ) -> _Step | None:
        """The gate for one entry of a batch; an error becomes that entry's answer."""
        if isinstance(intent, SignerError):
            return None
        try:
            return self._decide(intent, caller)
        except SignerError as error:
            answers[n] = error
            return None

    async def _sign_chunks(
        self,
        steps: Sequence[tuple[int, _Step]],
        receipts: Sequence["asyncio.Future[Receipt]"],
        answers: list[Signature | SignerError | None],
        caller: Caller,
    ) -> None:
        """Sign each chunk as soon as it is durable, while the next one commits."""
        signing = []
        try:
            for start in range(0, len(steps), _CHUNK):
                ready: list[tuple[int, Passed]] = []
                for (n, step), receipt in zip(
                    steps[start : start + _CHUNK], receipts[start : start + _CHUNK], strict=True
                ):
                    try:
                        await receipt
                        ready.append((n, self._released(step)))
                    except SignerError as error:
                        answers[n] = error
                signing.append(asyncio.create_task(self._sign_ready(ready, answers, caller)))
            await asyncio.gather(*signing)
        finally:
            for task in signing:
                task.cancel()

    async def _sign_ready(
        self, ready: Sequence[tuple[int, Passed]], answers: list[Signature | SignerError | None], caller: Caller
    ) -> None:
        results = await self._backend.sign_many([(passed.key.secret, passed.signing_root) for _, passed in ready])
        for (n, passed), result in zip(ready, results, strict=True):
            answers[n] = result
            if isinstance(result, SigningFailedError):
                await self._record_failure(passed, result, caller)

    def _released(self, step: _Step) -> Passed:
        """What may be signed, now that the command is durable."""
        if step.error is not None:
            raise step.error
        if step.passed is None:
            raise SigningFailedError("nothing passed the gate")
        for claim in step.passed.claims:
            if isinstance(claim, NetworkClaim):
                self._gate.pin(claim.genesis_validators_root)
        return step.passed

    async def _sign(self, passed: Passed, caller: Caller, *, on_start: Callable[[], None]) -> Signature:
        try:
            return Signature(await self._backend.sign(passed.key.secret, passed.signing_root, on_start=on_start))
        except SigningFailedError as error:
            await self._record_failure(passed, error, caller)
            raise

    async def _record_failure(self, passed: Passed, error: SigningFailedError, caller: Caller) -> None:
        """The entry said `allowed`; a second one says that no signature was made."""
        story = NoteStory(
            Kind.SIGNING_FAILED,
            self._now_ms(),
            error.sentence,
            caller.principal.name,
            caller.request_id,
            passed.key.public_key,
            error.code,
        )
        await self._journal.commit(Command((), story))

    def _story(self, intent: SignDuty, caller: Caller, root: Root, refusal: SignerError | None) -> DutyStory:
        lower, upper = span(intent.duty)
        return DutyStory(
            caller, intent.public_key, intent.duty.type, lower, upper, root, self._now_ms(), refused_as=refusal
        )

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


class _Times:
    """When one duty reached each stage, in seconds of the steady clock."""

    __slots__ = ("decided", "recorded", "signing", "started")

    def __init__(self) -> None:
        self.started = _seconds()
        self.decided = self.recorded = self.signing = 0.0

    def start(self) -> None:
        """A signing thread has taken the job. Called by that thread."""
        self.signing = _seconds()

    def answered(self, duty_type: str, outcome: Outcome, code: str) -> DutyAnswered:
        """The event that tells of the stages; a stage that was not reached took no time."""
        ended = _seconds()
        decided = self.decided or ended
        recorded = self.recorded or ended
        signing = self.signing or ended
        return DutyAnswered(
            duty_type,
            outcome,
            code,
            queue_seconds=signing - recorded,
            policy_seconds=decided - self.started,
            journal_seconds=recorded - decided,
            crypto_seconds=ended - signing,
        )


def _outcome_of(error: SignerError) -> Outcome:
    return "refused" if isinstance(error, RefusalError | ForbiddenError) else "failed"
