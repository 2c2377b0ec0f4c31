"""Fee recipient, gas limit and graffiti of single keys: the Ethereum key manager API, for who may use `key_manager.py`.

    GET    /eth/v1/validator/{pubkey}/feerecipient  200 {"data": {"pubkey", "ethaddress": "0x..."}}
    POST   /eth/v1/validator/{pubkey}/feerecipient  {"ethaddress": "0x..."}; 202
    DELETE /eth/v1/validator/{pubkey}/feerecipient  204, also where nothing was set: the default holds

and likewise `gas_limit` ({"gas_limit": "30000000"}) and `graffiti` ({"graffiti": "plain text value"}). GET tells the
default of the configuration where nothing is set for the key; where there is none either, 404 NOTHING_SET, and an empty
graffiti. All tell 404 UNKNOWN_KEY for keys that are not loaded.

Fee recipient and gas limit are signing policy (`keys/preference_ledger.py`). Settings of builders are the validator
client's: a signer talks to none.
"""

import msgspec

from signer.api.answer import Answer, json_answer, status_head
from signer.api.exchange import Exchange
from signer.api.routing import Access, Route
from signer.api.wire_json import JsonObject, decode_json_object
from signer.errors import MalformedRequestError, NothingSetError
from signer.operations.freeze_keys import parse_public_key
from signer.operations.keep_preferences import parse_fee_recipient, parse_gas_limit
from signer.operations.orders import SetPreferences
from signer.units import PublicKey


async def get_fee_recipient(exchange: Exchange) -> Answer:
    """Where the fees of this key's blocks go."""
    key = _key(exchange)
    found = (await exchange.services.preferences.effective(key, exchange.caller)).fee_recipient
    if found is None:
        raise NothingSetError("0x" + key.hex(), field="fee_recipient", setting="keys.fee_recipient")
    return _told(key, ethaddress="0x" + found.hex())


async def post_fee_recipient(exchange: Exchange) -> Answer:
    """Set it."""
    key, body = await _read(exchange)
    return await _set(exchange, SetPreferences((key,), fee_recipient=parse_fee_recipient(body.get("ethaddress"))))


async def delete_fee_recipient(exchange: Exchange) -> Answer:
    """Let the default hold."""
    return await _clear(exchange, SetPreferences((_key(exchange),), cleared=("fee_recipient",)))


async def get_gas_limit(exchange: Exchange) -> Answer:
    """What this key asks of builders."""
    key = _key(exchange)
    found = (await exchange.services.preferences.effective(key, exchange.caller)).gas_limit
    if found is None:
        raise NothingSetError("0x" + key.hex(), field="gas_limit", setting="keys.gas_limit")
    return _told(key, gas_limit=str(found))


async def post_gas_limit(exchange: Exchange) -> Answer:
    """Set it."""
    key, body = await _read(exchange)
    return await _set(exchange, SetPreferences((key,), gas_limit=parse_gas_limit(body.get("gas_limit"))))


async def delete_gas_limit(exchange: Exchange) -> Answer:
    """Let the default hold."""
    return await _clear(exchange, SetPreferences((_key(exchange),), cleared=("gas_limit",)))


async def get_graffiti(exchange: Exchange) -> Answer:
    """What an operator wants in this key's blocks; nobody here puts it there."""
    key = _key(exchange)
    found = (await exchange.services.preferences.effective(key, exchange.caller)).graffiti
    return _told(key, graffiti=found or "")


async def post_graffiti(exchange: Exchange) -> Answer:
    """Keep it."""
    key, body = await _read(exchange)
    graffiti = body.get("graffiti")
    if not isinstance(graffiti, str):
        raise MalformedRequestError("a graffiti is a text", path="graffiti")
    return await _set(exchange, SetPreferences((key,), graffiti=graffiti))


async def delete_graffiti(exchange: Exchange) -> Answer:
    """Let the default hold."""
    return await _clear(exchange, SetPreferences((_key(exchange),), cleared=("graffiti",)))


def _key(exchange: Exchange) -> PublicKey:
    return parse_public_key(exchange.tail)


async def _read(exchange: Exchange) -> tuple[PublicKey, JsonObject]:
    """The key and the body. Raises MalformedRequestError, and what the caller may not do before the body is read."""
    key = _key(exchange)
    exchange.services.preferences.check_may_set([key], exchange.caller)
    return key, decode_json_object(await exchange.read_body(exchange.settings.sign_body_limit_bytes))


async def _set(exchange: Exchange, order: SetPreferences) -> Answer:
    await exchange.services.preferences.set(order, exchange.caller)
    return Answer(202, status_head(202, None), b"")


async def _clear(exchange: Exchange, order: SetPreferences) -> Answer:
    await exchange.services.preferences.set(order, exchange.caller)
    return Answer(204, status_head(204, None), b"")


def _told(key: PublicKey, **values: str) -> Answer:
    return json_answer(200, msgspec.json.encode({"data": {"pubkey": "0x" + key.hex(), **values}}))


ROUTES = [
    Route("GET", "/eth/v1/validator/{pubkey}/feerecipient", get_fee_recipient, Access.MANAGER),
    Route("POST", "/eth/v1/validator/{pubkey}/feerecipient", post_fee_recipient, Access.MANAGER),
    Route("DELETE", "/eth/v1/validator/{pubkey}/feerecipient", delete_fee_recipient, Access.MANAGER),
    Route("GET", "/eth/v1/validator/{pubkey}/gas_limit", get_gas_limit, Access.MANAGER),
    Route("POST", "/eth/v1/validator/{pubkey}/gas_limit", post_gas_limit, Access.MANAGER),
    Route("DELETE", "/eth/v1/validator/{pubkey}/gas_limit", delete_gas_limit, Access.MANAGER),
    Route("GET", "/eth/v1/validator/{pubkey}/graffiti", get_graffiti, Access.MANAGER),
    Route("POST", "/eth/v1/validator/{pubkey}/graffiti", post_graffiti, Access.MANAGER),
    Route("DELETE", "/eth/v1/validator/{pubkey}/graffiti", delete_graffiti, Access.MANAGER),
]
"""Served on the network only where `ApiSettings.key_manager` is set."""
