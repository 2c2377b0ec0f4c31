"""`holdfast policy`: policies, from an empty folder to the signer."""

import typer

from signer.cli.commands import policy_authoring, policy_inspect, policy_testing, policy_trying


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Policies: what may be signed.", no_args_is_help=True)
    for commands in (policy_authoring, policy_testing, policy_trying, policy_inspect):
        commands.add_to(group)
    app.add_typer(group, name="policy")
