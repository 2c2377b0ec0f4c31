"""Our own routes for signing and for asking: `/v1`. Their answers carry what each policy said.

`POST /v1/sign/{identifier}` takes the body of Web3Signer's sign route and walks the same gate. `POST
/v1/policy/evaluate` asks the policies alone: nothing is written, and nothing is signed.
"""

from functools import partial

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.decoding import INLINE_BODY_BYTES
from signer.api.exchange import Exchange, signature_text
from signer.api.routing import Route
from signer.api.web3signer import read_duty
from signer.api.wire_json import check_nesting, check_shape
from signer.errors import ApprovalRequiredError, MalformedRequestError
from signer.intent import SignDuty
from signer.operations.evaluate_policies import Evaluated, decision_word, tell_outcomes
from signer.policy.combine import Outcome
from signer.policy.facts import Facts, decode_facts

MAX_NAMED = 64
"""Policies that one question may name."""


async def post_sign(exchange: Exchange) -> Answer:
    """The signature of one duty, and what each policy said of it; 202 where it waits for people."""
    exchange.policies = []
    return await sign_and_tell(exchange, await read_duty(exchange))


async def sign_and_tell(exchange: Exchange, intent: SignDuty) -> Answer:
    """The answer to who asks for a signature and can wait for people."""

    def hear(outcomes: tuple[Outcome, ...]) -> None:
        exchange.policies = tell_outcomes(outcomes)

    try:
        signature = await exchange.services.signing.sign(intent, exchange.caller, hear=hear)
    except ApprovalRequiredError as waits:
        waiting = {"approval": waits.evidence, "policies": exchange.policies}
        return json_answer(202, msgspec.json.encode(waiting))
    members = {"signature": signature_text(signature).decode(), "policies": exchange.policies}
    return json_answer(200, msgspec.json.encode(members))


class _Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the policies are asked about: a request with its key, or facts."""

    public_key: str = ""
    request: msgspec.Raw = msgspec.Raw()
    facts: msgspec.Raw = msgspec.Raw()
    policies: tuple[str, ...] | None = None
    """With facts: these policies, bound or not."""


_DECODER = msgspec.json.Decoder(_Question)


async def post_evaluate(exchange: Exchange) -> Answer:
    """What the policies would say."""
    body = await exchange.read_body(exchange.settings.sign_body_limit_bytes)
    read = partial(_read, body, exchange)
    asked = read() if len(body) <= INLINE_BODY_BYTES else await exchange.decoding.run(read)
    evaluation = exchange.services.policy_evaluation
    if isinstance(asked, SignDuty):
        exchange.public_key, exchange.duty_type = asked.public_key, asked.duty.type
        return _told(await evaluation.of_request(asked, exchange.caller))
    facts, names = asked
    return _told(await evaluation.of_facts(facts, names, exchange.caller))


def _read(body: bytes, exchange: Exchange) -> SignDuty | tuple[Facts, tuple[str, ...] | None]:
    check_shape(body)
    check_nesting(body)
    try:
        question = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedRequestError(
            f"ask with public_key and request, or with facts (and policies): {error}", path="$"
        ) from None
    request, facts = bytes(question.request), bytes(question.facts)
    if bool(request) == bool(facts) or bool(request) != bool(question.public_key):
        raise MalformedRequestError("ask either with public_key and request, or with facts")
    if request and question.policies is not None:
        raise MalformedRequestError("a request is judged by the policies that are bound to it", path="$.policies")
    if question.policies is not None and len(question.policies) > MAX_NAMED:
        raise MalformedRequestError(f"more than {MAX_NAMED} policies are named", path="$.policies")
    if facts:
        return decode_facts(facts), question.policies
    wire = exchange.services.wire
    return wire.sign_request(request, wire.identifier(question.public_key))


def _told(evaluated: Evaluated) -> Answer:
    members = {
        "decision": decision_word(evaluated.decision),
        "revision": evaluated.revision,
        "policies": tell_outcomes(evaluated.decision.outcomes),
        "bound": evaluated.bound,
        "reserve": [
            {
                "policy": spend.counter.policy,
                "counter": spend.counter.counter,
                "window_seconds": spend.counter.window_seconds,
                "amount": str(spend.amount),
                "limit": str(spend.limit),
            }
            for spend in evaluated.spendings
        ],
        "demands": [msgspec.structs.asdict(demand) for demand in evaluated.demands],
    }
    return json_answer(200, msgspec.json.encode(members))


ROUTES = [
    Route("POST", "/v1/sign/{identifier}", post_sign, signs=True),
    Route("POST", "/v1/policy/evaluate", post_evaluate),
]
