"""`holdfast slashing`: take the record away, bring one in, accept a restored one."""

import sys
from typing import Annotated

import typer

from signer.cli.commands import slashing_record
from signer.cli.commands.context import session_of
from signer.cli.commands.slashing_export import export
from signer.cli.commands.slashing_import import import_
from signer.cli.problem import EXIT_REFUSED, UsageFault
from signer.cli.session import Session
from signer.operations.restore import RestorePlan


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The slashing protection record (EIP-3076).", no_args_is_help=True)
    group.command("export")(export)
    group.command("import")(import_)
    group.command("accept-restore")(accept_restore)
    slashing_record.add_to(group)
    app.add_typer(group, name="slashing")


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
    away = ["0x" + key.hex() for key in plan.stays_away]
    session.output.document(
        {"accepted": True, "floor_epoch": plan.floor_epoch, "floor_slot": plan.floor_slot, "stays_away": away}
    )
    session.output.line(f"accepted: nothing is signed up to epoch {plan.floor_epoch} and slot {plan.floor_slot}")
    return 0


def _explanation(plan: RestorePlan) -> str:
    away = [f"  0x{key.hex()}\n" for key in plan.stays_away]
    moved = (
        f"These keys moved out after the copy was made, and stay out of service ({len(away)} of them; `holdfast migrate"
        f" undo` takes them back, `holdfast migrate in` brings them from where they are):\n{''.join(away)}"
        if away
        else ""
    )
    lost = "an unknown number of" if plan.lost_entries is None else str(plan.lost_entries)
    return (
        f"{plan.reason}\n"
        f"The database holds {plan.database_entries} decisions; {lost} later ones are missing.\n"
        f"Accepting raises the floors of all keys, {plan.validators} of them on record: no attestation up to epoch"
        f" {plan.floor_epoch} and no block up to slot {plan.floor_slot} will be signed.\n"
        f"{moved}"
        "Before you accept, make sure that\n"
        "  - no other signer holds these keys, and none will;\n"
        "  - no newer copy of the database exists: restoring that is better."
    )


def _agreed(session: Session) -> bool:
    if session.options.as_json or not sys.stdin.isatty():
        raise UsageFault("nobody is there to be asked", remedy="read what was said, then repeat with --yes")
    return typer.confirm("Accept the restored database?")
