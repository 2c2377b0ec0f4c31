"""Keys in quarantine, and keys that move, for `holdfast keys` and `holdfast migrate`: admin routes, as `api/admin.py`.

POST /admin/keys/release     {"keys": ["0x...", ...]}; 200 {"keys": [{"public_key": "0x...", "message": "",
"status": "released" | "not_in_quarantine"}]}                        (keys:release)
POST /admin/migration/out    {"keys": ["0x...", ...]}, or {"keys": ["all"]} for all that are loaded; 200
application/octet-stream: the receipt on one line, then the EIP-3076 document, streamed
(keys:migrate)
POST /admin/migration/in     ?signed_by=0x... optional; the body is what `out` answered, of at most
`ApiSettings.import_limit_bytes`; 200 {"keys": ["0x..."], "signed_by": "0x...",
"receipt": "..."}                                                    (keys:migrate)
POST /admin/migration/undo   ?reason=TEXT&nothing_else_signs=true; the body is a receipt that was written here; 200
{"keys": ["0x..."], "receipt": "...", "floor_epoch": "..." | null}   (keys:migrate)
"""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec
from aiohttp import web

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.freezing import order_answer, read_keys
from signer.api.routing import Access, Route
from signer.errors import MalformedRequestError
from signer.operations.freeze_keys import ALL
from signer.operations.migration_receipt import MAX_RECEIPT_BYTES

_PREFIX = ".holdfast-writing-migration-"
"""A crash leaves the file behind under this name; the next start sweeps it (durable.py)."""

_PIECE_BYTES = 1 << 20


async def post_release(exchange: Exchange) -> Answer:
    """End the wait of these keys."""
    keys = await read_keys(exchange)
    return order_answer(await exchange.services.custody.quarantine.release(keys, exchange.caller))


async def post_out(exchange: Exchange) -> web.StreamResponse:
    """Let keys leave: the receipt, and their history."""
    named = await read_keys(exchange)
    keys = [key for key in named if key]
    if len(keys) != len(named) and len(named) != 1:
        raise MalformedRequestError(f"name keys, or the one word `{ALL}`", path="keys")
    with tempfile.NamedTemporaryFile(dir=exchange.services.identity.data_directory, prefix=_PREFIX) as place:
        document = Path(place.name)
        migration = exchange.services.custody.migration
        departure = await migration.leave(keys or None, exchange.caller, into=document)
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/octet-stream",
                "X-Request-Id": exchange.request_id.hex(),
                "Server": "holdfast",
            }
        )
        await response.prepare(exchange.request)
        await response.write(departure.receipt + b"\n")
        pieces = _pieces(document)
        while piece := await asyncio.to_thread(next, pieces, b""):
            await response.write(piece)
        await response.write_eof()
    return response


async def post_in(exchange: Exchange) -> Answer:
    """Take over the keys of a receipt."""
    with tempfile.NamedTemporaryFile(dir=exchange.services.identity.data_directory, prefix=_PREFIX) as upload:
        receipt = await _receive(exchange, upload)
        arrival = await exchange.services.custody.migration.arrive(
            receipt, Path(upload.name), exchange.caller, signed_by=exchange.request.query.get("signed_by")
        )
    members = {
        "keys": ["0x" + key.hex() for key in arrival.keys],
        "signed_by": arrival.signed_by,
        "receipt": arrival.receipt,
    }
    return json_answer(200, msgspec.json.encode(members))


async def post_undo(exchange: Exchange) -> Answer:
    """Take the keys of a receipt back."""
    receipt = b""
    async for piece in exchange.stream_body(min(MAX_RECEIPT_BYTES, exchange.settings.import_limit_bytes)):
        receipt += piece
    query = exchange.request.query
    back = await exchange.services.custody.undo.take_back(
        receipt.strip(),
        exchange.caller,
        reason=query.get("reason", ""),
        nothing_else_signs=query.get("nothing_else_signs") == "true",
    )
    members = {
        "keys": ["0x" + key.hex() for key in back.keys],
        "receipt": back.receipt,
        "floor_epoch": None if back.floor_epoch is None else str(back.floor_epoch),
    }
    return json_answer(200, msgspec.json.encode(members))


async def _receive(exchange: Exchange, upload: IO[bytes]) -> bytes:
    """The receipt; the history goes into the private file. Raises BodyTooLargeError, MalformedRequestError."""
    receipt, whole = b"", False
    async for piece in exchange.stream_body(exchange.settings.import_limit_bytes):
        rest = piece
        if not whole:
            line, newline, rest = piece.partition(b"\n")
            receipt += line
            whole = bool(newline)
            if len(receipt) > MAX_RECEIPT_BYTES:
                raise MalformedRequestError("the first line of the body is too long for a receipt")
        await asyncio.to_thread(upload.write, rest)
    await asyncio.to_thread(upload.flush)
    return receipt


def _pieces(document: Path) -> Iterator[bytes]:
    with document.open("rb") as stream:
        while piece := stream.read(_PIECE_BYTES):
            yield piece


ROUTES = [
    Route("POST", "/admin/keys/release", post_release, Access.NAMED),
    Route("POST", "/admin/migration/out", post_out, Access.NAMED),
    Route("POST", "/admin/migration/in", post_in, Access.NAMED, query=frozenset({"signed_by"})),
    Route(
        "POST",
        "/admin/migration/undo",
        post_undo,
        Access.NAMED,
        query=frozenset({"reason", "nothing_else_signs"}),
    ),
]
