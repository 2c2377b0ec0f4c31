"""`holdfast init`: everything a new signer needs, made once and never overwritten."""

import shlex
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from signer.cli.commands.context import session_of
from signer.cli.demo_request import curl_line, randao_request
from signer.cli.first_configuration import TOKEN_PRINCIPAL, first_configuration
from signer.cli.problem import UsageFault
from signer.cli.session import Session
from signer.config.journal_url import journal_address
from signer.config.key_sources import key_locations
from signer.config.load import load_config
from signer.config.sections import Config, Preset
from signer.config.show import show
from signer.crypto.bls import load
from signer.errors import DataDirectoryInUseError, StartupError
from signer.eth2.builtin_networks import find_network
from signer.operations.examine.key_files import count_listed_keys
from signer.operations.record import Places
from signer.operations.set_up import (
    Step,
    ensure_demo_key,
    ensure_directory,
    ensure_file,
    ensure_head_directory,
    ensure_key_directory,
    ensure_master_key,
    ensure_record,
    ensure_shared_record,
    ensure_token,
)
from signer.operations.shared_record import SharedPlaces
from signer.units import PublicKey

CONFIGURATION_FILE = "holdfast.yaml"
"""The name in the data directory, where --config names no other."""

NAME = "holdfast"
"""The console command."""

TOKEN_FILE = "api-token"  # noqa: S105  # a file's name, not a secret
"""The name in the data directory."""

FIRST_PRINCIPAL = {
    "security.principals": [{"name": TOKEN_PRINCIPAL, "token_file": TOKEN_FILE, "password_file": TOKEN_FILE}]
}
"""What the file will say of the token: settings that need a principal are no contradiction then."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    context: typer.Context,
    *,
    demo: Annotated[
        bool, typer.Option("--demo", help="Also make a validator key for trying out, and print a request for it.")
    ] = False,
) -> None:
    """Make the data directory, a master key, an API token, an empty slashing record and a configuration file.

    What is there already is kept, so it can be run again. Everything is made for its owner alone. A configuration
    that is there says where; a command line that says otherwise is refused.

    For example:

    - `holdfast init --data-directory /var/lib/holdfast --config /etc/holdfast/holdfast.yaml`
    - `holdfast init --preset development --data-directory data --demo`
    - `holdfast init --data-directory data --set storage.master_key.password_file=/run/secrets/password`
    """
    session = session_of(context)
    if session.options.endpoint is not None:
        raise UsageFault("a signer is set up where it will run", remedy="leave --endpoint out")
    planned, file = _plan(session)
    if demo and planned.preset is Preset.PRODUCTION:
        raise UsageFault("a demonstration key has no place in production", remedy="add --preset development")
    try:
        steps, config, begun = _make(session, planned, file)
        shown = ensure_demo_key(config.keys.config_directory, load()) if demo else None
    except OSError as error:
        raise StartupError(
            f"{error.filename or planned.storage.data_directory} cannot be made: {error.strerror or error}",
            remedy="run it as the user that will run the signer, and check the directory's owner and mode",
        ) from error
    if shown is not None:
        steps.append(shown[0])
    _show(session, config, file, steps, shown[1] if shown else None)
    if begun and not demo:
        _warn_of_listed_keys(session, config)


def _plan(session: Session) -> tuple[Config, Path]:
    """The configuration as it is or will be, and the file that is or will be its home."""
    named = session.options.config
    if named is None or not named.exists():
        wanted = session.load_config_from(None, files_must_exist=False, unless_said=FIRST_PRINCIPAL)
        file = (named or wanted.storage.data_directory / CONFIGURATION_FILE).absolute()
        if not file.exists():
            return wanted, file
    else:
        file = named.absolute()
    kept = load_config(file, environ=session.environ, flags={}, files_must_exist=False)
    _refuse_contradiction(session, kept, file)
    return kept, file


def _refuse_contradiction(session: Session, kept: Config, file: Path) -> None:
    """The file is not rewritten, and what is made is where the file says: a line that says otherwise means neither."""
    in_file = {each.key: each.value for each in show(kept)}
    on_line = {each.key: each.value for each in show(session.load_config_from(file, files_must_exist=False))}
    differing = [key for key in {**in_file, **on_line} if in_file.get(key) != on_line.get(key)]
    if not differing:
        return
    # What follows from a named key (the paths in a data directory) needs no naming.
    named = [key for key in differing if key == "preset" or key in session.flags()] or differing
    said = "; ".join(f"{key} is {in_file.get(key)} there and {on_line.get(key)} on this command line" for key in named)
    raise UsageFault(
        f"{file} is there and says otherwise: {said}",
        remedy=f"write {', '.join(named)} into that file, or leave it off this line; nothing was made",
    )


def _make(session: Session, planned: Config, file: Path) -> tuple[list[Step], Config, bool]:
    """What was made, the configuration that is used, and whether a record was begun with nothing on it."""
    directory = planned.storage.data_directory
    token = directory / TOKEN_FILE
    steps = [ensure_directory(directory, "data directory")]
    fresh = not file.exists()
    if fresh or any(each.token_file == token for each in planned.security.principals):
        steps.append(ensure_token(token))
    text = first_configuration(planned, token_file=token)
    file.parent.mkdir(parents=True, exist_ok=True)
    steps.append(ensure_file(file, "configuration", text.encode()))
    # Read back: what is made from here on is where the file will say it is.
    config = load_config(file, environ=session.environ, flags={}, files_must_exist=False)
    steps.append(ensure_key_directory(config.keys.config_directory))
    manager = config.key_manager
    if manager.token_file is not None and manager.token_sha256 is None and (fresh or manager.enabled):
        steps.append(ensure_token(manager.token_file, what="key manager's token"))
    master = config.storage.master_key
    if master.password_file is None:
        steps.append(ensure_master_key(master.key_file))
    places = _places(config)
    if places.head_file.parent != places.data_directory:
        steps.append(ensure_head_directory(places.head_file))
    record, begun = _record(session, config, places)
    return steps + record, config, begun


def _record(session: Session, config: Config, places: Places) -> tuple[list[Step], bool]:
    journal = config.journal
    if journal.url.is_shared:
        address = journal_address(journal.url, journal.password_file)
        shared = SharedPlaces(address, places.data_directory, places.head_file)
        step, validators = ensure_shared_record(shared, shown=str(journal.url))
        if step.made and validators:
            session.output.notice(
                f"the database was Web3Signer's and is adopted as it stands: {validators} validators are on record"
            )
        return [step], step.made and not validators
    # A record that is in use is there: nothing has to be made.
    with suppress(DataDirectoryInUseError):
        step = ensure_record(places, vault_directory=config.storage.vault_directory)
        return [step], step.made
    return [], False


def _places(config: Config) -> Places:
    return Places(config.storage.data_directory, config.storage.head_file)


def _warn_of_listed_keys(session: Session, config: Config) -> None:
    """An empty record was begun beside keys: for a signer that has signed before, that is a lost record."""
    listed = count_listed_keys(key_locations(config.keys))
    if listed:
        session.output.notice(
            f"keys are already configured here ({listed}), and the slashing record is new and empty: if they have"
            " signed before, import their slashing data before you start (or mount the disk that holds the record)"
        )


def _show(session: Session, config: Config, file: Path, steps: list[Step], demo_key: PublicKey | None) -> None:
    curl = None if demo_key is None else _curl(config, demo_key)
    session.output.document(
        {
            "configuration": str(file),
            "steps": [{"what": step.what, "path": str(step.path), "made": step.made} for step in steps],
            "demo": None if demo_key is None else {"public_key": "0x" + demo_key.hex(), "curl": curl},
        }
    )
    session.output.table(
        ("", "what", "where"),
        [("made" if step.made else "kept", step.what, str(step.path)) for step in steps],
    )
    session.output.line()
    session.output.line(f"Start it:     {_program()} serve --config {file}")
    session.output.line(f"Examine it:   {_program()} doctor --config {file}")
    if demo_key is not None:
        words = curl or "with a request of your own client"
        session.output.line(f"Have it sign: {words}")


def _program() -> str:
    """How this program was called: it need not be where a shell looks."""
    called = Path(sys.argv[0])
    return shlex.quote(str(called)) if called.name == NAME else NAME


def _curl(config: Config, public_key: PublicKey) -> str | None:
    """None where the request would need what only the operator knows: the network's genesis, a client certificate."""
    network = None if config.network.config_file else find_network(config.network.name)
    body = randao_request(network, seconds=time.time()) if network else None
    if body is None or config.server.tls.enabled:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(config.server.host, config.server.host)  # noqa: S104  # "all of them" is not an address to call
    return curl_line(
        url=f"http://{host}:{config.server.port}",
        public_key=public_key,
        body=body,
        token_file=config.storage.data_directory / TOKEN_FILE if config.security.require_authentication else None,
    )
