"""Fee recipient, gas limit and graffiti for `holdfast keys set` and `show`: admin routes, as `api/admin.py`.

    GET  /admin/keys/preferences/{identifier}   200 {"public_key": "0x...", "own": VALUES, "defaults": VALUES}
                                                                                                         (keys:list)
    POST /admin/keys/preferences                {"keys": ["0x...", ...], "fee_recipient": "0x...", "gas_limit": "...",
                                                "graffiti": "...", "cleared": ["gas_limit", ...]}; 200 {"keys":
                                                [{"public_key", "message", "status": "set" | "unchanged"}]}
                                                                                                         (keys:write)
VALUES are {"fee_recipient", "gas_limit", "graffiti"}, texts or null. What a body leaves out stays as it is.
"""

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.freezing import order_answer
from signer.api.routing import Access, Route
from signer.api.wire_json import decode_json_object
from signer.errors import MalformedRequestError
from signer.operations.freeze_keys import parse_public_key
from signer.operations.keep_preferences import parse_preferences


async def get_preferences(exchange: Exchange) -> Answer:
    """What is set for a key, and what holds where nothing is."""
    key = parse_public_key(exchange.tail)
    preferences = exchange.services.preferences
    own = (await preferences.own(key, exchange.caller)).told()
    members = {"public_key": "0x" + key.hex(), "own": own, "defaults": preferences.defaults.told()}
    return json_answer(200, msgspec.json.encode(members))


async def post_preferences(exchange: Exchange) -> Answer:
    """Set and clear for some keys."""
    body = decode_json_object(await exchange.read_body(exchange.settings.sign_body_limit_bytes))
    keys, cleared = body.get("keys"), body.get("cleared", [])
    for name, words in (("keys", keys), ("cleared", cleared)):
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise MalformedRequestError(f"{name} is a list of texts", path=name)
    order = parse_preferences(
        keys or (),
        fee_recipient=body.get("fee_recipient"),
        gas_limit=body.get("gas_limit"),
        graffiti=body.get("graffiti"),
        cleared=cleared,
    )
    return order_answer(await exchange.services.preferences.set(order, exchange.caller))


ROUTES = [
    Route("GET", "/admin/keys/preferences/{identifier}", get_preferences, Access.NAMED),
    Route("POST", "/admin/keys/preferences", post_preferences, Access.NAMED),
]
