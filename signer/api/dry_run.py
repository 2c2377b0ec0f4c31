"""Would this be signed? Our extension: the body of the sign route, and a verdict in the place of the signature.

`POST /api/v1/eth2/explain/{identifier}` authenticates, authorises, reads and judges as the sign route does, and writes
nothing. A duty that would be refused is answered 200 too: the question was answered; `refusal` is the problem document
that asking for the signature would get. What is at fault with the request itself (400, 401, 403, 404) is told as there.
"""

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.problems import problem_members
from signer.api.routing import Route
from signer.api.web3signer import read_duty
from signer.operations.evaluate_policies import tell_outcomes


async def post_explain(exchange: Exchange) -> Answer:
    """Whether this duty would be signed now."""
    intent = await read_duty(exchange)
    verdict = await exchange.services.dry_run(intent, exchange.caller)
    refusal = verdict.refusal
    members = {
        "would_sign": refusal is None,
        "repeat": verdict.repeat,
        "signing_root": "0x" + verdict.signing_root.hex(),
        "policies": tell_outcomes(verdict.outcomes),
        "refusal": None
        if refusal is None
        else problem_members(exchange.problem_of(refusal), exchange.request_id.hex()),
    }
    return json_answer(200, msgspec.json.encode(members))


ROUTES = [
    Route("POST", "/api/v1/eth2/explain/{identifier}", post_explain),
]
