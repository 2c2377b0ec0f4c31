"""Many duties in one request: our extension, until the remote-signing API adopts one (its pull request 29).

The body is a list of ordinary sign bodies, each with a member `identifier`. The answer is 200 and a list in the same
order: `{"signature": "0x..."}` or a problem document for each. Entries are judged in order, so of two that conflict the
first is signed; the others of the batch are not touched by one that fails.
"""

import asyncio
from functools import partial

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.decoding import INLINE_BODY_BYTES
from signer.api.exchange import Exchange, signature_text
from signer.api.routing import Route
from signer.api.services import Wire
from signer.api.settings import MAX_BATCH
from signer.api.wire_json import check_nesting, check_shape
from signer.errors import MalformedRequestError, SignerError
from signer.intent import SignDuty
from signer.units import Signature

_ANSWERS_AT_A_TIME = 64
"""Encoded before others on the event loop have a turn: a refusal is a line of the log each, about 2 ms."""

_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])


async def post_batch(exchange: Exchange) -> Answer:
    """A signature or a problem for each entry, in order."""
    signing, wire = exchange.services.signing, exchange.services.wire
    if exchange.may_be_large:
        signing.check_may_ask(exchange.caller)
    body = await exchange.read_body(exchange.settings.sign_body_limit_bytes)
    if len(body) <= INLINE_BODY_BYTES:
        intents = _decode_all(body, wire)
    else:
        intents = await exchange.decoding.run(partial(_decode_all, body, wire))
    answers = await signing.sign_each(intents, exchange.caller)
    texts = []
    pairs = list(zip(intents, answers, strict=True))
    for start in range(0, len(pairs), _ANSWERS_AT_A_TIME):
        texts += [_encode(exchange, intent, answer) for intent, answer in pairs[start : start + _ANSWERS_AT_A_TIME]]
        await asyncio.sleep(0)
    return json_answer(200, b"[%b]" % b",".join(texts))


def _decode_all(body: bytes, wire: Wire) -> list[SignDuty | SignerError]:
    return [_decode(bytes(entry), wire) for entry in entries_of(body)]


def entries_of(body: bytes) -> list[msgspec.Raw]:
    """The undecoded entries. Raises MalformedRequestError: no list, or too long a one."""
    check_shape(body)
    check_nesting(body)
    try:
        entries = _RAW_LIST.decode(body)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise MalformedRequestError("the body of a batch is a JSON list of sign requests") from None
    if len(entries) > MAX_BATCH:
        raise MalformedRequestError(f"a batch has at most {MAX_BATCH} entries; this one has {len(entries)}")
    return entries


def _decode(entry: bytes, wire: Wire) -> SignDuty | SignerError:
    try:
        return wire.batch_entry(entry)
    except SignerError as error:
        return error


def _encode(exchange: Exchange, intent: SignDuty | SignerError, answer: Signature | SignerError) -> bytes:
    if isinstance(answer, SignerError):
        entry = intent if isinstance(intent, SignDuty) else None
        return msgspec.json.encode(exchange.refuse(exchange.problem_of(answer), entry=entry))
    return b'{"signature":"%b"}' % signature_text(answer)


ROUTES = [
    Route("POST", "/api/v1/eth2/sign", post_batch, signs=True),
]
