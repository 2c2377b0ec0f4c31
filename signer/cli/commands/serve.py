"""`holdfast serve` and `holdfast version`."""

import typer

from signer.cli.commands.context import session_of


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.command()(version)


def serve(context: typer.Context) -> int:
    """Serve signatures until told to stop.

    For example:

    - `holdfast serve --config /etc/holdfast/holdfast.yaml`
    - `holdfast serve --preset development --set server.port=9100`
    """
    session = session_of(context)
    return session.host.serve(session.load_config())


def version(context: typer.Context) -> None:
    """The version of this program."""
    session = session_of(context)
    session.output.document({"name": "holdfast", "version": session.host.version()})
    session.output.line(f"holdfast {session.host.version()}")
