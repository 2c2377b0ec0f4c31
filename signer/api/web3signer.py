"""Web3Signer's eth2 routes: sign, list keys, high watermark, and the extension.

`POST /api/v1/eth2/sign/{identifier}` is the hot path: everything it answers with is prepared once.
"""

import base64
from functools import partial

import msgspec

from signer.api.accept import wants_json
from signer.api.answer import JSON, TEXT, Answer, json_answer, status_head
from signer.api.decoding import INLINE_BODY_BYTES
from signer.api.exchange import Exchange, signature_text
from signer.api.routing import Route
from signer.auth.principal import Action
from signer.intent import SignDuty
from signer.operations.manage_keys import KeyList

_TEXT_HEAD = status_head(200, TEXT)
_JSON_HEAD = status_head(200, JSON)
_NOT_MODIFIED_HEAD = status_head(304, None)


async def post_sign(exchange: Exchange) -> Answer:
    """The signature of one duty: bare hex, or JSON where JSON is asked for."""
    intent = await read_duty(exchange)
    signature = await exchange.services.signing.sign(intent, exchange.caller)
    return signature_answer(signature_text(signature), as_json=wants_json(exchange.request))


async def read_duty(exchange: Exchange) -> SignDuty:
    """What the path and the body ask for; who may not ask is turned away before a costly body is read.

    Raises:
        RequestError, UnknownKeyError, ForbiddenError, UnavailableError.
    """
    services = exchange.services
    public_key = exchange.public_key = services.wire.identifier(exchange.tail)
    if exchange.may_be_large:
        services.signing.check_may_ask(exchange.caller, public_key)
    body = await exchange.read_body(exchange.settings.sign_body_limit_bytes)
    if len(body) <= INLINE_BODY_BYTES:
        intent = services.wire.sign_request(body, public_key)
    else:
        decode = partial(services.wire.sign_request, body, public_key)
        intent = await exchange.decoding.run(decode)
    exchange.duty_type = intent.duty.type
    return intent


async def get_public_keys(exchange: Exchange) -> Answer:
    """All keys this caller may see, sorted, with an ETag; 503 until the first load is complete."""
    keys = exchange.services.keys.list_keys(exchange.caller)
    tag = f'"{keys.tag}"'
    extra = f"ETag: {tag}\r\nCache-Control: no-cache\r\n".encode()
    if _holds(exchange.request.headers.getall("If-None-Match", ()), tag):
        return Answer(304, _NOT_MODIFIED_HEAD, b"", extra)
    return json_answer(200, _encode_keys(keys), extra=extra)


async def get_high_watermark(exchange: Exchange) -> Answer:
    """`{"epoch": "N", "slot": "N"}`, without what is unset."""
    mark = await exchange.services.protection.high_watermark(exchange.caller)
    members = {name: str(value) for name, value in (("epoch", mark.epoch), ("slot", mark.slot)) if value is not None}
    return json_answer(200, msgspec.json.encode(members))


async def post_extension(exchange: Exchange) -> Answer:
    """A signature over the raw body of a PROOF_OF_VALIDATION, and that body again."""
    services = exchange.services
    public_key = exchange.public_key = services.wire.identifier(exchange.tail)
    if exchange.may_be_large:
        services.signing.check_may_ask(exchange.caller, public_key, action=Action.SIGN_EXTENSION)
    body = await exchange.read_body(min(exchange.settings.body_limit_bytes, INLINE_BODY_BYTES))
    intent = services.wire.extension(body, public_key)
    exchange.duty_type = intent.duty_type
    signature = await services.signing.sign_extension(intent, exchange.caller)
    payload = base64.b64encode(body)
    return json_answer(200, b'{"payload":"%b","signature":"%b"}' % (payload, signature_text(signature)))


def signature_answer(text: bytes, *, as_json: bool) -> Answer:
    """The only 200 of a sign route. No newline after the text: Prysm and Teku decode the whole body."""
    if as_json:
        return Answer(200, _JSON_HEAD, b'{"signature":"%b"}' % text)
    return Answer(200, _TEXT_HEAD, text)


def _encode_keys(keys: KeyList) -> bytes:
    return b"[%b]" % b",".join(b'"0x%b"' % key.hex().encode("ascii") for key in keys.public_keys)


def _holds(headers: "tuple[str, ...] | list[str]", tag: str) -> bool:
    """True if one of the If-None-Match values is this tag (RFC 9110, 13.1.2: weak comparison)."""
    values = [value.strip().removeprefix("W/") for header in headers for value in header.split(",")]
    return tag in values or "*" in values


ROUTES = [
    Route("GET", "/api/v1/eth2/publicKeys", get_public_keys),
    Route("POST", "/api/v1/eth2/sign/{identifier}", post_sign, signs=True),
    Route("GET", "/api/v1/eth2/highWatermark", get_high_watermark),
]

EXTENSION_ROUTES = [
    Route("POST", "/api/v1/eth2/ext/sign/{identifier}", post_extension, signs=True),
]
"""Served only where `ApiSettings.extension_enabled` is set."""
