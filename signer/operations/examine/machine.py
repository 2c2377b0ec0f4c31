"""What the machine gives: its clock, its ports, its limits."""

import errno
import resource
import socket
from pathlib import Path

from signer.clock.state import ClockSource
from signer.operations.examine.finding import Figures, Finding, Grade, fault

OTHER_FILES = 512
"""Open files besides connections: database, logs, sockets, workers."""

LITTLE_MEMORY_BYTES = 512 << 20
"""Available memory below which opening keystores is slow or fails: scrypt takes 256 MiB for each."""

CONNECT_SECONDS = 2.0
"""How long our own server may take to accept."""

_MEMORY_INFO = Path("/proc/meminfo")


def examine_clock(source: ClockSource, *, strict: bool) -> Finding:
    """Is the time right? May take some seconds."""
    state = source.measure()
    figures: Figures = {
        "source": state.source,
        "offset_seconds": state.offset_seconds,
        "error_seconds": state.error_seconds,
    }
    sentence, _, remedy = state.sentence.partition("; ")
    if state.synchronised:
        return Finding("clock", Grade.OK, state.sentence, figures=figures)
    return Finding("clock", Grade.FAULT if strict else Grade.WARNING, sentence, remedy, figures)


def examine_port(subject: str, *, host: str, port: int, ours: bool) -> Finding:
    """Can we listen there, or (`ours`) does our running server?"""
    figures: Figures = {"host": host, "port": port}
    if port == 0:
        return Finding(subject, Grade.OK, "a free port is taken at start", figures=figures)
    try:
        if ours:
            _connect(host, port)
        else:
            _bind(host, port)
    except OSError as error:
        sentence, remedy = _port_fault(error, host, port, ours=ours)
        return Finding(subject, Grade.FAULT, sentence, remedy, figures)
    sentence = f"{host}:{port} is served by the running signer" if ours else f"{host}:{port} is free"
    return Finding(subject, Grade.OK, sentence, figures=figures)


def examine_open_files(*, connections: int) -> Finding:
    """May we open as many files as there may be connections?"""
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + OTHER_FILES
    figures = {"limit": limit, "hard_limit": hard, "needed": needed}
    if limit in {resource.RLIM_INFINITY, -1} or limit >= needed:
        return Finding("open files", Grade.OK, f"{limit} may be open, {needed} are enough", figures=figures)
    return Finding(
        "open files",
        Grade.WARNING,
        f"{limit} may be open, and {connections} connections need {needed}",
        f"raise the limit (ulimit -n {needed}; LimitNOFILE={needed} in systemd), or lower server.max_connections",
        figures,
    )


def examine_memory(*, information: Path = _MEMORY_INFO) -> Finding:
    """Is there memory for opening keystores?"""
    available = _available_bytes(information)
    if available is None:
        return Finding("memory", Grade.SKIPPED, "the available memory cannot be told on this system")
    figures = {"available_bytes": available}
    sentence = f"{available >> 20} MiB are available"
    if available >= LITTLE_MEMORY_BYTES:
        return Finding("memory", Grade.OK, sentence, figures=figures)
    remedy = f"leave at least {LITTLE_MEMORY_BYTES >> 20} MiB: opening one keystore takes 256 MiB"
    return Finding("memory", Grade.WARNING, sentence, remedy, figures)


def examine_master_key(key_file: Path, password_file: Path | None) -> Finding:
    """Is there something that opens the sealed keys?"""
    file = password_file or key_file
    if file.is_file():
        return Finding("master key", Grade.OK, f"{file} is there")
    return fault(
        "master key",
        f"there is no {file}",
        remedy="for a new signer run `holdfast init`; one that has served needs its own from the backup",
    )


def _bind(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        # As servers do: a connection that lingers after its end does not hold the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)


def _connect(host: str, port: int) -> None:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # "all of them" is not an address to call
    with socket.create_connection((reachable, port), timeout=CONNECT_SECONDS):
        pass


def _port_fault(error: OSError, host: str, port: int, *, ours: bool) -> tuple[str, str]:
    if ours:
        return (
            f"the signer runs, and nobody answers at {host}:{port}",
            "the running signer may have another configuration: compare, or restart it",
        )
    if error.errno == errno.EADDRINUSE:
        return f"{host}:{port} is taken by another program", "stop it, or choose another port"
    if error.errno == errno.EACCES:
        return f"{host}:{port} needs a privilege", "choose a port above 1023"
    return f"nobody can listen on {host}:{port}: {error.strerror or error}", "choose an address of this machine"


def _available_bytes(information: Path) -> int | None:
    try:
        lines = information.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024
    return None
