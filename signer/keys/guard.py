"""Refuse a load that brings publicly known test keys, where real money is at stake."""

import threading
from typing import Protocol

from signer.errors import StartupError
from signer.keys.public_test_keys import publicly_known
from signer.keys.report import LoadReport, Progress


class LoadsKeys(Protocol):
    """A load of keys; see `Loader.load`."""

    def load(self, progress: Progress, stop: threading.Event | None) -> LoadReport:
        """Every key that can be loaded. Raises StartupError, ShutDownError."""
        ...


class GuardedLoader:
    """A loader whose loads fail as a whole when anybody could sign with one of their keys."""

    def __init__(self, loader: LoadsKeys) -> None:
        self._loader = loader

    def load(self, progress: Progress, stop: threading.Event | None) -> LoadReport:
        """See LoadsKeys. Raises StartupError for a publicly known key."""
        report = self._loader.load(progress, stop)
        known = publicly_known(report.keys)
        if known:
            raise StartupError(
                f"{len(known)} of the keys are publicly known test keys, the first is 0x{known[0].hex()}",
                remedy="remove them: anybody can sign with them; only the presets development and test load such keys",
            )
        return report
