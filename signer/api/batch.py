"""Many duties in one request: our extension, until the remote-signing API adopts one (its pull request 29).

The body is a list of ordinary sign bodies, each with a member `identifier`. The answer is 200 and a list in the same
order: `{"signature": "0x..."}` or a problem document for each. Entries are judged in order, so of two that conflict the
first is signed; the others of the batch are not touched by one that fails.
"""

import asyncio

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange, signature_text
from signer.api.routing import Route
from signer.api.settings import MAX_BATCH
from signer.api.wire_json import check_nesting, decode_json_object
from signer.errors import MalformedRequestError, SignerError
from signer.intent import SignDuty
from signer.units import Signature

_ENTRIES_AT_A_TIME = 64
"""Decoded before others on the event loop have a turn: about 1 ms."""

_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])


async def post_batch(exchange: Exchange) -> Answer:
    """A signature or a problem for each entry, in order."""
    body = await exchange.read_body(exchange.settings.sign_body_limit_bytes)
    intents: list[SignDuty | SignerError] = []
    for number, entry in enumerate(entries_of(body), start=1):
        intents.append(_decode(exchange, bytes(entry)))
        if number % _ENTRIES_AT_A_TIME == 0:
            await asyncio.sleep(0)
    answers = await exchange.services.signing.sign_each(intents, exchange.caller)
    return json_answer(200, b"[%b]" % b",".join(_encode(exchange, answer) for answer in answers))


def entries_of(body: bytes) -> list[msgspec.Raw]:
    """The undecoded entries. Raises MalformedRequestError: no list, or too long a one."""
    check_nesting(body)
    try:
        entries = _RAW_LIST.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise MalformedRequestError("the body of a batch is a JSON list of sign requests") from None
    if len(entries) > MAX_BATCH:
        raise MalformedRequestError(f"a batch has at most {MAX_BATCH} entries; this one has {len(entries)}")
    return entries


def _decode(exchange: Exchange, entry: bytes) -> SignDuty | SignerError:
    wire = exchange.services.wire
    try:
        members = decode_json_object(entry)
        identifier = members.get("identifier")
        if not isinstance(identifier, str):
            return MalformedRequestError("an entry of a batch names its key in `identifier`", path="identifier")
        return wire.sign_object(members, wire.identifier(identifier))
    except SignerError as error:
        return error


def _encode(exchange: Exchange, answer: Signature | SignerError) -> bytes:
    if isinstance(answer, SignerError):
        return msgspec.json.encode(exchange.refuse(exchange.problem_of(answer)))
    return b'{"signature":"%b"}' % signature_text(answer)


ROUTES = [
    Route("POST", "/api/v1/eth2/sign", post_batch, signs=True),
]
