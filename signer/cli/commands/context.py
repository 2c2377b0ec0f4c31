"""How a command finds its session."""

import typer

from signer.cli.session import Session


def session_of(context: typer.Context) -> Session:
    """The session that the global options made."""
    session = context.find_root().obj
    if not isinstance(session, Session):
        raise TypeError("a command runs below the global options")
    return session
