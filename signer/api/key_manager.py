"""The Ethereum key manager API (ethereum/keymanager-APIs), as far as it is a signer's: keystores and remote keys.

Served on the network only where `ApiSettings.key_manager` is set; asks for the key manager's token, or for a principal
with the action `keys:write` (the list: `keys:list`). On the admin socket the file system has authenticated the caller.

    GET    /eth/v1/keystores   200 {"data": [{"validating_pubkey", "derivation_path", "readonly"}]}
    POST   /eth/v1/keystores   200 {"data": [{"status": "imported" | "duplicate" | "error", "message"}]}
    DELETE /eth/v1/keystores   200 {"data": [{"status": "deleted" | "not_active" | "not_found" | "error", "message"}],
                                    "slashing_protection": "{...}"}

`slashing_protection` is merged whole, or the request is refused and nothing is imported. A signer is where keys are:
it uses no other remote signer, so the list of remote keys is empty and stays so. What is set for single keys is in
`preferences.py`, exits are in `voluntary_exit.py`.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import TypeVar

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.routing import Access, Route
from signer.errors import MalformedRequestError
from signer.operations.freeze_keys import parse_public_key
from signer.operations.orders import Carried
from signer.units import PublicKey

UPLOAD_PREFIX = ".holdfast-writing-import-"
"""A crash leaves the document behind under this name; the next start sweeps it (durable.py)."""

_NO_REMOTE_KEYS = "this signer holds its keys itself and uses no other remote signer"


class _ImportBody(msgspec.Struct, frozen=True):
    keystores: list[str]
    passwords: list[str]
    slashing_protection: str | None = None


class _DeleteBody(msgspec.Struct, frozen=True):
    pubkeys: list[str]


class _RemoteBody(msgspec.Struct, frozen=True):
    remote_keys: list[msgspec.Raw]


_Body = TypeVar("_Body")

_IMPORT = msgspec.json.Decoder(_ImportBody)
_DELETE = msgspec.json.Decoder(_DeleteBody)
_REMOTE = msgspec.json.Decoder(_RemoteBody)


async def get_keystores(exchange: Exchange) -> Answer:
    """The keys that serve."""
    listed = [
        {
            "validating_pubkey": "0x" + key.public_key.hex(),
            "derivation_path": key.derivation_path,
            "readonly": key.readonly,
        }
        for key in exchange.services.key_manager.list_keys(exchange.caller)
    ]
    return json_answer(200, msgspec.json.encode({"data": listed}))


async def post_keystores(exchange: Exchange) -> Answer:
    """History first, then keys: no key signs before what it signed elsewhere is on record."""
    manager = exchange.services.key_manager
    manager.check_may_change(exchange.caller)
    body = await _read(exchange, _IMPORT)
    if len(body.keystores) != len(body.passwords):
        raise MalformedRequestError("send one password for each keystore", path="passwords")
    if body.slashing_protection:
        await _import_history(exchange, body.slashing_protection.encode())
    done = await manager.import_keystores(body.keystores, body.passwords, exchange.caller)
    return json_answer(200, msgspec.json.encode({"data": [_status(one, silent=None) for one in done]}))


async def delete_keystores(exchange: Exchange) -> Answer:
    """Nothing is signed with these keys any more; their history is in the answer."""
    manager = exchange.services.key_manager
    manager.check_may_change(exchange.caller)
    deletion = await manager.delete_keys(await _read_keys(exchange), exchange.caller)
    members = {
        "data": [_status(one, silent="") for one in deletion.keys],
        "slashing_protection": deletion.interchange.decode(),
    }
    return json_answer(200, msgspec.json.encode(members))


async def get_remote_keys(exchange: Exchange) -> Answer:
    """None."""
    exchange.services.key_manager.list_keys(exchange.caller)
    return json_answer(200, b'{"data":[]}')


async def post_remote_keys(exchange: Exchange) -> Answer:
    """None is taken."""
    exchange.services.key_manager.check_may_change(exchange.caller)
    count = len((await _read(exchange, _REMOTE)).remote_keys)
    data = [{"status": "error", "message": _NO_REMOTE_KEYS}] * count
    return json_answer(200, msgspec.json.encode({"data": data}))


async def delete_remote_keys(exchange: Exchange) -> Answer:
    """None is there."""
    exchange.services.key_manager.check_may_change(exchange.caller)
    data = [{"status": "not_found", "message": ""} for _ in await _read_keys(exchange)]
    return json_answer(200, msgspec.json.encode({"data": data}))


async def _read(exchange: Exchange, decoder: "msgspec.json.Decoder[_Body]") -> "_Body":
    """A body of the API. Raises MalformedRequestError, which never quotes it: it may hold passwords."""
    body = await exchange.read_body(exchange.settings.sign_body_limit_bytes)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise MalformedRequestError(f"the body is not as the key manager API has it: {error}") from None
    except (ValueError, RecursionError):
        raise MalformedRequestError("the body is not JSON in UTF-8") from None


async def _read_keys(exchange: Exchange) -> tuple[PublicKey, ...]:
    return tuple(parse_public_key(word) for word in (await _read(exchange, _DELETE)).pubkeys)


async def _import_history(exchange: Exchange, document: bytes) -> None:
    directory = exchange.services.identity.data_directory
    with tempfile.NamedTemporaryFile(dir=directory, prefix=UPLOAD_PREFIX) as upload:
        await asyncio.to_thread(upload.write, document)
        await asyncio.to_thread(upload.flush)
        await exchange.services.protection.import_interchange(Path(upload.name), exchange.caller)


def _status(carried: Carried, *, silent: str | None) -> dict[str, str | None]:
    """As Web3Signer tells it: without anything to say, null after an import and an empty text after a deletion."""
    return {"status": carried.status, "message": carried.message or silent}


ROUTES = [
    Route("GET", "/eth/v1/keystores", get_keystores, Access.MANAGER),
    Route("POST", "/eth/v1/keystores", post_keystores, Access.MANAGER),
    Route("DELETE", "/eth/v1/keystores", delete_keystores, Access.MANAGER),
    Route("GET", "/eth/v1/remotekeys", get_remote_keys, Access.MANAGER),
    Route("POST", "/eth/v1/remotekeys", post_remote_keys, Access.MANAGER),
    Route("DELETE", "/eth/v1/remotekeys", delete_remote_keys, Access.MANAGER),
]
"""Served on the network only where `ApiSettings.key_manager` is set."""
