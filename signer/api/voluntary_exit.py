"""Voluntary exits of the Ethereum key manager API, for who may use `key_manager.py`.

    POST /eth/v1/validator/{pubkey}/voluntary_exit?epoch=...&validator_index=...
         200 {"data": {"message": {"epoch": "300", "validator_index": "64"}, "signature": "0x..."}}

`validator_index` is ours: a validator client asks its beacon node for it, a signer has none. Without it: 400
VALIDATOR_INDEX_NEEDED, with what to do. `epoch` is the present one where none is named.
"""

import re

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange, signature_text
from signer.api.routing import Access, Route
from signer.errors import MalformedRequestError
from signer.eth2.duties import VoluntaryExitDuty
from signer.operations.freeze_keys import parse_public_key

_NUMBER = re.compile(r"0|[1-9][0-9]{0,19}")


async def post_voluntary_exit(exchange: Exchange) -> Answer:
    """Sign an exit; whoever asked hands it to a beacon node."""
    key = parse_public_key(exchange.tail)
    exchange.public_key, exchange.duty_type = key, VoluntaryExitDuty.type
    signed = await exchange.services.exits.sign(
        key, exchange.caller, epoch=_number(exchange, "epoch"), validator_index=_number(exchange, "validator_index")
    )
    message = {"epoch": str(signed.epoch), "validator_index": str(signed.validator_index)}
    signature = signature_text(signed.signature).decode()
    return json_answer(200, msgspec.json.encode({"data": {"message": message, "signature": signature}}))


def _number(exchange: Exchange, name: str) -> int | None:
    text = exchange.request.query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise MalformedRequestError(f"{name} is a decimal number below 2**64", path=name)
    return int(text)


ROUTES = [
    Route(
        "POST",
        "/eth/v1/validator/{pubkey}/voluntary_exit",
        post_voluntary_exit,
        Access.MANAGER,
        signs=True,
        query=frozenset({"epoch", "validator_index"}),
    ),
]
"""Served on the network only where `ApiSettings.key_manager` is set."""
