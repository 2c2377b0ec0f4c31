"""`holdfast keys delete` and `holdfast keys allow`: take a key away for good, and take that back."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from signer.cli.commands.context import session_of
from signer.cli.commands.ordered_keys import KeysArgument, named_keys, show_orders
from signer.cli.problem import EXIT_REFUSED, UsageFault
from signer.durable import write_durably


def delete(
    context: typer.Context,
    keys: KeysArgument,
    *,
    history: Annotated[
        Path, typer.Option("--history", metavar="FILE", help="Where to write the keys' EIP-3076 document; a new file.")
    ],
) -> int:
    """Destroy keys: nothing is signed with them from the commit on, and their material is removed.

    Their slashing records stay here, and are written to a file for the signer that has the keys next. Keys that come
    from files of your own are not deleted: remove the files. A deleted key is not taken in again, from whatever source,
    until `holdfast keys allow`.

    For example:

    - `holdfast keys delete 0x93247f22... --history moved.json --config holdfast.yaml`
    """
    session = session_of(context)
    named_keys(keys)
    if history.exists():
        raise UsageFault(f"{history} is there already", remedy="name a new file: a history is never overwritten")
    with session.service(load_keys=True) as service, session.output.progress("deleting"):
        done = service.delete_keys(keys)
    write_durably(history.absolute(), done.slashing_protection.encode(), private=True)
    session.output.document({"keys": [asdict(each) for each in done.keys], "history": str(history)})
    show_orders(session, done.keys)
    session.output.line(f"{history}: the slashing records of what is gone")
    return EXIT_REFUSED if any(each.status in ("error", "not_found") for each in done.keys) else 0


def allow(context: typer.Context, keys: KeysArgument) -> int:
    """Let deleted keys be brought in again.

    First make sure that no other signer has them: the same key in two places is how validators are slashed. It is an
    entry of the audit log.

    For example:

    - `holdfast keys allow 0x93247f22... --config holdfast.yaml`
    """
    session = session_of(context)
    named_keys(keys)
    with session.service() as service, session.output.progress("allowing"):
        done = service.allow_keys(keys)
    session.output.document({"keys": [asdict(each) for each in done]})
    show_orders(session, done)
    return EXIT_REFUSED if any(each.status == "not_deleted" for each in done) else 0
