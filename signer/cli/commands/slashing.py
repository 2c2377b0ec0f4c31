"""`holdfast slashing`: take the record away, bring one in, accept a restored one."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from signer.cli.commands import slashing_record
from signer.cli.commands.context import session_of
from signer.cli.commands.slashing_import import import_
from signer.cli.output import Advance
from signer.cli.problem import EXIT_REFUSED, UsageFault
from signer.cli.session import Session
from signer.durable import stream_durably
from signer.operations.restore import RestorePlan

STANDARD_OUTPUT = Path("-")
"""The file name that means standard output."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The slashing protection record (EIP-3076).", no_args_is_help=True)
    group.command("export")(export)
    group.command("import")(import_)
    group.command("accept-restore")(accept_restore)
    slashing_record.add_to(group)
    app.add_typer(group, name="slashing")


def export(
    context: typer.Context,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="Where to write; `-` is standard output.")],
) -> None:
    """Write the whole record as an EIP-3076 document, for another signer or for keeping.

    Stop signing here before another signer starts with it: a vote given after the export is not in it.

    For example:

    - `holdfast slashing export --to protection.json`
    - `holdfast slashing export --to - --endpoint https://signer:9000 --token-file token --ca ca.pem`
    """
    session = session_of(context)
    if session.options.as_json and to == STANDARD_OUTPUT:
        raise UsageFault("--json and --to - both write to standard output", remedy="name a file, or leave --json out")
    with session.service() as service, session.output.progress("exporting") as advance:
        if to == STANDARD_OUTPUT:
            for piece in service.export_slashing():
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            return
        # Written whole or not at all: half a record is a history with holes.
        stream_durably(to, _counted(service.export_slashing(), advance), private=True)
    size = to.stat().st_size
    session.output.document({"file": str(to), "bytes": size})
    session.output.line(f"{to}: {size} bytes")


def accept_restore(
    context: typer.Context,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Accept without being asked.")] = False,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway",
            help="Raise the floors though nothing seems lost: after a whole data directory or machine was restored.",
        ),
    ] = False,
) -> int:
    """Accept a database that went back in time, so that the signer starts with it again.

    The signatures given since are not on record any more. So every floor is raised above what may have been lost:
    nothing at or below it is signed, and some duties will be missed until the chain has passed it.
    """
    session = session_of(context)
    if session.options.endpoint is not None:
        raise UsageFault("a restore is accepted where the data directory is", remedy="leave --endpoint out")
    config = session.load_config()
    plan = session.host.plan_restore(config, anyway=anyway)
    if plan is None:
        session.output.document({"accepted": False, "reason": "nothing is lost"})
        session.output.line("The database agrees with its head file: there is nothing to accept.")
        return 0
    session.output.notice(_explanation(plan))
    if not yes and not _agreed(session):
        session.output.notice("nothing was changed")
        return EXIT_REFUSED
    session.host.accept_restore(config, plan)
    session.output.document({"accepted": True, "floor_epoch": plan.floor_epoch, "floor_slot": plan.floor_slot})
    session.output.line(f"accepted: nothing is signed up to epoch {plan.floor_epoch} and slot {plan.floor_slot}")
    return 0


def _counted(pieces: Iterator[bytes], advance: Advance) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        done += len(piece)
        advance(done, 0)
        yield piece


def _explanation(plan: RestorePlan) -> str:
    lost = "an unknown number of" if plan.lost_entries is None else str(plan.lost_entries)
    return (
        f"{plan.reason}\n"
        f"The database holds {plan.database_entries} decisions; {lost} later ones are missing.\n"
        f"Accepting raises the floors of all keys, {plan.validators} of them on record: no attestation up to epoch"
        f" {plan.floor_epoch} and no block up to slot {plan.floor_slot} will be signed.\n"
        "Before you accept, make sure that\n"
        "  - no other signer holds these keys, and none will;\n"
        "  - no newer copy of the database exists: restoring that is better."
    )


def _agreed(session: Session) -> bool:
    if session.options.as_json or not sys.stdin.isatty():
        raise UsageFault("nobody is there to be asked", remedy="read what was said, then repeat with --yes")
    return typer.confirm("Accept the restored database?")
