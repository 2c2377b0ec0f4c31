"""What the commands share that give orders about keys: how keys are named, and what became of each."""

from collections.abc import Sequence
from typing import Annotated

import typer

from signer.cli.answers import OrderedKey
from signer.cli.problem import UsageFault
from signer.cli.session import Session
from signer.errors import MalformedRequestError
from signer.operations.freeze_keys import parse_public_keys
from signer.units import PublicKey

KeysArgument = Annotated[
    list[str], typer.Argument(metavar="KEY...", help="Public keys, as `holdfast keys list` shows.")
]


def named_keys(keys: Sequence[str]) -> tuple[PublicKey, ...]:
    """The keys, each once. Raises UsageFault: a mistake is told before anybody is asked."""
    try:
        return parse_public_keys(keys)
    except MalformedRequestError as error:
        raise UsageFault(error.sentence, remedy="`holdfast keys list` shows the keys") from error


def show_orders(session: Session, done: Sequence[OrderedKey]) -> None:
    """One line for each key."""
    session.output.table(("status", "public key", ""), [(each.status, each.public_key, each.message) for each in done])
