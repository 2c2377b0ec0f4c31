"""Private keys in this process's memory, signing on a few threads of their own."""

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from signer.backends.hashed_messages import DEFAULT_ENTRIES, HashedMessages
from signer.backends.mailbox import Mailbox, Pending, Result
from signer.crypto.bls import Bls, SecretKey
from signer.errors import SigningFailedError
from signer.units import Signature


@dataclass(slots=True)
class _Job:
    """One signature to be made. A thread that takes it owns it."""

    secret: SecretKey
    message: bytes
    mailbox: Mailbox
    pending: Pending
    on_start: Callable[[], None] | None


class SoftwareBackend:
    """Signs with `SecretKey`s; see Backend. Lives as long as the process; `close` ends its threads.

    A job whose caller has gone (its future was cancelled) is dropped unsigned.
    """

    def __init__(self, bls: Bls, *, threads: int | None = None, hashed_messages: int = DEFAULT_ENTRIES) -> None:
        self._bls = bls
        self._hashed = HashedMessages(bls, entries=hashed_messages)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._mailbox: Mailbox | None = None
        self._closed = False
        # Daemons: a process that dies without close() must not hang on them.
        self._threads = [
            threading.Thread(target=self._work, name=f"signing-{number}", daemon=True)
            for number in range(threads or os.cpu_count() or 1)
        ]
        for thread in self._threads:
            thread.start()

    def sign(self, handle: SecretKey, message: bytes, *, on_start: Callable[[], None] | None = None) -> Pending:
        """See Backend."""
        mailbox = self._mailbox_of(asyncio.get_running_loop())
        pending = mailbox.loop.create_future()
        if self._closed:
            pending.set_exception(SigningFailedError("the signer is stopping"))
            return pending
        self._jobs.put(_Job(handle, message, mailbox, pending, on_start))
        return pending

    async def sign_many(self, jobs: Sequence[tuple[SecretKey, bytes]]) -> list[Signature | SigningFailedError]:
        """See Backend."""
        waiting = [self.sign(handle, message) for handle, message in jobs]
        try:
            return [await _settled(pending) for pending in waiting]
        finally:
            for pending in waiting:  # of use only where this task was cancelled: the rest is not signed
                pending.cancel()

    async def close(self) -> None:
        """See Backend. What waits when this is called fails with SigningFailedError."""
        self._closed = True
        for _ in self._threads:
            self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._join)

    def _join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _mailbox_of(self, loop: asyncio.AbstractEventLoop) -> Mailbox:
        if self._mailbox is None:
            self._mailbox = Mailbox(loop)
        elif self._mailbox.loop is not loop:
            raise RuntimeError("a software backend serves the event loop of its first signature, and no other")
        return self._mailbox

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            result = None if job.pending.cancelled() else self._result(job)
            # Seen after the work: whoever takes what waits now will post or flush after us.
            more_wait = not self._jobs.empty()
            if result is not None:
                job.mailbox.post(job.pending, result, more_follow=more_wait)
            elif not more_wait:
                job.mailbox.flush()
            del job, result  # the key must not live on in this frame while the thread waits for work
        if self._mailbox is not None:  # the job that was promised may have been close()'s None
            self._mailbox.flush()

    def _result(self, job: _Job) -> Result:
        if self._closed:
            return SigningFailedError("the signer is stopping")
        if job.on_start is not None:
            job.on_start()
        try:
            return self._bls.sign_hashed(job.secret, self._hashed.hashed(job.message))
        except Exception as fault:  # noqa: BLE001  # whatever it was, the caller must hear of it and the thread live on
            return SigningFailedError(f"the key could not sign: {type(fault).__name__}")


async def _settled(pending: Pending) -> Result:
    try:
        return await pending
    except SigningFailedError as fault:
        return fault
