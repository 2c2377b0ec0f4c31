"""`holdfast doctor`: everything a signer stands on, examined; works beside a running server and without one."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import typer

from signer.cli.answers import MOVED_AWAY
from signer.cli.commands.context import session_of
from signer.cli.problem import EXIT_REFUSED, UsageFault, find_remedy
from signer.cli.remote_service import RemoteService
from signer.cli.session import Session
from signer.clock import SystemClock
from signer.clock.sources import parse_clock_source
from signer.config.chain import read_network
from signer.config.fault import Fault
from signer.config.journal_url import journal_address
from signer.config.key_sources import key_locations
from signer.config.production import find_faults, find_warnings
from signer.config.sections import Config
from signer.config.tls_checks import find_tls_faults
from signer.crypto.bls import load
from signer.errors import BEGIN_OR_PUT_BACK, ConfigError, DataDirectoryInUseError, SignerError
from signer.operations.examine.disk import (
    examine_file_system,
    examine_free_space,
    examine_fsync,
    examine_head_directory,
)
from signer.operations.examine.finding import Finding, Grade, fault
from signer.operations.examine.key_files import examine_key_files, examine_public_test_keys
from signer.operations.examine.machine import (
    examine_clock,
    examine_master_key,
    examine_memory,
    examine_open_files,
    examine_port,
)
from signer.operations.examine.record import examine_record
from signer.operations.examine.shared_record import examine_shared_record
from signer.operations.examine.standing_keys import frozen_keys, moved_keys, waiting_keys
from signer.operations.record import Places
from signer.operations.shared_record import NOT_CONNECTED, SharedPlaces
from signer.units import Epoch, Root

Examination = Callable[[], Iterable[Finding]]

STYLES = {Grade.OK: "green", Grade.WARNING: "yellow", Grade.FAULT: "bold red", Grade.SKIPPED: "dim"}
"""Colours on a terminal."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(context: typer.Context) -> int:
    """Examine configuration, disk, database, keys, clock, ports and limits, and say what to fix.

    Changes nothing; asks the running server where there is one. Exit code 1 when something is wrong; a warning is not.

    For example:

    - `holdfast doctor --config /etc/holdfast/holdfast.yaml`
    - `holdfast doctor --config holdfast.yaml --json`
    """
    session = session_of(context)
    if session.options.endpoint is not None:
        raise UsageFault("doctor examines this machine", remedy="run it where the signer runs, without --endpoint")
    config = session.load_config(files_must_exist=False)
    findings: list[Finding] = []
    examinations = _examinations(session, config)
    with session.output.progress("examining") as advance:
        for number, examine in enumerate(examinations):
            advance(number, len(examinations))
            findings += examine()
    _show(session, findings)
    return EXIT_REFUSED if any(each.grade is Grade.FAULT for each in findings) else 0


def _examinations(session: Session, config: Config) -> list[Examination]:
    server = session.find_server()
    strict = config.check_exposure
    directory = config.storage.data_directory
    keys = config.keys
    found: list[Examination] = [lambda: _configuration(config)]
    if directory.is_dir():
        found += [
            lambda: [examine_file_system(directory, strict=strict), examine_free_space(directory)],
            lambda: [examine_fsync(directory)],
        ]
    else:
        found.append(lambda: [_missing_directory(config)])
    found.append(lambda: [examine_head_directory(config.storage.head_file, data_directory=directory)])
    if config.journal.url.is_shared:
        found.append(lambda: _shared_database(config, running=server is not None))
    if server is not None:
        found.append(lambda: _of_the_server(server))
    else:
        found += [
            lambda: [] if config.journal.url.is_shared else _database(config),
            lambda: [examine_master_key(config.storage.master_key.key_file, config.storage.master_key.password_file)],
            lambda: [
                examine_key_files(
                    config_directory=keys.config_directory,
                    keystores=keys.keystores_directory,
                    passwords=keys.passwords_directory or keys.password_file,
                    strict=keys.strict,
                )
            ],
        ]
        if config.refuse_public_test_keys:
            found.append(lambda: [examine_public_test_keys(key_locations(keys), load())])
    found += [
        lambda: [_clock(config)],
        lambda: _ports(config, ours=server is not None),
        lambda: [examine_open_files(connections=config.server.max_connections), examine_memory()],
    ]
    return found


def _configuration(config: Config) -> Iterator[Finding]:
    try:
        faults = (*find_faults(config), *find_tls_faults(config))
        warnings = find_warnings(config)
    except ConfigError as error:
        yield fault("configuration", f"{error.sentence} ({error.where})", remedy=error.remedy)
        return
    for each in faults:
        yield _of_fault(each, Grade.FAULT)
    for each in warnings:
        yield _of_fault(each, Grade.WARNING)
    if not faults:
        source = str(config.file) if config.file else "no file"
        yield Finding("configuration", Grade.OK, f"{source}, preset {config.preset}: nothing stops the start")


def _of_fault(found: Fault, grade: Grade) -> Finding:
    return Finding("configuration", grade, f"{found.sentence} ({found.where})", found.remedy, {"key": found.key})


def _missing_directory(config: Config) -> Finding:
    return fault(
        "data directory",
        f"there is no {config.storage.data_directory}",
        remedy=f"{BEGIN_OR_PUT_BACK}; or correct storage.data_directory",
    )


def _database(config: Config) -> Iterator[Finding]:
    try:
        places = Places(config.storage.data_directory, config.storage.head_file)
        epoch, network = _present(config)
        yield from examine_record(places, may_begin=config.may_begin_record, epoch=epoch, network=network)
    except DataDirectoryInUseError as error:
        yield fault(
            "database",
            f"{error.sentence}; but nobody answers at {config.server.admin_socket}",
            remedy="the signer may be starting or stopping: try again; otherwise look at its log",
        )


def _shared_database(config: Config, *, running: bool) -> Iterator[Finding]:
    journal, storage = config.journal, config.storage
    try:
        address = journal_address(journal.url, journal.password_file)
    except ConfigError as error:
        yield fault("database", error.sentence, remedy=error.remedy)
        return
    places = SharedPlaces(address, storage.data_directory, storage.head_file)
    epoch, network = _present(config)
    yield from examine_shared_record(
        places,
        shown=str(journal.url),
        may_begin=config.may_begin_record,
        running=running,
        epoch=epoch,
        network=network,
    )


def _present(config: Config) -> tuple[Epoch | None, Root | None]:
    """The epoch by this machine's clock, and the chain; None where the network's files do not tell."""
    try:
        network = read_network(config.network)
    except (SignerError, OSError, UnicodeDecodeError):
        return None, None
    return network.epoch_at(SystemClock().now()), network.genesis_validators_root


def _of_the_server(server: RemoteService) -> Iterator[Finding]:
    try:
        status = server.status()
    except SignerError as error:
        yield fault("server", error.sentence, remedy=find_remedy(error) or "look at the server's log")
        return
    ready = bool(status.get("ready"))
    yield Finding(
        "server",
        Grade.OK if ready else Grade.WARNING,
        f"version {status.get('version')} runs for {status.get('network')}"
        + ("" if ready else "; it is still loading keys"),
    )
    journal = _flat(status.get("journal"))
    if journal.get("state") == "stopped":
        yield Finding("database", Grade.FAULT, "its writer has stopped: nothing is signed", "see the log", journal)
    elif journal.get("state") == NOT_CONNECTED:
        sentence = "the running server has no connection to its database: nothing is signed until it has one again"
        yield Finding("journal", Grade.FAULT, sentence, "start PostgreSQL; the signer needs no restart", journal)
    elif "instance" in journal:
        yield Finding("journal", Grade.OK, "the running server takes commands", figures=journal)
    else:
        yield Finding("database", Grade.OK, "the running server holds it", figures=journal)
    keys = _flat(status.get("keys"))
    errors = keys.get("errors") or 0
    sentence = f"{keys.get('loaded')} keys are loaded, {errors} files could not be"
    remedy = "the server's log names each file: repair it, then `POST /reload`" if errors else ""
    yield Finding("keys", Grade.WARNING if errors else Grade.OK, sentence, remedy, keys)
    yield from frozen_keys(_flat(status.get("frozen")))
    yield from _moved_away(server)
    yield from waiting_keys(_flat(status.get("quarantine")))


def _moved_away(server: RemoteService) -> Iterator[Finding]:
    """Keys that sign somewhere else."""
    try:
        moved = sum(MOVED_AWAY in each.silent for each in server.keys())  # noqa: SIM118 - no mapping
    except SignerError:  # told before: the server, or its database
        return
    yield from moved_keys(moved)


def _flat(value: Any) -> Mapping[str, str | int | float | None]:
    """The members of an object that are figures."""
    members = value.items() if isinstance(value, dict) else ()
    return {name: each for name, each in members if isinstance(each, str | int | float | None)}


def _clock(config: Config) -> Finding:
    source = parse_clock_source(config.clock.source, limit_seconds=config.clock.max_offset_seconds)
    return examine_clock(source, strict=config.check_clock)


def _ports(config: Config, *, ours: bool) -> Iterator[Finding]:
    yield examine_port("port", host=config.server.host, port=config.server.port, ours=ours)
    if config.metrics.enabled:
        yield examine_port("metrics port", host=config.metrics.host, port=config.metrics.port, ours=ours)


def _show(session: Session, findings: list[Finding]) -> None:
    wrong = [each for each in findings if each.grade is Grade.FAULT]
    session.output.document({"ok": not wrong, "findings": [asdict(each) for each in findings]})
    session.output.table(
        ("", "what", "found", "what to do"),
        [(each.grade.value, each.subject, each.sentence, each.remedy) for each in findings],
        styles=[STYLES[each.grade] for each in findings],
    )
    session.output.line()
    if wrong:
        session.output.line(f"{len(wrong)} of {len(findings)} things are wrong.", style="bold red")
    elif warnings := sum(each.grade is Grade.WARNING for each in findings):
        session.output.line(f"Nothing stops the signer; warnings above: {warnings}.", style="yellow")
    else:
        session.output.line("Nothing is wrong.", style="green")
