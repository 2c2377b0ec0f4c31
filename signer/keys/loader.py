"""Load every key this signer has: YAML files, bulk directories and the vault.

One load: read the directories; take from the vault what it has for unchanged keystores; open the rest on all cores;
seal what was opened; forget what is gone. A file that fails is reported and stops nothing, unless `strict`.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from signer.crypto.bls import Bls
from signer.errors import KeyFileError, ShutDownError, SignerError, StartupError
from signer.keys.bulk import read_bulk_directory
from signer.keys.gathering import Gathering, Job
from signer.keys.key import Key
from signer.keys.key_files import read_key_files
from signer.keys.memory_budget import MemoryBudget, spare_memory_budget
from signer.keys.opening import ParallelWork
from signer.keys.report import LoadReport, Progress
from signer.keys.sealed_key import SealedKey
from signer.keys.sources import Findings, KeyLocations
from signer.keys.unlocking import unlock
from signer.keys.vault import OpenedKey, Vault

SAVE_EVERY = 256
"""Keystores opened between two saves: a crash in a long first load loses two minutes of work at most."""


def no_progress(_done: int, _total: int) -> None:
    """Tell nobody."""


class Loader:
    """Knows where the keys are and loads them anew each time. One load at a time; keeps no keys."""

    def __init__(
        self,
        locations: KeyLocations,
        bls: Bls,
        vault: Vault,
        *,
        strict: bool = False,
        threads: int | None = None,
        memory: MemoryBudget | None = None,
    ) -> None:
        self._locations = locations
        self._bls = bls
        self._vault = vault
        self._strict = strict
        self._threads = threads or os.cpu_count() or 1
        self._memory = memory

    def load(self, progress: Progress = no_progress, stop: threading.Event | None = None) -> LoadReport:
        """Every key that can be loaded, and what could not be. Blocks, for half an hour if keystores are many and new.

        Raises:
            StartupError: `strict`, and a file failed; or others than us may use the vault.
            ShutDownError: `stop` was set meanwhile; what was opened until then is sealed.
        """
        gathering = Gathering(self._bls, self._vault)
        for findings in self._find():
            gathering.add(findings)
        gathering.add_imported()
        self._open(gathering, progress, stop or threading.Event())
        report = gathering.report()
        if self._strict and report.errors:
            first = report.errors[0]
            raise StartupError(
                f"{len(report.errors)} key files cannot be loaded; the first is {first.file}: {first.sentence}",
                remedy="repair or remove the files, or unset keys.strict to serve the keys that load",
            )
        return report

    def _find(self) -> list[Findings]:
        directory = self._locations.config_directory
        found = [read_key_files(directory)] if directory is not None else []
        return found + [read_bulk_directory(bulk) for bulk in self._locations.bulk_directories]

    def _open(self, gathering: Gathering, progress: Progress, stop: threading.Event) -> None:
        memory = self._memory or spare_memory_budget()
        work = ParallelWork(gathering.jobs, lambda job: self._unlock(job, memory), stop=stop)
        unsaved: list[OpenedKey] = []
        try:
            for done, (index, result) in enumerate(work.results(threads=self._threads), start=1):
                unsaved += _settled(gathering, gathering.jobs[index], result)
                if len(unsaved) >= SAVE_EVERY:
                    self._save(gathering, _everything, unsaved)
                    unsaved = []
                progress(done, len(gathering.jobs))
        except ShutDownError:
            self._save(gathering, _everything, unsaved)
            raise
        if unsaved or gathering.vault_is_stale():
            self._save(gathering, gathering.wanted(), unsaved)

    def _unlock(self, job: Job, memory: MemoryBudget) -> "_Unlocked":
        started = time.perf_counter()
        key = unlock(job.locked, self._bls, memory)
        return _Unlocked(key, time.perf_counter() - started)

    def _save(self, gathering: Gathering, keep: Callable[[SealedKey], bool], opened: list[OpenedKey]) -> None:
        try:
            self._vault.rewrite(keep, opened)
        except OSError as fault:  # the keys are loaded and serve; only the next start will be slow
            gathering.add_vault_error(f"the opened keys cannot be sealed: {fault.strerror}")


def _everything(_sealed: SealedKey) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class _Unlocked:
    """A job's key, and how long its thread worked for it."""

    key: Key
    seconds: float


def _settled(gathering: Gathering, job: Job, result: _Unlocked | SignerError) -> list[OpenedKey]:
    match result:
        case _Unlocked(key, seconds):
            return [gathering.settle(job, key, seconds=seconds)]
        case KeyFileError():
            gathering.settle_failed(job, result)
            return []
        case other:
            raise other
