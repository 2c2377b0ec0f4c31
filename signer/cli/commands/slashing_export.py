"""`holdfast slashing export`: the record as an EIP-3076 document, whole, by key, or since an earlier export."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from signer.cli.commands.context import session_of
from signer.cli.output import Advance
from signer.cli.problem import UsageFault
from signer.cli.service import Service
from signer.durable import read_regular, stream_durably, write_durably
from signer.errors import MalformedRequestError
from signer.operations.exporting import Receipt, parse_selection
from signer.units import PUBLIC_KEY_BYTES

STANDARD_OUTPUT = Path("-")
"""The file name that means standard output."""

RECEIPT_LIMIT_BYTES = 1 << 28
"""The largest receipt read: 250 bytes for each validator."""

_BEHIND_EVERY_KEY = b"\xff" * PUBLIC_KEY_BYTES
"""Asked for the keys behind it, a status tells the watermarks and no key."""


def export(
    context: typer.Context,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="A new file; `-` is standard output.")],
    *,
    keys: Annotated[
        list[str] | None, typer.Option("--key", metavar="0xHEX", help="This validator only; may be repeated.")
    ] = None,
    since: Annotated[
        Path | None,
        typer.Option("--since", metavar="RECEIPT", help="Only what has come since the export of this receipt."),
    ] = None,
    receipt: Annotated[
        Path | None, typer.Option("--receipt", metavar="FILE", help="Write a receipt, for the next --since.")
    ] = None,
) -> None:
    """Write the record as an EIP-3076 document, for another signer or for keeping.

    Stop signing here before another signer starts with it: a vote given after the export is not in it.
    An incremental document (--since) is imported after the ones before it; alone it protects too, but refuses more.
    Where a low watermark binds all keys, those that a running server has loaded and those that --key names are in the
    document even without a record of their own; a warning tells that others are not.

    For example:

    - `holdfast slashing export --to protection.json --receipt last.receipt`
    - `holdfast slashing export --to newer.json --since last.receipt --receipt next.receipt`
    - `holdfast slashing export --to - --endpoint https://signer:9000 --token-file token --ca ca.pem`
    """
    session = session_of(context)
    if session.options.as_json and to == STANDARD_OUTPUT:
        raise UsageFault("--json and --to - both write to standard output", remedy="name a file, or leave --json out")
    if to != STANDARD_OUTPUT and to.exists():
        raise UsageFault(f"{to} is there already", remedy="name a new file: an export is never overwritten")
    try:
        selection = parse_selection(keys or None, None)
    except MalformedRequestError as error:
        raise UsageFault(error.sentence, remedy="`holdfast slashing status` shows the keys on record") from error
    if since is not None:
        selection = parse_selection(keys or None, _read_receipt(since))
    with session.service() as service, session.output.progress("exporting") as advance:
        # Before the document: what is signed in between is in both this document and the next.
        told = None if receipt is None else _receipt_of(service, keys)
        warning = "" if keys else _warning(service)
        pieces = service.export_slashing(selection)
        if to == STANDARD_OUTPUT:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
        else:
            # Written whole or not at all: half a record is a history with holes.
            stream_durably(to, _counted(pieces, advance), private=True)
    if told is not None and receipt is not None:
        write_durably(receipt, msgspec.json.encode(told), private=True)
    if to != STANDARD_OUTPUT:
        size = to.stat().st_size
        session.output.document(
            {
                "file": str(to),
                "bytes": size,
                "receipt": None if receipt is None else str(receipt),
                "warnings": [warning] if warning else [],
            }
        )
        session.output.line(f"{to}: {size} bytes")
    if warning:
        session.output.notice(f"warning: {warning}")


def _warning(service: Service) -> str:
    """What an export of all keys does not hold; empty where it holds everything that binds any key."""
    marks = service.slashing_status(public_key=None, after=_BEHIND_EVERY_KEY).watermarks
    named = {"epoch": marks.low_epoch, "slot": marks.low_slot}
    told = ", ".join(f"{name} {value}" for name, value in named.items() if value is not None)
    if not told:
        return ""
    return (
        f"a low watermark binds every key ({told}), also those without a record of their own: of these only the keys"
        " that a running server has loaded are in the document. Name any other key that moves with --key 0x..."
    )


def _read_receipt(file: Path) -> Receipt:
    try:
        return msgspec.json.decode(read_regular(file, limit_bytes=RECEIPT_LIMIT_BYTES), type=Receipt)
    except msgspec.DecodeError as error:
        raise UsageFault(f"{file} is no receipt: {error}", remedy="name what `--receipt` wrote") from error


def _receipt_of(service: Service, keys: list[str] | None) -> Receipt:
    """A receipt of what is exported: of the named keys only, where some are named."""
    told = service.slashing_receipt()
    if not keys:
        return told
    asked = {"0x" + key.lower().removeprefix("0x") for key in keys}
    return msgspec.structs.replace(told, validators={k: line for k, line in told.validators.items() if k in asked})


def _counted(pieces: Iterator[bytes], advance: Advance) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        done += len(piece)
        advance(done, 0)
        yield piece
