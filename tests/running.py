"""A real signer process for tests and benches: its directory, its configuration, its start and its end.

with running_signer(tmp_path, secrets=[interop_secret(0)]) as signer:
    http.client.HTTPConnection("127.0.0.1", signer.port)
"""

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from warm_starts import WARM_STARTS, WarmProcess, WarmProgram

CURVE_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""Order of the groups of BLS12-381."""

REPOSITORY = Path(__file__).resolve().parent.parent
HOLDFAST = (sys.executable, "-m", "signer")
"""The console command, whether it is installed or not; run it in REPOSITORY."""

START_SECONDS = 60.0
STOP_SECONDS = 30.0

LOWEST_PORT, PORTS = 10_000, 20_000


def interop_secret(index: int) -> int:
    """The publicly known private key of this number (eth2 interop: SHA-256 of the index, little-endian both ways)."""
    return int.from_bytes(sha256(index.to_bytes(32, "little")).digest(), "little") % CURVE_ORDER


def free_port() -> int:
    """A port of the loopback address that was free a moment ago, below those that connections going out are given."""
    while True:
        port = LOWEST_PORT + secrets.randbelow(PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def write_raw_keys(directory: Path, secrets: Iterable[int]) -> None:
    """Write private keys as one of Web3Signer's key configuration files, a document each."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    documents = (f'type: "file-raw"\nkeyType: "BLS"\nprivateKey: "0x{secret:064x}"\n' for secret in secrets)
    file = directory / "keys.yaml"
    file.write_text("---\n".join(documents))
    file.chmod(0o600)


def merged(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Both mappings as one, section by section; where both say something, the upper one is heard."""
    result = dict(lower)
    for name, value in upper.items():
        below = result.get(name)
        result[name] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def write_configuration(directory: Path, sections: Mapping[str, Any]) -> Path:
    """Write `holdfast.yaml` for a test server in this directory, and make the directories it names."""
    defaults = {
        "preset": "test",
        "server": {"host": "127.0.0.1", "port": free_port()},
        "storage": {"data_directory": str(directory / "data")},
        "keys": {"config_directory": str(directory / "keys")},
    }
    settings = merged(defaults, sections)
    for made in (settings["storage"]["data_directory"], settings["keys"]["config_directory"]):
        Path(made).mkdir(mode=0o700, parents=True, exist_ok=True)
    file = directory / "holdfast.yaml"
    file.write_text(json.dumps(settings, indent=2, default=str))  # JSON is YAML
    file.chmod(0o600)
    return file


def set_up(config_file: Path) -> None:
    """What `holdfast init` makes for a configuration that is there: the master key and missing directories."""
    holdfast(config_file, "init").check_returncode()


def holdfast(config_file: Path, *words: str | Path, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command of the console and return what it said; its exit code is the caller's to judge.

    Raises subprocess.TimeoutExpired when it does not end, and then ends it.
    """
    line = [*words, "--config", config_file]
    if program := WARM_STARTS.program(os.environ):
        return program.run(line, seconds=seconds)
    line = [*HOLDFAST, *line]
    return subprocess.run(line, check=False, capture_output=True, text=True, cwd=REPOSITORY, timeout=seconds)


class RunningSigner:
    """A `holdfast serve` process, owned by whoever started it."""

    def __init__(
        self,
        config_file: Path,
        *,
        environment: Mapping[str, str | None] | None = None,
        program: WarmProgram | None = None,
    ) -> None:
        """`program`: whose copy it is, whatever the environment."""
        settings = json.loads(config_file.read_text())
        self.config_file = config_file
        self.directory = config_file.parent
        self.data_directory = Path(settings["storage"]["data_directory"])
        self.port: int = settings["server"]["port"]
        self.metrics_port: int | None = settings.get("metrics", {}).get("port")
        self.tls = "tls" in settings["server"]
        self.log_file = self.directory / "signer.log"
        variables = {**os.environ, **(environment or {})}
        self.environment = {name: value for name, value in variables.items() if value is not None}
        self._program = program
        self.process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes] | WarmProcess:
        line = ["serve", "--config", self.config_file]
        with self.log_file.open("ab") as log:
            if program := self._program or WARM_STARTS.program(self.environment):
                return program.start(line, output=log.fileno(), errors=log.fileno(), environment=self.environment)
            return subprocess.Popen(
                [*HOLDFAST, *line],
                cwd=REPOSITORY,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def log(self) -> str:
        """Everything it has written so far."""
        return self.log_file.read_text(errors="replace")

    def wait_until_listening(self, seconds: float = START_SECONDS) -> None:
        """Return when it accepts connections. Raises RuntimeError with its log when it ends instead."""
        self._wait(self._listens, seconds)

    def wait_until_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when its keys are loaded (`/health/ready`). Raises RuntimeError with its log when it ends instead."""
        self._wait(self._is_ready, seconds)

    def _wait(self, condition: Any, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.process.wait(timeout=0.02)
                raise RuntimeError(f"the signer ended with {code}:\n{self.log}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the signer was not there after {seconds} s:\n{self.log}")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _is_ready(self) -> bool:
        if not (self.data_directory / "listening.json").exists():  # with workers it answers before it has published
            return False
        if self.tls:
            return self._listens()
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.get("/health/ready")[0] == 200
        return False

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a plain GET on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def public_keys(self) -> list[str]:
        """The keys it serves."""
        status, body = self.get("/api/v1/eth2/publicKeys")
        if status != 200:
            raise RuntimeError(f"publicKeys answered {status}: {body!r}")
        return json.loads(body)

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and return its exit code; killed when it does not."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it as a power cut would: SIGKILL, nothing flushed."""
        self.process.kill()
        self.process.wait(timeout=STOP_SECONDS)

    def start(self) -> None:
        """Start it again on the same directory, and do not wait."""
        self.process = self._spawn()

    def restart(self) -> None:
        """Start it again on the same directory and wait until it is ready."""
        self.start()
        self.wait_until_ready()

    def holdfast(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command of the console with this signer's configuration."""
        return holdfast(self.config_file, *words)


@contextlib.contextmanager
def running_signer(
    directory: Path,
    *,
    secrets: Iterable[int] = (),
    sections: Mapping[str, Any] | None = None,
    environment: Mapping[str, str | None] | None = None,
    program: WarmProgram | None = None,
) -> Iterator[RunningSigner]:
    """A ready signer with these private keys; `sections` overlay the test configuration.

    `environment` is added to this process's own; None takes a variable away. `program`: whose copy it is.
    """
    config_file = write_configuration(directory, sections or {})
    settings = json.loads(config_file.read_text())
    secrets = list(secrets)
    if secrets:
        write_raw_keys(Path(settings["keys"]["config_directory"]), secrets)
    set_up(config_file)
    signer = RunningSigner(config_file, environment=environment, program=program)
    try:
        signer.wait_until_ready()
        yield signer
    finally:
        if signer.process.poll() is None:
            signer.stop()
