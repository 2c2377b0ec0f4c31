"""`holdfast audit`: the log of every decision."""

from dataclasses import asdict

import typer

from signer.cli.commands.context import session_of


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The log of every decision.", no_args_is_help=True)
    group.command("verify")(verify)
    app.add_typer(group, name="audit")


def verify(context: typer.Context) -> None:
    """Walk the whole audit log: every entry can be read, none is missing, and its chain of hashes holds.

    Exit code 1 at the first fault, which is told with its place.

    For example:

    - `holdfast audit verify --config holdfast.yaml`
    - `holdfast audit verify --endpoint https://signer:9000 --token-file token --ca ca.pem --json`
    """
    session = session_of(context)
    with session.service() as service, session.output.progress("verifying"):
        verified = service.verify_audit()
    session.output.document({"verified": True, **asdict(verified)})
    session.output.line(f"{verified.entries} entries verify; the head is {verified.head}")
