"""Would this be signed? Our extension: the body of the sign route, and a verdict in the place of the signature.

`POST /api/v1/eth2/explain/{identifier}` authenticates, authorises, reads and judges as the sign route does, and writes
nothing. A duty that would be refused is answered 200 too: the question was answered; `refusal` is the problem document
that asking for the signature would get. What is at fault with the request itself (400, 401, 403, 404) is told as there.
"""

from functools import partial

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.decoding import INLINE_BODY_BYTES
from signer.api.exchange import Exchange
from signer.api.problems import problem_members
from signer.api.routing import Route


async def post_explain(exchange: Exchange) -> Answer:
    """Whether this duty would be signed now."""
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
    verdict = await services.dry_run(intent, exchange.caller)
    refusal = verdict.refusal
    members = {
        "would_sign": refusal is None,
        "repeat": verdict.repeat,
        "signing_root": "0x" + verdict.signing_root.hex(),
        "refusal": None
        if refusal is None
        else problem_members(exchange.problem_of(refusal), exchange.request_id.hex()),
    }
    return json_answer(200, msgspec.json.encode(members))


ROUTES = [
    Route("POST", "/api/v1/eth2/explain/{identifier}", post_explain),
]
