"""A real PostgreSQL for tests: on a free port, with its socket and data in a temporary directory."""

import atexit
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest
from running import free_port

USER = "postgres"
"""Who runs the server where the tests run as root: initdb refuses root."""

MEMORY = Path("/dev/shm")
MEMORY_BYTES = 4 << 30
"""Free there at least, or the tests' servers are on disk: each takes up to 200 MB."""


def find_program(name: str) -> Path | None:
    """A PostgreSQL program: Debian keeps them out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    in_path = shutil.which(name)
    return found[0] if found else Path(in_path) if in_path else None


class PostgresServer:
    """One cluster. `stop` or `kill` it; `start` it again on the same data."""

    def __init__(self, *, parent: Path = Path("/tmp")) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="holdfast-pg-", dir=parent))
        self.port = free_port()
        self.data = self.directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.own(self.directory)

    def initialise(self, **settings: str) -> None:
        self._run("initdb", "-D", self.data, "-A", "trust", "-U", USER, "--no-sync", "-E", "UTF8")
        self.configure(listen_addresses="127.0.0.1", unix_socket_directories=str(self.directory), **settings)

    def copy_from(self, template: "PostgresServer", **settings: str) -> None:
        """What `initialise` makes, from a stopped server's data; the two have a system identifier in common."""
        self._run("cp", "-a", template.data, self.data)
        self.configure(unix_socket_directories=str(self.directory), **settings)

    def configure(self, **settings: str) -> None:
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def make_replica(self) -> "PostgresServer":
        """A running hot standby that streams from this server; every commit here waits for it from now on."""
        replica = PostgresServer(parent=self.directory.parent)
        replica._run("pg_basebackup", "-D", replica.data, "-R", "-X", "stream", "-c", "fast", "-d", self.url())
        replica.configure(unix_socket_directories=str(replica.directory), synchronous_standby_names="")
        replica.start()
        self.psql("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.psql("SELECT pg_reload_conf()")
        ends = time.monotonic() + 20
        while self.psql("SELECT sync_state FROM pg_stat_replication") != "sync":
            assert time.monotonic() < ends
            time.sleep(0.02)
        return replica

    def promote(self) -> None:
        """A standby becomes the primary server, under a timeline of its own."""
        self.psql("SELECT pg_promote()")

    def start(self) -> None:
        log = (self.directory / "log").open("ab")
        self._process = subprocess.Popen(
            [find_program("postgres"), "-D", self.data, "-p", str(self.port)],
            stdout=log,
            stderr=log,
            **self._as_owner(),
        )
        log.close()
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        ready = [find_program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        ends = time.monotonic() + 30
        while subprocess.run(ready, check=False).returncode != 0:
            assert self._process is None or self._process.poll() is None, (self.directory / "log").read_text()
            assert time.monotonic() < ends, (self.directory / "log").read_text()
            time.sleep(0.02)

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        self._end(signal.SIGINT)  # fast: connections are dropped

    def kill(self) -> None:
        """As a crash: the postmaster and all of its backends die at once, without a word."""
        assert self._process is not None
        processes = self._signal_all(signal.SIGKILL)
        self._process.wait()
        while not all(map(_has_ended, processes)):
            time.sleep(0.005)  # each holds a part of the shared memory that the next server wants
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def pause(self) -> None:
        """Nothing of the server moves, and its connections stay open."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> list[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        processes = [self._process.pid, *map(int, children)]
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, number)
        return processes

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def make_database(self, name: str) -> str:
        self.psql(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def psql(self, statement: str, database: str = "postgres") -> str:
        line = [
            find_program("psql"),
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            self.url(database),
            "-c",
            statement,
        ]
        done = subprocess.run(line, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def wait_for_setting(self, name: str, value: str) -> None:
        """A reload has reached new connections."""
        ends = time.monotonic() + 10
        while self.psql(f"SHOW {name}") != value:
            assert time.monotonic() < ends
            time.sleep(0.01)

    def run_file(self, file: Path, database: str) -> None:
        line = [find_program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", self.url(database), "-f", str(file)]
        subprocess.run(line, check=True, capture_output=True)

    def remove(self) -> None:
        self._end(signal.SIGQUIT)  # at once: nobody reads these files again
        shutil.rmtree(self.directory, ignore_errors=True)

    def _run(self, name: str, *arguments: object) -> None:
        line = [str(find_program(name) or name), *map(str, arguments)]
        done = subprocess.run(line, check=False, capture_output=True, text=True, **self._as_owner())
        assert done.returncode == 0, done.stderr

    def _as_owner(self) -> dict[str, object]:
        kwargs: dict[str, object] = {"cwd": self.directory, "start_new_session": True}
        if os.geteuid() == 0:
            owner = pwd.getpwnam(USER)
            kwargs.update(user=owner.pw_uid, group=owner.pw_gid, extra_groups=[])
        return kwargs

    def own(self, path: Path) -> None:
        if os.geteuid() == 0:
            owner = pwd.getpwnam(USER)
            os.chown(path, owner.pw_uid, owner.pw_gid)


def started_server(**settings: str) -> PostgresServer:
    """A running server of the test's own. Skips where PostgreSQL is not installed; CI must have it."""
    if find_program("postgres") is None:
        if os.environ.get("CI"):
            pytest.fail("CI must run the tests of PostgreSQL; install Debian's postgresql-15 (make counterparts)")
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    server = PostgresServer(parent=_quick_place())
    # mmap: a server that is killed leaves nothing of its shared memory outside its directory.
    server.copy_from(_template(), dynamic_shared_memory_type="mmap", **settings)
    server.start()
    return server


@functools.cache
def _template() -> PostgresServer:
    """Never started. initdb takes a second, and a module of tests has a server for each of its tests."""
    template = PostgresServer(parent=_quick_place())
    atexit.register(template.remove)
    template.initialise()
    return template


def _quick_place() -> Path:
    """In memory where there is room: no test cuts the power, so what a server syncs is as safe there as on disk."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES
    return MEMORY if roomy else Path("/tmp")


def _has_ended(process: int) -> bool:
    """True also while whoever inherited it has not asked for its exit code."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"
