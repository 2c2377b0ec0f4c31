"""Do many slow jobs on all cores. scrypt and PBKDF2 give up the interpreter lock, so threads are enough."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

from signer.errors import ShutDownError, SignerError

Job = TypeVar("Job")
Result = TypeVar("Result")


class ParallelWork(Generic[Job, Result]):
    """Runs one function over many jobs; lives for one run.

    The threads are daemons: a process that must end does not wait half an hour for its keystores.
    """

    def __init__(self, jobs: Sequence[Job], work: Callable[[Job], Result], *, stop: threading.Event) -> None:
        self._work = work
        self._stop = stop
        self._jobs = jobs
        self._waiting: queue.SimpleQueue[tuple[int, Job]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int, Result | Exception]] = queue.SimpleQueue()

    def results(self, *, threads: int) -> Iterator[tuple[int, Result | SignerError]]:
        """The index and result of each job as it gets done, in any order; a SignerError is a result.

        Raises:
            ShutDownError: `stop` was set.
            Exception: whatever else a job raised; the jobs that wait are given up.
        """
        for numbered in enumerate(self._jobs):
            self._waiting.put(numbered)
        for number in range(min(threads, len(self._jobs))):
            threading.Thread(target=self._run, name=f"keystores-{number}", daemon=True).start()
        try:
            yield from self._collect()
        finally:
            self._give_up()

    def _collect(self) -> Iterator[tuple[int, Result | SignerError]]:
        for _ in self._jobs:
            index, result = self._done.get()
            if isinstance(result, Exception) and not isinstance(result, SignerError):
                raise result
            if isinstance(result, ShutDownError):
                raise result
            yield index, result

    def _run(self) -> None:
        while True:
            try:
                index, job = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._done.put((index, self._result(job)))

    def _result(self, job: Job) -> Result | Exception:
        if self._stop.is_set():
            return ShutDownError("the signer is stopping: the load of keys was given up")
        try:
            return self._work(job)
        except Exception as fault:  # noqa: BLE001  # raised again in the thread that collects
            return fault

    def _give_up(self) -> None:
        while not self._waiting.empty():
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                return
