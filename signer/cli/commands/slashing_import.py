"""`holdfast slashing import`: show what would change, ask where somebody watches, merge, and tell of each validator."""

import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from signer.cli.answers import ImportedHistory, ToldFloors
from signer.cli.commands.context import session_of
from signer.cli.problem import EXIT_REFUSED, UsageFault, error_code
from signer.cli.service import Service
from signer.cli.session import Session
from signer.config.chain import read_network
from signer.errors import SignerError, UnusableHistoriesError
from signer.operations.examine.history import HistoryWarning, examine_history
from signer.operations.horizon import EARLY_EPOCHS
from signer.operations.protect import ImportOptions
from signer.units import ROOT_BYTES, Root

_COLUMNS = ("public key", "blocks added", "attestations added", "differing", "floors", "error")


def import_(
    context: typer.Context,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="An EIP-3076 document; Lighthouse's or Nimbus' SQLite file; or postgresql://USER@HOST/DATABASE,"
            " Web3Signer's. Of a stopped program.",
        ),
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Import the sound histories though others in the file are not.")
    ] = False,
    far_ahead: Annotated[
        bool, typer.Option("--far-ahead", help="Records further ahead of the clock than anything is signed are meant.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Import without being asked.")] = False,
    chain: Annotated[
        str | None,
        typer.Option(
            "--genesis-validators-root",
            metavar="0xHEX",
            help="The chain of a store that does not name it (Lighthouse's); the configured one by default.",
        ),
    ] = None,
) -> int:
    """Merge another signer's record into ours: all of the file, or nothing. Signing goes on meanwhile.

    What is on record stays on record; floors only rise, to the least record of the file or above. Stop the other signer
    before it is exported there. On a terminal each validator's changes are shown first, and you are asked.
    A validator whose records contradict each other is named in a warning. Records ahead of the clock might let it sign
    nothing until then, and that is never taken back: they are refused unless --far-ahead says that they are meant.

    An import that was interrupted holds its validators: they sign nothing up to the file's newest record that is not on
    record, until the same import is run again.

    A key that came without history waits in quarantine; a vote in the imported history ends its wait, which is told for
    each such key.

    Exit codes: 0 everything was imported (or, with --dry-run, could be); 1 something was not; 2 the command line or the
    configuration is at fault.

    For example:

    - `holdfast slashing import protection.json --dry-run --config holdfast.yaml`
    - `holdfast slashing import /var/lib/lighthouse/validators/slashing_protection.sqlite --config holdfast.yaml`
    - `PGPASSFILE=/root/.pgpass holdfast slashing import postgresql://web3signer@db/web3signer --config holdfast.yaml`
    """
    from signer.operations.other_stores.document import as_document  # another SQLite: not in a server's process

    session = session_of(context)
    with as_document(file, genesis_validators_root=_chain(session, chain)) as (document, program):
        if program is not None:
            session.output.notice(f"{file}: {program}'s store")
        warnings = _odd_histories(session, document)
        options = ImportOptions(partial=partial, dry_run=dry_run, far_ahead=far_ahead)
        with session.service() as service:
            asks = not (dry_run or yes or session.options.as_json) and sys.stdin.isatty()
            if asks and not _agreed(session, service, document, options):
                session.output.notice("nothing was changed")
                return EXIT_REFUSED
            validators = _merge(session, service, document, options)
    return _tell(session, validators, warnings, options)


def _merge(session: Session, service: Service, document: Path, options: ImportOptions) -> list[ImportedHistory]:
    """What was done. A refusal for single validators is raised, and names the first: the others are told before it."""
    with session.output.progress("reading" if options.dry_run else "importing"):
        try:
            return service.import_slashing(document, options)
        except SignerError as error:
            if error_code(error) != UnusableHistoriesError.code:
                raise
            preview = replace(options, dry_run=True)
            told = service.import_slashing(document, preview)
            session.output.document(_document(told, (), preview))
            if not session.options.as_json:
                _tell_faults(session, told, besides=error.sentence)
            raise


def _tell_faults(session: Session, validators: list[ImportedHistory], *, besides: str) -> None:
    for each in validators:
        sentence = f"{each.public_key}: {each.error}" if each.public_key else str(each.error)
        if each.error and sentence not in besides:
            whose = "" if each.public_key else "a validator without a readable key: "
            session.output.notice(whose + sentence)


def _agreed(session: Session, service: Service, document: Path, options: ImportOptions) -> bool:
    """Show what would change, and ask."""
    with session.output.progress("reading"):
        validators = service.import_slashing(document, replace(options, dry_run=True))
    _table(session, validators)
    _tell_ended_waits(session, validators, is_done=False)
    failed = sum(1 for each in validators if each.error)
    if failed and not options.partial:
        session.output.notice(f"{failed} histories cannot be used; without --partial nothing is imported")
        return False
    return typer.confirm(f"Import {len(validators) - failed} validators?")


def _tell(
    session: Session, validators: list[ImportedHistory], warnings: tuple[HistoryWarning, ...], options: ImportOptions
) -> int:
    refused = {each.public_key for each in validators if each.error}
    failed = sum(1 for each in validators if each.error)
    session.output.document(_document(validators, warnings, options))
    _table(session, validators)
    _tell_ended_waits(session, validators, is_done=not options.dry_run)
    if not session.options.as_json:
        for each in (one for one in warnings if one.public_key not in refused):
            session.output.notice(f"warning: {each.public_key}: {each.sentence}")
    done = "would be imported" if options.dry_run else "imported"
    session.output.line(f"{len(validators) - failed} validators {done}, {failed} refused")
    return EXIT_REFUSED if failed else 0


def _document(
    validators: list[ImportedHistory], warnings: tuple[HistoryWarning, ...], options: ImportOptions
) -> dict[str, Any]:
    return {
        "validators": [asdict(each) for each in validators],
        "failed": sum(1 for each in validators if each.error),
        "dry_run": options.dry_run,
        "warnings": [asdict(each) for each in warnings],
    }


def _tell_ended_waits(session: Session, validators: list[ImportedHistory], *, is_done: bool) -> None:
    """Name each key that waited in quarantine for this history. With `--json` the document says it."""
    if session.options.as_json:
        return
    ends = "has ended with this history: its votes and blocks are signed"
    if not is_done:
        ends = "would end with this history: its votes and blocks would be signed"
    for each in validators:
        if each.ends_quarantine:
            session.output.notice(f"{each.public_key}: its wait in quarantine {ends}")


def _table(session: Session, validators: list[ImportedHistory]) -> None:
    session.output.headed_table(
        _COLUMNS,
        [
            (
                each.public_key or "",
                str(each.blocks),
                str(each.attestations),
                str(each.differing),
                _rise(each.floors_before, each.floors_after),
                each.error or "",
            )
            for each in validators
        ],
    )


def _rise(before: ToldFloors | None, after: ToldFloors | None) -> str:
    """The floors in words: what they are, and what they were where that is something else."""
    if after is None:
        return ""
    held = ", held by an unfinished import" if after.held else ""
    was, now = _floors(before), _floors(after)
    return (now if before is None or was == now else f"{was} -> {now}") + held


def _floors(floors: ToldFloors | None) -> str:
    if floors is None:
        return "none"
    names = {"slot": floors.slot, "source": floors.source_epoch, "target": floors.target_epoch}
    return " ".join(f"{name} {value}" for name, value in names.items() if value is not None) or "none"


def _chain(session: Session, text: str | None) -> Root | None:
    """The chain that was named; else the configured one, where there is a configuration."""
    if text is not None:
        try:
            root = bytes.fromhex(text.removeprefix("0x"))
        except ValueError:
            root = b""
        if len(root) != ROOT_BYTES:
            raise UsageFault(
                "--genesis-validators-root takes 0x and 64 hex digits", remedy="copy it from the chain's data"
            )
        return Root(root)
    with suppress(SignerError):
        return read_network(session.load_config(files_must_exist=False).network).genesis_validators_root
    return None


def _odd_histories(session: Session, file: Path) -> tuple[HistoryWarning, ...]:
    """What is odd in the document, as far as this machine knows the chain."""
    network, ahead = None, EARLY_EPOCHS
    with suppress(SignerError):
        config = session.load_config(files_must_exist=False)
        ahead = max(ahead, config.clock.far_future_epochs or 0)
        network = read_network(config.network)
    with session.output.progress("reading"):
        return examine_history(file, network=network, now=time.time(), ahead_epochs=ahead)
