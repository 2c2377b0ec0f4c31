"""Data directories of signers that have signed something and ended: the ground that tests then break."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from duty_requests import Line, line_to, network_of_age, vote_body
from running import RunningSigner, holdfast, interop_secret, running_signer, write_configuration

AGE_EPOCHS = 100.5
"""The wall clock's epoch is 100: with the guard nothing above epoch 101 is signed."""

SIGNED = (98, 99)
"""Source and target of the vote that every ground has on record, under mark 0."""


@dataclass
class Ground:
    """One signer's directory, without a signer that runs on it. Owned by one test."""

    directory: Path
    config_file: Path
    key: str

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def database(self) -> Path:
        return self.data / "journal.sqlite"

    @property
    def head(self) -> Path:
        return self.data / "head"

    def configure(self, sections: Mapping[str, Any] | None = None, *, age_epochs: float = AGE_EPOCHS) -> None:
        """Write the configuration anew; another age is another time."""
        settings = {**network_of_age(self.directory, age_epochs), **(sections or {})}
        self.config_file = write_configuration(self.directory, settings)

    def keep(self, name: str = "kept") -> Path:
        """A copy of the database alone, whole: as a backup would hold it."""
        copy = self.directory / name
        shutil.copy(self.database, copy)
        return copy

    def bytes_of_record(self) -> dict[str, bytes]:
        """What a refused start must leave as it was: the shared memory beside a database is no part of it."""
        files = [self.database, self.data / "journal.sqlite-wal", self.head]
        return {file.name: file.read_bytes() for file in files if file.is_file() and file.stat().st_size}

    def refuses(self) -> dict[str, Any]:
        """The problem with which a start is refused: exit code 1, in words and with a remedy, nothing served."""
        told = holdfast(self.config_file, "serve", "--json")
        assert told.returncode == 1, (told.returncode, told.stdout, told.stderr)
        document = json.loads(told.stderr[told.stderr.index("{\n") :])
        assert document["remedy"], document
        assert len(document["detail"]) > 20, document
        assert "Traceback" not in told.stderr
        return document

    def starts(self) -> "Standing":
        """A signer on this ground, until left."""
        return Standing(self)


class Standing:
    """`with ground.starts() as (signer, line)`: a ready signer and a connection to it; stopped when left."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def __enter__(self) -> tuple[RunningSigner, Line]:
        self._signer = RunningSigner(self._ground.config_file)
        try:
            self._signer.wait_until_ready()
            self._line = Line(self._signer.port)
        except BaseException:
            self._signer.kill()
            raise
        return self._signer, self._line

    def __exit__(self, *_: object) -> None:
        self._line.close()
        if self._signer.process.poll() is None:
            self._signer.stop()


def make_ground(directory: Path, *, killed: bool = False) -> Ground:
    """A directory whose signer signed one vote and was stopped, or killed with its write-ahead log left behind."""
    directory.mkdir(exist_ok=True)
    sections = network_of_age(directory, AGE_EPOCHS)
    with running_signer(directory, secrets=[interop_secret(0)], sections=sections) as signer:
        key = signer.public_keys()[0]
        with line_to(signer.port) as line:
            assert line.sign(key, vote_body(*SIGNED, 0)).signature
        if killed:
            signer.kill()
    return Ground(directory, directory / "holdfast.yaml", key)


def copy_ground(ground: Ground, directory: Path) -> Ground:
    """The same ground somewhere else."""
    shutil.copytree(ground.directory, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
    copied = Ground(directory, directory / "holdfast.yaml", ground.key)
    copied.configure()
    return copied
