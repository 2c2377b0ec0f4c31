"""`holdfast keys set` and `holdfast keys show`: where a key's fees go, and what it asks of builders."""

from dataclasses import asdict
from typing import Annotated

import typer

from signer.cli.commands.context import session_of
from signer.cli.commands.ordered_keys import KeysArgument, named_keys
from signer.cli.problem import UsageFault
from signer.errors import MalformedRequestError
from signer.operations.keep_preferences import parse_preferences


def set_(
    context: typer.Context,
    keys: KeysArgument,
    *,
    fee_recipient: Annotated[
        str | None, typer.Option("--fee-recipient", metavar="0xADDRESS", help="Where the fees of their blocks go.")
    ] = None,
    gas_limit: Annotated[
        str | None, typer.Option("--gas-limit", metavar="GAS", help="What they ask of builders.")
    ] = None,
    graffiti: Annotated[
        str | None, typer.Option("--graffiti", metavar="TEXT", help="At most 32 bytes; kept for whoever asks.")
    ] = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(
            "--clear",
            metavar="NAME",
            help="`fee-recipient`, `gas-limit` or `graffiti`: the default of the configuration holds again. May be"
            " given several times.",
        ),
    ] = None,
) -> None:
    """Set fee recipient, gas limit or graffiti of keys, or clear them.

    Fee recipient and gas limit are signing policy: a registration that names other ones is refused, and a block that
    proves another fee recipient. It holds for every signer on this record at once, and is written into the audit log.

    For example:

    - `holdfast keys set 0x93247f22... --fee-recipient 0xabcf8e0d... --gas-limit 36000000 --config holdfast.yaml`
    - `holdfast keys set 0x93247f22... --clear gas-limit --config holdfast.yaml`
    """
    session = session_of(context)
    cleared = [name.replace("-", "_") for name in clear or ()]
    try:
        order = parse_preferences(
            keys, fee_recipient=fee_recipient, gas_limit=gas_limit, graffiti=graffiti, cleared=cleared
        )
    except MalformedRequestError as error:
        raise UsageFault(error.sentence, remedy="see `holdfast keys set --help`") from error
    with session.service(load_keys=True) as service, session.output.progress("setting"):
        done = service.set_preferences(order)
    session.output.document({"keys": [asdict(each) for each in done]})
    session.output.table(("status", "public key"), [(each.status, each.public_key) for each in done])


def show(context: typer.Context, keys: KeysArgument) -> None:
    """Fee recipient, gas limit and graffiti of keys: what is set for each, and the default where nothing is.

    For example:

    - `holdfast keys show 0x93247f22... --config holdfast.yaml`
    """
    session = session_of(context)
    wanted = named_keys(keys)
    with session.service(load_keys=True) as service, session.output.progress("asking"):
        found = [service.preferences("0x" + key.hex()) for key in wanted]
    session.output.document({"keys": [asdict(each) for each in found]})
    rows = []
    for each in found:
        for name, own in each.own.items():
            default = each.defaults[name]
            value, source = (default, "default") if own is None else (own, "key")
            rows.append((each.public_key, name, "-" if value is None else value, "-" if value is None else source))
    session.output.table(("public key", "", "value", "set by"), rows)
