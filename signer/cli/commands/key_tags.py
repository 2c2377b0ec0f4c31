"""`holdfast keys tag`: give tags to keys, and take tags from them."""

from dataclasses import asdict
from typing import Annotated

import typer

from signer.cli.commands.context import session_of
from signer.cli.commands.ordered_keys import KeysArgument, named_keys, show_orders
from signer.cli.problem import EXIT_REFUSED, UsageFault
from signer.errors import MalformedRequestError
from signer.operations.tag_keys import tag_order


def tag(
    context: typer.Context,
    keys: KeysArgument,
    *,
    add: Annotated[
        list[str] | None, typer.Option("--add", metavar="NAME", help="A tag to give; may be given several times.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="NAME", help="A tag to take; may be given several times.")
    ] = None,
) -> int:
    """Give tags to keys and take tags from them, so that `holdfast freeze tag:NAME` stops them together.

    A tag has 1 to 64 of the characters a-z, 0-9, hyphen, underscore, full stop and colon. A key that gets a frozen tag
    is frozen by it from that moment on; a frozen tag is taken from no key until `holdfast thaw tag:NAME`. Each order is
    an entry of the audit log.

    For example:

    - `holdfast keys tag 0x93247f22... --add lido --config holdfast.yaml`
    - `holdfast keys tag 0x93247f22... 0xa81c9b54... --add client:two --remove client:one --config holdfast.yaml`
    """
    session = session_of(context)
    given, taken = add or [], remove or []
    wanted = named_keys(keys)
    try:
        tag_order(wanted, add=given, remove=taken)
    except MalformedRequestError as error:
        raise UsageFault(error.sentence, remedy="name tags with --add and --remove") from error
    with session.service() as service, session.output.progress("tagging"):
        done = service.tag(keys, add=given, remove=taken)
    session.output.document({"keys": [asdict(each) for each in done]})
    show_orders(session, done)
    return EXIT_REFUSED if any(each.status == "error" for each in done) else 0
