"""The document tells the truth: every route is in it, and every status it names is answered as it says."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from approvals_twin import APPROVAL
from http_twins import KEY, Listener, Received, World, attestation, listening

from signer.api import metrics, web3signer
from signer.api.assembly import ADMIN_ROUTES, KEY_MANAGER_ROUTES, PUBLIC_ROUTES, build_admin, build_api, build_metrics
from signer.api.openapi import DOCUMENT
from signer.api.settings import ApiSettings
from signer.api.wire_eth2 import _ALL_READERS
from signer.auth.authenticate import Authenticator
from signer.auth.principal import ANONYMOUS, Principal
from signer.errors import (
    ApprovalClosedError,
    ApprovalRequiredError,
    AuditError,
    JournalDownError,
    MalformedRequestError,
    SlashingError,
    UnapprovableError,
    UnknownKeyError,
    WrongNetworkError,
)
from signer.operations.manage_keys import ReloadStatus, SourceHealth

SPECIFICATION = json.loads(DOCUMENT)
ALL_ROUTES = [*PUBLIC_ROUTES, *web3signer.EXTENSION_ROUTES, *ADMIN_ROUTES, *KEY_MANAGER_ROUTES, *metrics.ROUTES]
DOCUMENTED = sorted(
    (method, path, status)
    for path, operations in SPECIFICATION["paths"].items()
    for method, operation in operations.items()
    for status in operation["responses"]
)

SIGN = "/api/v1/eth2/sign/{identifier}"
EXTENSION = "/api/v1/eth2/ext/sign/{identifier}"
BODIES = {
    SIGN: json.dumps(attestation()).encode(),
    "/api/v1/eth2/explain/{identifier}": json.dumps(attestation()).encode(),
    "/api/v1/eth2/sign": json.dumps([attestation(identifier=KEY.hex()), {}]).encode(),
    EXTENSION: b'{"type":"PROOF_OF_VALIDATION","platform":"x","timestamp":"1"}',
    "/admin/slashing/import": b"{}",
    "/admin/slashing/export": b'{"keys": null}',
    "/admin/slashing/watermark": b'{"low_epoch": 100}',
    "/admin/slashing/prune": b"{}",
    "/admin/policy/orders": b'{"order": "activate", "name": "staking"}',
    "/admin/keys/freeze": b'{"keys":["all"]}',
    "/admin/keys/tag": json.dumps({"keys": ["0x" + KEY.hex()], "add": ["lido"]}).encode(),
    "/admin/keys/release": json.dumps({"keys": ["0x" + KEY.hex()]}).encode(),
    "/admin/migration/out": b'{"keys":["all"]}',
    "/admin/migration/in": b'{"format":"a receipt"}\n{}',
    "/admin/keys/delete": json.dumps({"keys": ["0x" + KEY.hex()]}).encode(),
    "/admin/keys/allow": json.dumps({"keys": ["0x" + KEY.hex()]}).encode(),
    "/eth/v1/keystores": json.dumps({"keystores": ["{}"], "passwords": ["x"], "pubkeys": [KEY.hex()]}).encode(),
    "/eth/v1/remotekeys": json.dumps({"remote_keys": [{}], "pubkeys": [KEY.hex()]}).encode(),
    "/admin/keys/preferences": json.dumps({"keys": ["0x" + KEY.hex()], "gas_limit": "30000000"}).encode(),
    "/eth/v1/validator/{pubkey}/feerecipient": json.dumps({"ethaddress": "0x" + "aB" * 20}).encode(),
    "/eth/v1/validator/{pubkey}/gas_limit": b'{"gas_limit": "30000000"}',
    "/eth/v1/validator/{pubkey}/graffiti": b'{"graffiti": "plain text value"}',
    "/v1/sign/{identifier}": json.dumps(attestation()).encode(),
    "/v1/policy/evaluate": json.dumps({"public_key": KEY.hex(), "request": attestation()}).encode(),
    "/v1/approvals/{id}/approve": json.dumps({"request_hash": "0x" + "b2" * 32}).encode(),
    "/v1/approvals/{id}/deny": json.dumps({"request_hash": "0x" + "b2" * 32}).encode(),
    "/admin/keys/thaw": json.dumps({"keys": ["0x" + KEY.hex()]}).encode(),
}
QUERIES = {
    "/admin/policy/who-can": f"?key=0x{KEY.hex()}&action=sign:duty",
    "/admin/slashing/explain": f"?public_key={KEY.hex()}&slot=1",
    "/eth/v1/validator/{pubkey}/voluntary_exit": "?validator_index=1",
    "/admin/migration/undo": "?reason=x&nothing_else_signs=true",
}
SMALL = ApiSettings(
    extension_enabled=True,
    admin_over_network=True,
    key_manager=True,
    sign_body_limit_bytes=5000,
    body_limit_bytes=5000,
    import_limit_bytes=5000,
)
NOBODY = Principal("nobody", actions=frozenset())

_WITHOUT_BODY = ("/admin/status", "/admin/keys", "/admin/keys/frozen", "/admin/reload")

Arrange = Callable[[World, dict[str, Any]], None]


def _break_journal(world: World, _: dict[str, Any]) -> None:
    world.freezing.error = world.key_manager.error = world.custody.error = JournalDownError("no")
    world.custody.tagging.error = JournalDownError("no")
    world.signing.batch_error = world.signing.error = world.protection.error = JournalDownError("no")
    world.protection.pieces = [JournalDownError("no")]
    world.keeping.error = world.preferences.error = world.approvals.error = JournalDownError("no")
    world.audit = AuditError("no")
    world.policy_management.error = JournalDownError("no")


def _bad_body(_: World, request: dict[str, Any]) -> None:
    if request["path"] == "/v1/approvals":
        request["path"] += "?state=closed"
    request["body"] = b"nonsense"
    if request["path"] in _WITHOUT_BODY:
        request["path"] += "?unknown=1"
    if request["path"].startswith("/admin/audit"):
        request["path"] += "?last=0"
    if request["path"].startswith(("/eth/v1/validator", "/admin/keys/preferences/")):
        request["path"] = request["path"].replace(KEY.hex(), "nonsense")
    if request["path"].startswith("/admin/policy"):
        request["path"] = request["path"].partition("?")[0] + "?revision=x"
    if request["path"].startswith("/admin/slashing"):
        request["path"] = request["path"].partition("?")[0] + "?limit=0"


def _bad_import(world: World, _: dict[str, Any]) -> None:
    world.protection.error = MalformedRequestError("no interchange")


def _large_body(_: World, request: dict[str, Any]) -> None:
    request["body"] = b" " * 5001


def _unknown_key(world: World, request: dict[str, Any]) -> None:
    world.custody.error = world.freezing.error = world.custody.tagging.error = UnknownKeyError("all")
    world.policy_management.unknown = True
    request["path"] = request["path"].replace(APPROVAL.hex(), "ab" * 16)
    nobody = "ab" * 48 if request["path"].startswith(("/eth/v1/validator", "/admin")) else "nonsense"
    request["path"] = request["path"].replace(KEY.hex(), nobody)
    if request["path"].startswith(("/admin/keys/preferences", "/v1/policy")):
        request["body"] = request["body"].replace(KEY.hex().encode(), nobody.encode())


def _refusal(world: World, _: dict[str, Any]) -> None:
    world.policy_management.error = UnapprovableError("no")
    world.signing.error = SlashingError("no")
    world.custody.error = world.protection.error = WrongNetworkError(requested=bytes(32), pinned=bytes(32))


def _held(world: World, _: dict[str, Any]) -> None:
    evidence = {
        "approval": APPROVAL.hex(),
        "state": "waiting",
        "request_hash": "0x" + "b2" * 32,
        "missing": "exits: 2 of custodians",
        "ready_at": None,
        "until": "2027-01-15T09:00:00+00:00",
    }
    world.signing.error = ApprovalRequiredError("it waits", evidence=evidence)


def _running(world: World, _: dict[str, Any]) -> None:
    world.approvals.error = ApprovalClosedError(APPROVAL.hex(), state="denied")
    world.keys.status = ReloadStatus("running", 1.0, None)
    world.policy_management.clashes = True


def _loading(world: World, _: dict[str, Any]) -> None:
    world.keys.ready = world.key_manager.ready = world.preferences.ready = False
    world.keys.sources = (SourceHealth("config-files-loading", 0, 1),)


def _known_tag(_: World, request: dict[str, Any]) -> None:
    request["headers"].append("If-None-Match: *")


def _foreign_host(_: World, request: dict[str, Any]) -> None:
    request["host"] = "evil.example"


def _nothing(_: World, __: dict[str, Any]) -> None:
    """The usual request."""


ARRANGEMENTS: dict[str, Arrange] = {
    "200": _nothing,
    "202": _held,
    "204": _nothing,
    "304": _known_tag,
    "400": _bad_body,
    "401": _nothing,
    "403": _foreign_host,
    "404": _unknown_key,
    "409": _running,
    "412": _refusal,
    "413": _large_body,
    "500": _break_journal,
    "503": _loading,
}


async def provoke(method: str, path: str, status: str, *headers: str) -> Received:
    """The answer of a route in the situation that has this status."""
    world = World()
    request: dict[str, Any] = {
        "path": re.sub(r"\{\w+\}", "0x" + KEY.hex(), path.replace("{id}", APPROVAL.hex())) + QUERIES.get(path, ""),
        "body": BODIES.get(path, b""),
        "headers": list(headers),
        "host": "localhost",
    }
    arrange = _bad_import if (path, status) == ("/admin/slashing/import", "400") else ARRANGEMENTS[status]
    arrange(world, request)
    with tempfile.TemporaryDirectory() as directory:
        world.directory = Path(directory)
        return await _ask(world, method, path, status, request)


async def _ask(world: World, method: str, path: str, status: str, request: dict[str, Any]) -> Received:
    anonymous = None if status == "401" else ANONYMOUS
    known = Principal("known")

    async def identify_known(_header: object, _peer: object, _connected: object) -> Principal:
        return known

    def build(services):
        if path == "/metrics":
            return build_metrics(services, settings=SMALL)
        gate = Authenticator([], anonymous=anonymous)
        if path.startswith(("/admin", "/eth/v1", "/v1/approvals")) and status != "401":
            gate.authenticate = identify_known  # a principal with a name, without the ceremony
        return build_api(services, authenticator=gate, settings=SMALL, manager=gate)

    async with listening(world, build=build) as listener:
        return await _send(listener, method, request)


async def _send(listener: Listener, method: str, request: dict[str, Any]) -> Received:
    lines = [f"{method.upper()} {request['path']} HTTP/1.1", f"Host: {request['host']}", *request["headers"]]
    lines.append(f"Content-Length: {len(request['body'])}")
    async with listener.client() as client:
        await client.send("\r\n".join(lines).encode() + b"\r\n\r\n" + request["body"])
        return await client.receive()


def test_the_document_has_every_route_and_no_other():
    documented = {(method.upper(), path) for method, path, _ in DOCUMENTED}
    assert documented == {(route.method, route.path) for route in ALL_ROUTES}


def test_the_document_has_every_parameter_of_the_queries():
    known = {(route.method, route.path): route.query for route in ALL_ROUTES if route.query}
    documented = {
        (method.upper(), path): frozenset(
            one["name"] for one in operation.get("parameters", []) if one["in"] == "query"
        )
        for path, operations in SPECIFICATION["paths"].items()
        for method, operation in operations.items()
    }
    assert known == {route: names for route, names in documented.items() if names}


def test_the_document_is_openapi_3_1_and_its_references_lead_somewhere():
    assert SPECIFICATION["openapi"] == "3.1.0"
    references = re.findall(r'"\$ref": "#/components/schemas/(\w+)"', DOCUMENT.decode())
    assert set(SPECIFICATION["components"]["schemas"]) == set(references)
    for path, operations in SPECIFICATION["paths"].items():
        names = re.findall(r"\{(\w+)\}", path)
        for operation in operations.values():
            assert [one["name"] for one in operation.get("parameters", []) if one["in"] == "path"] == names


def test_the_document_has_every_type_that_is_read():
    assert set(SPECIFICATION["components"]["schemas"]["SignRequest"]["properties"]["type"]["enum"]) == set(_ALL_READERS)


@pytest.mark.parametrize(("method", "path", "status"), DOCUMENTED)
async def test_each_documented_status_is_answered_in_a_documented_form(method, path, status):
    answer = await provoke(method, path, status)
    assert answer.status == int(status), answer
    documented = SPECIFICATION["paths"][path][method]["responses"][status]
    for name in documented.get("headers", {}):
        assert answer.header(name) is not None or name == "Retry-After", name
    content = documented.get("content")
    if content is None:
        assert answer.body == b""
        return
    media = answer.header("Content-Type").partition(";")[0]
    assert media in content
    is_text = media in {"text/plain", "application/octet-stream"}
    value = answer.body.decode() if is_text else json.loads(answer.body)
    assert problems(value, content[media]["schema"]) == []


@pytest.mark.parametrize(("method", "path"), [("post", SIGN), ("get", "/upcheck")])
async def test_the_json_form_is_as_documented_too(method, path):
    answer = await provoke(method, path, "200", "Accept: application/json")
    schema = SPECIFICATION["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"]
    assert problems(json.loads(answer.body), schema) == []


@pytest.mark.parametrize(("method", "path"), sorted({(method, path) for method, path, _ in DOCUMENTED}))
async def test_without_credentials_only_open_routes_answer(method, path):
    documented = SPECIFICATION["paths"][path][method]
    answer = await provoke(method, path, "401")
    assert (answer.status == 401) == ("401" in documented["responses"]) == (documented["security"] != [])


async def test_the_document_is_served_as_it_is():
    answer = await provoke("get", "/openapi.json", "200")
    assert answer.body == DOCUMENT


async def test_the_admin_socket_serves_every_route_of_the_network():
    async with listening(
        World(),
        build=lambda services: build_api(
            services,
            authenticator=Authenticator([], anonymous=ANONYMOUS),
            settings=SMALL,
            manager=Authenticator([], anonymous=None),
        ),
    ) as listener:
        network = {route.path for route in ALL_ROUTES if listener.server._table.find(route.path)}
    async with listening(
        World(), build=lambda services: build_admin(services, settings=SMALL, owners=None)
    ) as listener:
        socket = {route.path for route in ALL_ROUTES if listener.server._table.find(route.path)}
    assert network == socket == {route.path for route in ALL_ROUTES} - {"/metrics"}


def problems(value: Any, schema: dict[str, Any], at: str = "$") -> list[str]:
    """Where a value is not what a schema of the few keywords used here says."""
    if "$ref" in schema:
        return problems(value, SPECIFICATION["components"]["schemas"][schema["$ref"].rpartition("/")[2]], at)
    if "oneOf" in schema:
        matching = [one for one in schema["oneOf"] if not problems(value, one, at)]
        return [] if len(matching) == 1 else [f"{at}: matches {len(matching)} of oneOf"]
    found = []
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    wanted = schema.get("type")
    if wanted is not None:
        names = wanted if isinstance(wanted, list) else [wanted]
        if not isinstance(value, tuple(kinds[name] for name in names)):
            return [f"{at}: is no {wanted}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{at}: is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{at}: is not one of {schema['enum']}")
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        found.append(f"{at}: does not match {schema['pattern']}")
    if isinstance(value, dict):
        found += [f"{at}: lacks {name}" for name in schema.get("required", []) if name not in value]
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                found += problems(value[name], inner, f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += problems(item, schema["items"], f"{at}[{index}]")
    return found


def test_the_validator_of_these_tests_finds_faults():
    assert problems({"status": 412}, {"$ref": "#/components/schemas/Problem"})
    assert problems("0x00", {"$ref": "#/components/schemas/Signature"})
    assert problems([1], {"type": "array", "items": {"type": "string"}})
    assert problems({"a": 1}, {"oneOf": [{"type": "string"}, {"type": "array"}]})
