"""What an operator asks of a running signer: the routes that `holdfast` (the command line) is a client of.

They are served beside every other route on a unix socket in the data directory (`admin.sock`, mode 0600, the peer's
uid must be ours or root's; whoever gets in is OPERATOR), and on the network listener only if
`ApiSettings.admin_over_network` is set, where they demand a named principal: an anonymous caller is answered 401 there,
whatever its address. Every operation checks its own action, named below. Errors are problem documents
(`application/problem+json`: type, title, status, detail, code, request_id, evidence members). A parameter of the query
that is not named here, or stands there twice, is 400, and nothing was done.

    GET  /admin/status           200 {"version": "0.1.0", "network": "mainnet", "data_directory": "/...", "ready": true,
                                      "keys": {"loaded": 4, "errors": 0,
                                               "sources": [{"source": "config-files-loading",
                                                            "keys_loaded": 4, "error_count": 0}]},
                                      "reload": {the JSON of GET /reload},
                                      "journal": {what the journal tells of itself: texts and numbers},
                                      "frozen": {"all": false, "keys": 0, "tags": 0},
                                      "quarantine": {"keys": 0, "until_epoch": null, "until": null}}
                                 `frozen` and `quarantine` are null while a shared database does not answer
                                                                                               (keys:list)
    GET  /admin/keys             200 {"keys": [{"public_key": "0x...", "namespace": "default",
                                                "origin": "file-keystore",
                                                "derivation_path": "m/12381/3600/0/0/0" | null,
                                                "tags": ["lido"],
                                                "quarantined_until_epoch": 300003 | null,
                                                "quarantined_until": "2026-01-02T03:04:05+00:00" | null,
                                                "silent": ["moved away", "frozen by tag:lido"]}]},
                                 sorted by public key; 503 NOT_READY until the first load is complete
                                                                                               (keys:list)
    POST /admin/reload           202 {"status": "accepted", "message": "..."}; 409 while one runs: the same answers
                                 as POST /reload; its progress is GET /reload (keys:list)      (keys:reload)
    POST /admin/slashing/import  the body is an EIP-3076 document of at most `ApiSettings.import_limit_bytes`, of any
                                 content type; 200 {"validators": [{"public_key": "0x..." | null, "blocks": 3,
                                 "attestations": 7, "error": null | "...", "differing": 0, "floors_before": null |
                                 {"slot": "1" | null, "source_epoch": ..., "target_epoch": ..., "held": false},
                                 "floors_after": the same, "ends_quarantine": false}]}, where the last is
                                 true for a key that waited in quarantine for this history; 400 UNUSABLE_HISTORIES
                                 where some are at fault, and nothing was imported, but ?partial=true imports the
                                 others; ?dry_run=true changes nothing and tells what would be (slashing:read); records
                                 further ahead of the clock than anything is signed are a fault without
                                 ?far_ahead=true                                               (slashing:write)
    POST /admin/audit/verify     no body; 200 {"entries": 1234, "head": "0x...", "verified_from": 0}; 500 AUDIT_BROKEN;
                                 `verified_from` is above 0 where older entries were archived elsewhere
                                                                                               (audit:read)
    GET  /admin/audit/entries    ?last=20&before=INDEX&request_id=HEX&public_key=0x..., all optional;
                                 200 {"entries": [newest first: {"index": 7, "time": "2026-01-02T03:04:05.678Z",
                                 "kind": "duty", "outcome": "refused", "principal": "alice", "request_id": "...",
                                 "public_key": "0x...", "duty": "ATTESTATION",
                                 "span": {"source_epoch": 4, "target_epoch": 5}, "signing_root": "0x...",
                                 "code": "DOUBLE_VOTE", "note": "...", "repeat": false, "blind": false}],
                                 "next_before": 3 | null, "log_begins": 0}; one call reads a bounded piece of the log:
                                 ask again with `before` set to `next_before` until that is null   (audit:read)
"""

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from signer.api.answer import Answer, json_answer
from signer.api.exchange import Exchange
from signer.api.reload import post_reload, reload_members
from signer.api.routing import Access, Route
from signer.errors import DatabaseDownError, MalformedRequestError
from signer.operations.freeze_keys import why_silent
from signer.operations.protect import ImportOptions
from signer.operations.read_audit import AuditQuery

_UPLOAD_PREFIX = ".holdfast-writing-import-"
"""A crash leaves the upload behind under this name; the next start sweeps it (durable.py)."""


async def get_status(exchange: Exchange) -> Answer:
    """What this process is and how it is."""
    services = exchange.services
    reload_status = await services.keys.reload_status(exchange.caller)
    sources = await services.keys.health()
    identity = services.identity
    document = {
        "version": identity.version,
        "network": identity.network,
        "data_directory": identity.data_directory,
        "ready": services.keys.ready,
        "keys": {
            "loaded": sum(one.keys_loaded for one in sources),
            "errors": sum(one.error_count for one in sources),
            "sources": [
                {"source": one.source, "keys_loaded": one.keys_loaded, "error_count": one.error_count}
                for one in sources
            ],
        },
        "reload": reload_members(reload_status),
        "journal": dict(await services.journal_state()),
        **await _stopped_keys(exchange),
    }
    return json_answer(200, msgspec.json.encode(document))


async def _stopped_keys(exchange: Exchange) -> dict[str, Any]:
    """What is frozen and what waits; nobody knows while a shared database is down."""
    services = exchange.services
    try:
        frozen = await services.freezing.frozen(exchange.caller)
        waits = await services.custody.quarantine.waits(exchange.caller)
    except DatabaseDownError:
        return {"frozen": None, "quarantine": None}
    last = max(waits, key=lambda one: one.until_epoch, default=None)
    return {
        "frozen": {"all": frozen.all_since_ms is not None, "keys": len(frozen.keys), "tags": len(frozen.tags)},
        "quarantine": {
            "keys": len(waits),
            "until_epoch": None if last is None else last.until_epoch,
            "until": None if last is None else last.until,
        },
    }


async def get_keys(exchange: Exchange) -> Answer:
    """The keys, with where they come from."""
    described = exchange.services.keys.describe_keys(exchange.caller)
    waits = {one.public_key: one for one in await exchange.services.custody.quarantine.waits(exchange.caller)}
    tags = await exchange.services.custody.tagging.tags(exchange.caller)
    silent = await exchange.services.freezing.why_silent(exchange.caller)
    entries = [
        {
            "public_key": "0x" + key.public_key.hex(),
            "namespace": key.namespace,
            "origin": key.origin,
            "derivation_path": key.derivation_path,
            "tags": list(tags.get(key.public_key, ())),
            "quarantined_until_epoch": None if (wait := waits.get(key.public_key)) is None else wait.until_epoch,
            "quarantined_until": None if wait is None else wait.until,
            "silent": why_silent(silent, key.public_key),
        }
        for key in sorted(described, key=lambda key: key.public_key)
    ]
    return json_answer(200, msgspec.json.encode({"keys": entries}))


async def post_import(exchange: Exchange) -> Answer:
    """Merge an EIP-3076 document into the record, all or nothing unless the query says otherwise."""
    asked = exchange.request.query
    options = ImportOptions(
        partial=_flag(asked, "partial"), dry_run=_flag(asked, "dry_run"), far_ahead=_flag(asked, "far_ahead")
    )
    with tempfile.NamedTemporaryFile(dir=exchange.services.identity.data_directory, prefix=_UPLOAD_PREFIX) as upload:
        await _receive(exchange, upload)
        imported = await exchange.services.protection.import_interchange(Path(upload.name), exchange.caller, options)
    return json_answer(200, msgspec.json.encode({"validators": [one.told() for one in imported]}))


async def _receive(exchange: Exchange, upload: IO[bytes]) -> None:
    """The body into a private file. Raises BodyTooLargeError, MalformedRequestError."""
    async for piece in exchange.stream_body(exchange.settings.import_limit_bytes):
        await asyncio.to_thread(upload.write, piece)
    await asyncio.to_thread(upload.flush)


async def post_verify(exchange: Exchange) -> Answer:
    """Read the whole audit log and check its chain."""
    report = await exchange.services.verify_audit(exchange.caller)
    members = {"entries": report.entries, "head": "0x" + report.head.hex(), "verified_from": report.verified_from}
    return json_answer(200, msgspec.json.encode(members))


async def get_entries(exchange: Exchange) -> Answer:
    """The newest entries of the audit log that match."""
    asked = exchange.request.query
    query = AuditQuery.parse(
        last=_number(asked.get("last", "20"), "last"),
        before=_number(asked["before"], "before") if "before" in asked else None,
        request_id=asked.get("request_id"),
        public_key=asked.get("public_key"),
    )
    page = await exchange.services.read_audit(query, exchange.caller)
    return json_answer(200, msgspec.json.encode(page))


def _flag(asked: Mapping[str, str], name: str) -> bool:
    """True or false, as JSON spells them; false where it is not said."""
    match asked.get(name, "false"):
        case "true":
            return True
        case "false":
            return False
        case _:
            raise MalformedRequestError(f"{name} must be true or false", path=name)


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise MalformedRequestError(f"{name} must be a number", path=name)
    return int(text)


_IMPORT_QUERY = frozenset({"partial", "dry_run", "far_ahead"})

ROUTES = [
    Route("GET", "/admin/status", get_status, Access.NAMED),
    Route("GET", "/admin/keys", get_keys, Access.NAMED),
    Route("POST", "/admin/reload", post_reload, Access.NAMED),
    Route("POST", "/admin/slashing/import", post_import, Access.NAMED, query=_IMPORT_QUERY),
    Route("POST", "/admin/audit/verify", post_verify, Access.NAMED),
    Route(
        "GET",
        "/admin/audit/entries",
        get_entries,
        Access.NAMED,
        query=frozenset({"last", "before", "request_id", "public_key"}),
    ),
]
