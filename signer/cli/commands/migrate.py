"""`holdfast migrate`: give keys to another signer, or take them over, with their history and a receipt."""

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from signer.cli.answers import MOVED_AWAY
from signer.cli.commands.context import session_of
from signer.cli.parcel import find_parcel, prepare_parcel
from signer.cli.problem import UsageFault
from signer.cli.service import Service
from signer.errors import MalformedRequestError, SignerError
from signer.operations.freeze_keys import ALL, parse_keys


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Move validators to another signer, and from one.", no_args_is_help=True)
    group.command("out")(out)
    group.command("in")(in_)
    group.command("undo")(undo)
    app.add_typer(group, name="migrate")


def out(
    context: typer.Context,
    keys: Annotated[list[str] | None, typer.Argument(metavar="[KEY...]", help="Public keys.")] = None,
    *,
    to: Annotated[Path, typer.Option("--to", metavar="DIRECTORY", help="Where receipt and history are written.")],
    everything: Annotated[bool, typer.Option("--all", help="All keys that are loaded.")] = False,
) -> None:
    """Sign nothing more with these keys, and write their history and a receipt for the signer that takes over.

    The keys are disabled first, durably and on every signer of this record: from then on they sign nothing here, and
    the history is complete. If anything fails after that, give the same command again. For keys that have left it
    writes another receipt of the same move: use one of them, once, and destroy the others.

    For example:

    - `holdfast migrate out --all --to /root/parcel --config holdfast.yaml`
    - `holdfast migrate out 0x93247f22... --to parcel`
    """
    session = session_of(context)
    wanted = _wanted(keys, everything=everything)
    parcel = prepare_parcel(to)
    try:
        with session.service(load_keys=True) as service, session.output.progress("leaving"):
            gone = _gone_before(service)
            departure = service.migrate_out(wanted, parcel)
    except BaseException:  # an interrupt too
        parcel.abandon()
        raise
    again = [key for key in departure.keys if key in gone]
    session.output.document({"directory": str(to), **asdict(departure), "left_before": again})
    session.output.table(("disabled here", ""), [(key, "") for key in departure.keys])
    session.output.line(f"{to}: {parcel.receipt.name} and {parcel.history.name}, signed by {departure.signed_by}")
    session.output.notice(
        f"Carry {to} to the new signer and run there: holdfast migrate in {to.name} --signed-by {departure.signed_by}"
    )
    if again:
        session.output.notice(
            f"warning: {len(again)} of these keys had left before, the first {again[0]}: this is another receipt of"
            " the same move. Two signers that take one each both sign: destroy every earlier one that was not used, and"
            " use none if one was"
        )


def in_(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(help="What `holdfast migrate out` wrote.")],
    *,
    signed_by: Annotated[
        str | None, typer.Option("--signed-by", metavar="0x...", help="Whose receipt it must be, as `out` showed it.")
    ] = None,
) -> None:
    """Take over the keys of a receipt with their history: they sign here at once, without quarantine.

    Nothing is taken of a receipt that was changed, is of another network, or was used here before. The keystores
    themselves come as before, with `holdfast keys import`; before or after this.

    For example:

    - `holdfast migrate in parcel --config holdfast.yaml`
    """
    session = session_of(context)
    parcel = find_parcel(directory)
    with session.service() as service, session.output.progress("taking over"):
        arrival = service.migrate_in(parcel, signed_by=signed_by)
    session.output.document(asdict(arrival))
    session.output.table(("signs here", ""), [(key, "") for key in arrival.keys])
    session.output.line(f"{len(arrival.keys)} keys taken over; the receipt {arrival.receipt} is of {arrival.signed_by}")


def undo(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(help="What `holdfast migrate out` wrote here.")],
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept in the audit log.")],
    nothing_else_signs: Annotated[
        bool,
        typer.Option(
            "--nothing-else-signs",
            help="Your word that no other signer has begun with these keys, or ever will by this receipt.",
        ),
    ] = False,
) -> None:
    """Take keys back that have left, where the new signer never began: they sign here again.

    Nobody here can know whether the receipt was used, so it is your word that counts: look at the new signer first
    (`holdfast keys list`), and at the chain. If the keys did sign there, have that signer give them back instead
    (`holdfast migrate out` there, `holdfast migrate in` here). Where new keys wait in quarantine, these sign nothing up
    to the furthest epoch that the other signer can have signed by now. Destroy every copy of the receipt.

    For example:

    - `holdfast migrate undo parcel --reason "the new machine never started" --nothing-else-signs`
    """
    session = session_of(context)
    if not nothing_else_signs:
        raise UsageFault(
            "a move is undone only on your word that nothing else signs with these keys",
            remedy="look at the new signer and at the chain; then add --nothing-else-signs",
        )
    parcel = find_parcel(directory)
    with session.service() as service, session.output.progress("taking back"):
        undone = service.migrate_undo(parcel, reason=reason)
    kept = parcel.retire()
    session.output.document({**asdict(undone), "receipt_file": str(kept)})
    session.output.table(("signs here again", ""), [(key, "") for key in undone.keys])
    if undone.floor_epoch is not None:
        session.output.line(
            f"No vote is signed up to epoch {undone.floor_epoch}: the other signer may have got so far."
        )
    session.output.notice(
        f"The receipt is {kept} now. Destroy every other copy of it, and every other receipt that `holdfast migrate"
        " out` wrote since these keys left: each could be used elsewhere"
    )


def _gone_before(service: Service) -> frozenset[str]:
    """The loaded keys that have left; none where the caller may not ask."""
    with suppress(SignerError):
        listed = service.keys()
        return frozenset(each.public_key for each in listed if MOVED_AWAY in each.silent)
    return frozenset()


def _wanted(keys: list[str] | None, *, everything: bool) -> list[str]:
    if everything is bool(keys):
        raise UsageFault("name public keys, or --all, and not both", remedy="`holdfast keys list` shows the keys")
    if everything:
        return [ALL]
    try:
        parsed = parse_keys(keys or ())
    except MalformedRequestError as error:
        raise UsageFault(error.sentence, remedy="`holdfast keys list` shows the keys") from error
    if not all(parsed):
        raise UsageFault(f"`{ALL}` is no public key", remedy="write --all")
    return list(keys or ())
