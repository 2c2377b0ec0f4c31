"""The slashing record out, for operators: whole, by key, or what has come since an earlier export.

GET  /admin/slashing/export   200 application/json, an EIP-3076 document, streamed (chunked); a fault on the way cuts
                              the connection short of its last chunk, so that a truncated file is never mistaken for a
                              whole one                                                               (slashing:read)
POST /admin/slashing/export   {"keys": ["0x..."] | null, "since": a receipt | null}: the same of these validators only,
                              and of each only what the receipt does not tell of; 400 where there is no record of a key,
                              or the receipt is another record's                                      (slashing:read)
GET  /admin/slashing/receipt  200 {"format": "holdfast-slashing-receipt-1", ...}: what an export that is asked for after
                              it holds at least                                                       (slashing:read)
"""

import asyncio
from collections.abc import Iterator

import msgspec
from aiohttp import web

from signer.api.answer import BARE_JSON, Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.routing import Access, Route
from signer.errors import MalformedRequestError
from signer.events import RequestCrashed
from signer.operations.exporting import ALL, Receipt, Selection, parse_selection


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: list[str] | None = None
    since: Receipt | None = None


async def get_export(exchange: Exchange) -> Answer | web.StreamResponse:
    """The whole slashing record, in pieces, each read on a thread."""
    return await _answer(exchange, ALL)


async def post_export(exchange: Exchange) -> Answer | web.StreamResponse:
    """A part of the slashing record."""
    body = bytearray()
    async for piece in exchange.stream_body(exchange.settings.import_limit_bytes):
        body += piece
    try:
        asked = msgspec.json.decode(body or b"{}", type=_Body)
    except msgspec.DecodeError as error:
        raise MalformedRequestError(f"not a selection of the record: {error}", path="$") from error
    return await _answer(exchange, parse_selection(asked.keys, asked.since))


async def get_receipt(exchange: Exchange) -> Answer:
    """What an export from now on holds at least."""
    receipt = await exchange.services.protection.receipt(exchange.caller)
    return json_answer(200, msgspec.json.encode(receipt))


async def _answer(exchange: Exchange, selection: Selection) -> Answer | web.StreamResponse:
    pieces = exchange.services.protection.export_interchange(exchange.caller, selection)
    first = await asyncio.to_thread(next, pieces, b"")  # what fails before the first piece is an ordinary problem
    response = web.StreamResponse(
        headers={"Content-Type": BARE_JSON, "X-Request-Id": exchange.request_id.hex(), "Server": "holdfast"}
    )
    await response.prepare(exchange.request)
    try:
        await _stream(response, first, pieces)
    except ConnectionError:
        raise
    except Exception as error:  # noqa: BLE001 - 200 is out already: the only honest end is a torn connection
        exchange.services.events.publish(RequestCrashed(exchange.request_id.hex(), exchange.route, error))
        if exchange.request.transport is not None:
            exchange.request.transport.abort()
    return response


async def _stream(response: web.StreamResponse, first: bytes, pieces: Iterator[bytes]) -> None:
    piece = first
    while piece:
        await response.write(piece)
        piece = await asyncio.to_thread(next, pieces, b"")
    await response.write_eof()


ROUTES = [
    Route("GET", "/admin/slashing/export", get_export, Access.NAMED),
    Route("POST", "/admin/slashing/export", post_export, Access.NAMED),
    Route("GET", "/admin/slashing/receipt", get_receipt, Access.NAMED),
]
