"""`holdfast keys`: what is loaded, and bringing keystores in."""

import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from signer.cli.answers import ListedKey
from signer.cli.commands import key_preferences, key_removal, key_tags
from signer.cli.commands.context import session_of
from signer.cli.commands.ordered_keys import KeysArgument, named_keys, show_orders
from signer.cli.problem import EXIT_REFUSED, UsageFault
from signer.cli.remote_service import RemoteService
from signer.cli.session import Session
from signer.config.key_sources import master_key
from signer.config.state import MasterKeySettings
from signer.crypto.bls import load
from signer.errors import UnreadableFileError
from signer.operations.import_keystores import ImportedKeystore, import_keystores
from signer.operations.keystore_layouts import find_keystores
from signer.operations.rewrap_keys import rewrap_keys
from signer.operations.set_up import ensure_key_directory, ensure_master_key

POLL_SECONDS = 0.2
"""How often a running reload is looked at."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The validator keys.", no_args_is_help=True)
    group.command("list")(list_keys)
    group.command("import")(import_)
    group.command("tag")(key_tags.tag)
    group.command("release")(release)
    group.command("rewrap")(rewrap)
    group.command("delete")(key_removal.delete)
    group.command("allow")(key_removal.allow)
    group.command("set")(key_preferences.set_)
    group.command("show")(key_preferences.show)
    app.add_typer(group, name="keys")


def list_keys(
    context: typer.Context,
    *,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", metavar="NAME", help="Only keys that bear this tag; given several times: all of them."),
    ] = None,
) -> None:
    """Every key that is loaded, sorted by public key, with its tags and why it signs nothing, if so.

    Where no server runs, the key files are loaded for this listing.

    For example:

    - `holdfast keys list --config holdfast.yaml`
    - `holdfast keys list --tag lido --config holdfast.yaml`
    - `holdfast keys list --endpoint https://signer:9000 --token-file token --ca ca.pem --json`
    """
    session = session_of(context)
    with session.service(load_keys=True) as service, session.output.progress("asking for the keys"):
        listed = service.keys()
    keys = [key for key in listed if set(tag or ()) <= set(key.tags)]
    session.output.document({"keys": [asdict(key) for key in keys]})
    session.output.table(
        ("public key", "namespace", "origin", "derivation path", "tags", "state"),
        [
            (
                key.public_key,
                key.namespace,
                key.origin,
                key.derivation_path or "",
                " ".join(key.tags),
                _state(key),
            )
            for key in keys
        ],
    )
    for key in keys:
        if key.quarantined_until_epoch is not None:
            session.output.notice(
                f"{key.public_key} is in quarantine until epoch {key.quarantined_until_epoch}"
                f" ({key.quarantined_until}): it came without slashing history. Import that (holdfast slashing import,"
                " holdfast migrate in), or, if"
                f" nothing else can sign with it: holdfast keys release {key.public_key}"
            )
    waiting = [key.public_key for key in keys if key.waits_from_start]
    if waiting:
        session.output.notice(
            f"{len(waiting)} keys came without slashing history, the first {waiting[0]}: with the signer's next start"
            " their quarantine begins (keys.quarantine_epochs). Import their history before it (holdfast slashing"
            " import, holdfast migrate in), and they do not wait"
        )
    if session.output.on_terminal:
        session.output.notice(f"{len(keys)} keys")


def _state(key: ListedKey) -> str:
    """What the key does not sign, in words; nothing where it signs all."""
    waits = ["quarantined"] if key.quarantined_until_epoch is not None else []
    will_wait = ["quarantined from its first start"] if key.waits_from_start else []
    return ", ".join([*key.silent, *waits, *will_wait])


def import_(
    context: typer.Context,
    keystores: Annotated[
        list[Path], typer.Argument(help="EIP-2335 keystores, or directories of them as validator clients keep them.")
    ],
    *,
    passwords: Annotated[
        Path | None,
        typer.Option(
            "--passwords",
            help="A file whose first line opens every keystore, or a directory with `NAME.txt` for each `NAME.json`, or"
            " with a file named as the directory of each keystore (`0x...`).",
        ),
    ] = None,
) -> int:
    """Open and check keystores, and copy them with their passwords into `keys.config_directory`.

    First stop every other signer of these keys, and import its record with `holdfast slashing import`: the same key in
    two places is how validators are slashed. A running server loads the new keys at once.

    Directories are read as the deposit tools, Prysm's backup and Teku fill them (`*.json`), as Lighthouse, Nimbus and
    Lodestar do (`0x...` with a keystore inside, `secrets/` with the passwords), and as Dirk does (wallets). What
    Lighthouse's `validator_definitions.yml` says is heard: where it has the passwords, --passwords is not needed, and a
    validator that it disables is skipped.

    For example:

    - `holdfast keys import validator_keys/ --passwords password.txt --config holdfast.yaml`
    - `holdfast keys import lighthouse/validators/ --passwords lighthouse/secrets/ --config holdfast.yaml`
    """
    session = session_of(context)
    if session.options.endpoint is not None:
        raise UsageFault("keys are imported where the signer's key files are", remedy="leave --endpoint out")
    config = session.load_config(files_must_exist=False)
    into = config.keys.config_directory
    files = find_keystores(keystores, passwords)
    if passwords is not None and not passwords.exists():
        raise UnreadableFileError(str(passwords), reason="there is no such file or directory (--passwords)")
    ensure_key_directory(into)
    imports = import_keystores(files, into=into, bls=load(), refuse_public_test_keys=config.refuse_public_test_keys)
    done: list[ImportedKeystore] = []
    with session.output.progress("opening keystores") as advance:
        for each in imports:
            done.append(each)
            advance(len(done), len(files))
    server = session.find_server() if any(each.outcome == "imported" for each in done) else None
    reload = _reload(session, server) if server else None
    _show(session, done, reload)
    failed = any(each.outcome == "failed" for each in done) or (reload and reload.get("status") == "failed")
    return EXIT_REFUSED if failed else 0


def release(context: typer.Context, keys: KeysArgument) -> int:
    """End the quarantine of keys: they sign votes and blocks at once. It is written into the audit log.

    A key waits that came without slashing history, so that another signer of it shows itself. Release it only if it has
    never signed, or if you know that nothing else can sign with it. If it has signed elsewhere, import that record
    instead: `holdfast slashing import`, or `holdfast migrate in`; either ends the wait.

    For example:

    - `holdfast keys release 0x93247f22... --config holdfast.yaml`
    """
    session = session_of(context)
    named_keys(keys)
    with session.service() as service, session.output.progress("releasing"):
        done = service.release(keys)
    session.output.document({"keys": [asdict(each) for each in done]})
    show_orders(session, done)
    return 0 if all(each.status == "released" for each in done) else EXIT_REFUSED


def rewrap(
    context: typer.Context,
    *,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="The new master key's file; made if it is not there.")
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="A file whose first line is the new password.")
    ] = None,
) -> None:
    """Let another master key, or a password, open the sealed keys; the one of the configuration opens them no more.

    Stop the signer first, and change `storage.master_key` in the configuration afterwards.

    For example:

    - `holdfast keys rewrap --password-file /run/secrets/password --config holdfast.yaml`
    """
    session = session_of(context)
    if session.options.endpoint is not None:
        raise UsageFault("the sealed keys are where the data directory is", remedy="leave --endpoint out")
    if (key_file is None) is (password_file is None):
        raise UsageFault("nothing says what shall open the keys", remedy="give --key-file or --password-file")
    config = session.load_config()
    storage = config.storage
    chosen = (key_file or password_file or Path()).absolute()
    # The default's place is of no weight where a password is named.
    new = MasterKeySettings(key_file=chosen, password_file=chosen if password_file is not None else None)
    if key_file is not None:
        ensure_master_key(chosen)
    rewrap_keys(
        storage.data_directory,
        vault_directory=storage.vault_directory,
        old=master_key(storage),
        new=master_key(replace(storage, master_key=new)),
    )
    setting = "key_file" if password_file is None else "password_file"
    session.output.document({"setting": f"storage.master_key.{setting}", "value": str(chosen)})
    session.output.line(f"The sealed keys open with {chosen} alone. Set storage.master_key.{setting}: {chosen}")


def _reload(session: Session, server: RemoteService) -> dict[str, Any]:
    """Let the running server load what was imported, and wait for it."""
    with session.output.progress("the server is loading"):
        _wait(server)  # for a reload that somebody else ordered: it may have looked before our files were there
        server.reload()
        return _wait(server)


def _wait(server: RemoteService) -> dict[str, Any]:
    while (status := server.reload_status()).get("status") == "running":
        time.sleep(POLL_SECONDS)
    return dict(status)


def _show(session: Session, done: list[ImportedKeystore], reload: dict[str, Any] | None) -> None:
    rows = [
        {"file": str(each.file), "outcome": each.outcome, "public_key": each.public_key, "error": each.error}
        for each in done
    ]
    session.output.document({"keystores": rows, "reload": reload})
    session.output.table(
        ("outcome", "public key", "file", ""),
        [(each.outcome, each.public_key or "", str(each.file), each.error or "") for each in done],
    )
    if not any(each.outcome == "imported" for each in done):
        session.output.line("Nothing was imported.")
    elif reload is None:
        session.output.line("No server runs: the keys are loaded at the next start.")
    else:
        session.output.line(f"The running server loaded its keys anew: {reload.get('status')}.")
        if reload.get("lastError"):
            session.output.notice(str(reload["lastError"]))
