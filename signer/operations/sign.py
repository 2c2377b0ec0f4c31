"""Sign a duty: the only road to a private key.

The order is: decide, record, sign, release. The record of the duty and its audit entry are durable before the key is
used; a signature leaves only after both. A caller that goes away, a deadline that passes or a crash at any line costs
at most that signature: the record stands, and the same request asked again gets the same signature.
"""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from signer.audit.entry import Kind
from signer.auth.principal import Caller
from signer.backends.backend import Backend
from signer.clock import Clock
from signer.crypto.bls import SecretKey
from signer.errors import DeadlineError, ForbiddenError, RefusalError, SignerError, SigningFailedError
from signer.events import DutyAnswered, Events, Outcome
from signer.intent import SignDuty, SignExtension
from signer.journal.command import Command, Journal, Receipt
from signer.operations.gate import Gate, Passed, span
from signer.operations.story import DutyStory, ExtensionStory, NoteStory
from signer.slashing.network import NetworkClaim
from signer.units import Root, Signature

_seconds = time.perf_counter


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
        self._deadline_seconds = deadline_seconds

    async def sign(self, intent: SignDuty, caller: Caller) -> Signature:
        """The signature of this duty, released only after its record and audit entry are durable.

        Raises:
            RequestError, UnknownKeyError, ForbiddenError, RefusalError, UnavailableError.
        """
        started = recorded = _seconds()
        decided = started
        outcome: Outcome = "failed"
        code = ""
        try:
            step = self._decide(intent, caller)
            decided = _seconds()
            async with asyncio.timeout(self._deadline_seconds):
                receipt = await self._journal.commit(step.command)
                recorded = _seconds()
                # Crash before the commit returned: no record, no signature. Crash from here on: a record without a
                # signature, and asking again is a repeat.
                passed = self._released(step, receipt)
                signature = await self._sign(passed, caller)
            outcome = "repeated" if receipt.repeat else "signed"
        except TimeoutError as late:
            error = DeadlineError(f"no answer within {self._deadline_seconds} s; asking again is safe")
            code = error.code
            raise error from late
        except SignerError as error:
            outcome = "refused" if isinstance(error, RefusalError | ForbiddenError) else "failed"
            code = error.code
            raise
        finally:
            ended = _seconds()
            recorded = max(recorded, decided)
            crypto = ended - recorded if outcome in ("signed", "repeated") else 0.0
            self._events.publish(
                DutyAnswered(intent.duty.type, outcome, code, 0.0, decided - started, recorded - decided, crypto)
            )
        return signature

    async def sign_each(
        self, intents: Sequence[SignDuty | SignerError], caller: Caller
    ) -> list[Signature | SignerError]:
        """A signature or an error for each intent, in order; an error that stands in for an intent stays itself."""
        started = _seconds()
        steps = [self._attempt(intent, caller) for intent in intents]
        decided = _seconds()
        waiting = [step for step in steps if isinstance(step, _Step)]
        futures = iter(self._journal.commit_all([step.command for step in waiting]))
        answers: list[Signature | SignerError]
        try:
            async with asyncio.timeout(self._deadline_seconds):
                answers = await asyncio.gather(
                    *(self._finish(step, next(futures) if isinstance(step, _Step) else None, caller) for step in steps)
                )
        except TimeoutError:
            late = DeadlineError(f"no answer within {self._deadline_seconds} s; asking again is safe")
            answers = [step if isinstance(step, SignerError) else late for step in steps]
        self._publish_each(intents, answers, (decided - started, _seconds() - decided))
        return answers

    async def sign_extension(self, intent: SignExtension, caller: Caller) -> Signature:
        """The signature over the raw payload; see `SignExtension`. Marked blind in the audit log.

        Raises:
            UnknownKeyError, ForbiddenError, UnavailableError.
        """
        key = self._gate.find_key(intent.public_key, caller)
        digest = hashlib.sha256(intent.payload).digest()
        refused: SignerError | None = None
        try:
            self._gate.decide_extension(intent, caller)
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
        try:
            async with asyncio.timeout(self._deadline_seconds):
                await self._journal.commit(Command((), story))
                if refused is not None:
                    raise refused
                return Signature(await self._backend.sign(key.secret, intent.payload))
        except TimeoutError as late:
            raise DeadlineError(f"no answer within {self._deadline_seconds} s; asking again is safe") from late

    def _decide(self, intent: SignDuty, caller: Caller) -> _Step:
        """The gate up to the commit. A decision against becomes a command that records it."""
        key, root = self._gate.identify(intent, caller)
        try:
            passed = self._gate.decide(intent, caller, key=key, root=root)
        except (ForbiddenError, RefusalError) as refusal:
            return _Step(Command((), self._story(intent, caller, root, refusal)), None, refusal)
        return _Step(Command(passed.claims, self._story(intent, caller, root, None)), passed, None)

    def _attempt(self, intent: SignDuty | SignerError, caller: Caller) -> _Step | SignerError:
        if isinstance(intent, SignerError):
            return intent
        try:
            return self._decide(intent, caller)
        except SignerError as error:
            return error

    async def _finish(
        self, step: _Step | SignerError, future: "asyncio.Future[Receipt] | None", caller: Caller
    ) -> Signature | SignerError:
        if isinstance(step, SignerError):
            return step
        try:
            return await self._sign(self._released(step, await future) if future else None, caller)
        except SignerError as error:
            return error

    def _released(self, step: _Step, _receipt: Receipt) -> Passed:
        """What may be signed, now that the command is durable."""
        if step.error is not None:
            raise step.error
        if step.passed is None:
            raise SigningFailedError("nothing passed the gate")
        for claim in step.passed.claims:
            if isinstance(claim, NetworkClaim):
                self._gate.pin(claim.genesis_validators_root)
        return step.passed

    async def _sign(self, passed: Passed | None, caller: Caller) -> Signature:
        if passed is None:
            raise SigningFailedError("nothing passed the gate")
        try:
            return Signature(await self._backend.sign(passed.key.secret, passed.signing_root))
        except SigningFailedError as error:
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
            raise

    def _story(self, intent: SignDuty, caller: Caller, root: Root, refusal: SignerError | None) -> DutyStory:
        lower, upper = span(intent.duty)
        return DutyStory(
            caller, intent.public_key, intent.duty.type, lower, upper, root, self._now_ms(), refused_as=refusal
        )

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    def _publish_each(
        self,
        intents: Sequence[SignDuty | SignerError],
        answers: Sequence[Signature | SignerError],
        seconds: tuple[float, float],
    ) -> None:
        for intent, answer in zip(intents, answers, strict=True):
            if isinstance(intent, SignerError):
                continue
            outcome: Outcome = "signed"
            code = ""
            if isinstance(answer, SignerError):
                outcome = "refused" if isinstance(answer, RefusalError | ForbiddenError) else "failed"
                code = answer.code
            self._events.publish(DutyAnswered(intent.duty.type, outcome, code, 0.0, seconds[0], seconds[1], 0.0))
