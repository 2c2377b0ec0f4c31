"""`holdfast policy`: policies, from an empty folder to the signer."""

import typer

from signer.cli.commands import (
    policy_authoring,
    policy_inspect,
    policy_on_record,
    policy_replay,
    policy_serving,
    policy_testing,
    policy_trying,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Policies: what may be signed.", no_args_is_help=True)
    authoring = (policy_authoring, policy_testing, policy_trying, policy_inspect)
    for commands in (*authoring, policy_serving, policy_on_record, policy_replay):
        commands.add_to(group)
    app.add_typer(group, name="policy")
