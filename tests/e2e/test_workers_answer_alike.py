"""Whatever a client can ask, a worker answers as a service that is one process does: the same status, head and body."""

import contextlib
import http.client
import json
import re
import ssl
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from duty_requests import MAINNET_ROOT, Line, block_body, fork_info, line_to, vote_body
from e2e.worker_processes import line_to_each, until, workers_of
from msgspec.structs import astuple, replace
from policy.policy_packs import rules_pack
from running import RunningSigner, free_port, holdfast, interop_secret, merged, running_signer

from signer.api.openapi import DOCUMENT

KEYS = 6
OPERATOR, LIMITED = "operator-token-0123456789", "limited-token-0123456789"
VOLATILE = re.compile(
    r'"(request_id|lastOperationTime|time|index|next_before|head|audit_entries|database_bytes|entries'
    r'|since_ms|all_since_ms|frozen_since_ms|at|published_at)":("[^"]*"|\d+)'
)
"""Members that differ from one answer to the next, or from one run to another."""

NOTED_TIME = re.compile(r"since_ms=\d+")
"""The same in the note of an audit entry."""

SECTIONS: dict[str, Any] = {
    "key_manager": {"enabled": True},
    "server": {"admin_over_network": True, "cors_origins": ["https://page\\.example"], "max_sign_body_bytes": 65536},
    "security": {
        "extension_signing": True,
        "require_authentication": False,
        "principals": [
            {
                "name": "head-office",
                "token_sha256": sha256(OPERATOR.encode()).hexdigest(),
                "actions": [
                    "audit:read", "keys:freeze", "keys:list", "keys:release", "keys:reload", "keys:tag", "keys:thaw",
                    "keys:write",
                    "approvals:cancel", "approvals:read", "approvals:vote", "policy:read", "policy:write",
                    "sign:duty", "sign:extension",
                    "slashing:read", "slashing:write",
                ],
            },
            {
                "name": "limited",
                "token_sha256": sha256(LIMITED.encode()).hexdigest(),
                "actions": ["sign:duty"],
                "duties": ["BLOCK_V2"],
            },
        ],
    },
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One request; `{0}` in path and body is the first key, and so on."""

    method: str
    path: str
    body: bytes = b""
    headers: tuple[str, ...] = ()

    def request(self, keys: list[str]) -> bytes:
        path = self.path.format(*keys)
        head = [f"{self.method} {path} HTTP/1.1", *self.headers]
        if not any(header.lower().startswith("host:") for header in self.headers):
            head.append("Host: 127.0.0.1")
        if self.method in ("POST", "DELETE"):
            head.append(f"Content-Length: {len(self.body)}")
        body = re.sub(rb"@(\d)", lambda found: keys[int(found[1])].encode(), self.body)
        return "\r\n".join(head).encode().replace(str(len(self.body)).encode(), str(len(body)).encode()) + (
            b"\r\n\r\n" + body
        )


def sign(body: dict[str, Any] | bytes, *headers: str, key: int = 0) -> Step:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Step("POST", f"/api/v1/eth2/sign/{{{key}}}", data, headers)


def batch(*entries: dict[str, Any]) -> Step:
    return Step("POST", "/api/v1/eth2/sign", json.dumps(entries).encode())


AS_OPERATOR, AS_LIMITED = f"Authorization: Bearer {OPERATOR}", f"Authorization: Bearer {LIMITED}"
AS_TEXT, AS_JSON = "Accept: text/plain", "Accept: application/json"
RANDAO = {"type": "RANDAO_REVEAL", "fork_info": fork_info(), "randao_reveal": {"epoch": "3"}}
EXTENSION = json.dumps({"type": "PROOF_OF_VALIDATION", "platform": "test", "timestamp": "1700000000"}).encode()
HISTORY = {
    "metadata": {"interchange_format_version": "5", "genesis_validators_root": MAINNET_ROOT},
    "data": [
        {
            "pubkey": "@4",
            "signed_blocks": [{"slot": "81952", "signing_root": "0x" + "12" * 32}],
            "signed_attestations": [{"source_epoch": "2290", "target_epoch": "3007"}],
        }
    ],
}

PAID_TO = b'{"ethaddress":"0x' + b"11" * 20 + b'"}'
REGISTRATION = {
    "type": "VALIDATOR_REGISTRATION",
    "validator_registration": {
        "fee_recipient": "0x" + "22" * 20,
        "gas_limit": "30000000",
        "timestamp": "100",
        "pubkey": "0x" + "12" * 48,
    },
}

NO_REVEALS = rules_pack(
    "no-reveals", text="version: 1\notherwise: allow\ndeny:\n  - {name: reveals, types: [RANDAO_REVEAL]}\n"
)


def order(word: str, headers: tuple[str, ...] = (), **members: Any) -> Step:
    """An order about policies, the head office's unless somebody else gives it."""
    return Step("POST", "/admin/policy/orders", json.dumps({"order": word, **members}).encode(), headers)


TO_THE_FOURTH = {"policy": "no-reveals", "to": {"kind": "key", "key_id": "@3"}}

FOREIGN_HISTORY = merged(HISTORY, {"metadata": {"genesis_validators_root": "0x" + "00" * 32}})

STEPS = [
    Step("GET", "/upcheck"),
    Step("GET", "/upcheck", headers=(AS_JSON,)),
    Step("GET", "/healthcheck"),
    Step("GET", "/healthz"),
    Step("GET", "/health/live"),
    Step("GET", "/health/ready"),
    Step("GET", "/health/startup"),
    Step("GET", "/openapi.json"),
    Step("GET", "/api/v1/eth2/publicKeys"),
    Step("GET", "/api/v1/eth2/publicKeys", headers=('If-None-Match: "*", *',)),
    Step("GET", "/api/v1/eth2/publicKeys", headers=(AS_LIMITED,)),
    Step("GET", "/api/v1/eth2/highWatermark"),
    Step("GET", "/reload"),
    Step("GET", "/reload", headers=(AS_LIMITED,)),
    Step("POST", "/reload"),
    Step("POST", "/reload", headers=(AS_LIMITED,)),
    # duties
    sign(vote_body(5, 6), AS_JSON),
    sign(vote_body(5, 6), AS_TEXT),
    sign(vote_body(5, 6, "another")),
    sign(vote_body(5, 6, "another"), AS_TEXT),
    sign(vote_body(8, 9)),
    sign(vote_body(7, 10)),
    sign(vote_body(6, 7)),
    sign(vote_body(4, 5)),
    sign(vote_body(9, 8)),
    sign(vote_body(10**9, 10**9 + 1)),
    sign(vote_body(10, 11, network="0x" + "34" * 32)),
    sign({**vote_body(11, 12), "signing_root": "0x" + "56" * 32}),
    sign(block_body(640)),
    sign(block_body(640, "another")),
    sign(block_body(639)),
    sign(block_body(2**63)),
    sign(RANDAO),
    sign({**RANDAO, "type": "NEVER_HEARD_OF"}),
    sign({**RANDAO, "randao_reveal": {"epoch": "-1"}}),
    sign(b"nonsense"),
    sign(b'{"type": "RANDAO_REVEAL", "type": "RANDAO_REVEAL"}'),
    sign(b" " * 65537),
    sign(vote_body(20, 21), AS_LIMITED, key=1),
    sign(block_body(700), AS_LIMITED, key=1),
    sign(vote_body(20, 21), "Authorization: Bearer wrong", key=1),
    sign(vote_body(20, 21), "Authorization: Basic d3Jvbmc6d3Jvbmc=", key=1),
    Step("POST", "/api/v1/eth2/sign/0x" + "12" * 48, json.dumps(RANDAO).encode()),
    Step("POST", "/api/v1/eth2/sign/nonsense", json.dumps(RANDAO).encode()),
    Step("POST", "//api/v1/eth2/sign/{0}", json.dumps(RANDAO).encode()),
    batch(
        {**vote_body(30, 31), "identifier": "@2"},
        {**vote_body(30, 31, "another"), "identifier": "@2"},
        {**RANDAO, "identifier": "0x" + "12" * 48},
        {"identifier": 7},
        {**block_body(1), "identifier": "@2", "signing_root": "0x" + "56" * 32},
    ),
    batch(),
    Step("POST", "/api/v1/eth2/sign", b'{"no": "list"}'),
    Step("POST", "/api/v1/eth2/ext/sign/{3}", EXTENSION, (AS_OPERATOR,)),
    Step("POST", "/api/v1/eth2/ext/sign/{3}", EXTENSION, (AS_LIMITED,)),
    Step("POST", "/api/v1/eth2/ext/sign/{3}", b"{}", (AS_OPERATOR,)),
    # operators
    Step("GET", "/admin/status"),
    Step("GET", "/admin/status", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/keys", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/keys", headers=(AS_LIMITED,)),
    Step("POST", "/admin/reload", headers=(AS_OPERATOR,)),
    Step("POST", "/admin/slashing/import", json.dumps(HISTORY).encode(), (AS_OPERATOR,)),
    Step("POST", "/admin/slashing/import", b"nonsense", (AS_OPERATOR,)),
    Step("POST", "/admin/slashing/import", json.dumps(FOREIGN_HISTORY).encode(), (AS_OPERATOR,)),
    Step("POST", "/admin/slashing/import", json.dumps(HISTORY).encode(), (AS_LIMITED,)),
    Step("POST", "/admin/slashing/import?dry_run=true", json.dumps(HISTORY).encode(), (AS_OPERATOR,)),
    Step("POST", "/admin/slashing/export", b'{"keys": ["@4"]}', (AS_OPERATOR,)),
    Step("POST", "/admin/slashing/export", b'{"keys": ["0x12"]}', (AS_OPERATOR,)),
    Step("GET", "/admin/slashing/receipt", headers=(AS_LIMITED,)),
    sign(vote_body(2290, 3007), key=4),
    sign(vote_body(2291, 3006), key=4),
    Step("POST", "/admin/keys/freeze", b'{"keys":["@5","all"]}', (AS_OPERATOR,)),
    Step("POST", "/admin/keys/freeze", b'{"keys":["all"]}', (AS_LIMITED,)),
    Step("POST", "/admin/keys/freeze", b'{"keys":["all","none"]}', (AS_OPERATOR,)),
    Step("GET", "/admin/keys/frozen", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/keys/frozen", headers=(AS_LIMITED,)),
    sign(RANDAO),
    Step("POST", "/admin/keys/thaw", b'{"keys":["all","@4"]}', (AS_OPERATOR,)),
    Step("POST", "/admin/keys/tag", b'{"keys":["@4"],"add":["lido"]}', (AS_OPERATOR,)),
    Step("POST", "/admin/keys/tag", b'{"keys":["@4"],"add":["lido"]}', (AS_LIMITED,)),
    Step("POST", "/admin/keys/tag", b'{"keys":["@4"],"add":["Lido"]}', (AS_OPERATOR,)),
    Step("POST", "/admin/keys/freeze", b'{"keys":["tag:lido"]}', (AS_OPERATOR,)),
    sign(vote_body(2290, 3009), key=4),
    Step("POST", "/admin/keys/tag", b'{"keys":["@4"],"remove":["lido"]}', (AS_OPERATOR,)),
    Step("GET", "/admin/keys/frozen", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/keys", headers=(AS_OPERATOR,)),
    Step("POST", "/admin/keys/thaw", b'{"keys":["tag:lido"]}', (AS_OPERATOR,)),
    Step("POST", "/admin/keys/delete", b'{"keys":["@5"]}', (AS_OPERATOR,)),
    Step("POST", "/admin/keys/delete", b'{"keys":["@5"]}', (AS_LIMITED,)),
    Step("POST", "/admin/keys/allow", b'{"keys":["@5"]}', (AS_OPERATOR,)),
    Step("POST", "/admin/keys/release", b'{"keys":["@5"]}', (AS_OPERATOR,)),
    Step("POST", "/admin/keys/release", b'{"keys":["@5"]}', (AS_LIMITED,)),
    Step("POST", "/admin/migration/out", b'{"keys":["@5"]}', (AS_LIMITED,)),
    Step("POST", "/admin/migration/in", b"{}", (AS_LIMITED,)),
    Step("POST", "/admin/migration/undo?reason=x&nothing_else_signs=true", b"{}", (AS_LIMITED,)),
    Step("GET", "/eth/v1/keystores"),
    Step("GET", "/eth/v1/keystores", headers=(AS_OPERATOR,)),
    Step("GET", "/eth/v1/keystores", headers=(AS_LIMITED,)),
    Step("POST", "/eth/v1/keystores", b'{"keystores":["{}"],"passwords":["x"]}', (AS_OPERATOR,)),
    Step("POST", "/eth/v1/keystores", b'{"keystores":["{}"],"passwords":["x"]}', (AS_LIMITED,)),
    Step("DELETE", "/eth/v1/keystores", b'{"pubkeys":["@4"]}', (AS_OPERATOR,)),
    Step("GET", "/eth/v1/remotekeys", headers=(AS_OPERATOR,)),
    Step("POST", "/eth/v1/remotekeys", b'{"remote_keys":[{}]}', (AS_OPERATOR,)),
    Step("DELETE", "/eth/v1/remotekeys", b'{"pubkeys":["@4"]}', (AS_OPERATOR,)),
    Step("POST", "/eth/v1/validator/{3}/feerecipient", PAID_TO, (AS_OPERATOR,)),
    Step("POST", "/eth/v1/validator/{3}/feerecipient", PAID_TO, (AS_LIMITED,)),
    Step("POST", "/eth/v1/validator/{3}/feerecipient", PAID_TO, ("Authorization: Bearer wrong",)),
    Step("POST", "/eth/v1/validator/{3}/feerecipient", PAID_TO),
    Step("POST", "/eth/v1/validator/{3}/feerecipient", b"{}", (AS_OPERATOR,)),
    Step("GET", "/eth/v1/validator/{3}/feerecipient", headers=(AS_OPERATOR,)),
    Step("GET", "/eth/v1/validator/{2}/feerecipient", headers=(AS_OPERATOR,)),
    Step("POST", "/eth/v1/validator/{3}/gas_limit", b'{"gas_limit":"36000000"}', (AS_OPERATOR,)),
    Step("GET", "/eth/v1/validator/{3}/gas_limit", headers=(AS_OPERATOR,)),
    Step("POST", "/eth/v1/validator/{3}/graffiti", b'{"graffiti":"a vote"}', (AS_OPERATOR,)),
    Step("GET", "/eth/v1/validator/{3}/graffiti", headers=(AS_OPERATOR,)),
    Step("GET", "/eth/v1/validator/{3}/graffiti", headers=(AS_LIMITED,)),
    sign(REGISTRATION, key=3),
    Step("POST", "/api/v1/eth2/explain/{3}", json.dumps(REGISTRATION).encode()),
    Step("GET", "/admin/keys/preferences/{3}", headers=(AS_OPERATOR,)),
    Step("POST", "/admin/keys/preferences", b'{"keys":["@3"],"cleared":["gas_limit"]}', (AS_OPERATOR,)),
    Step("POST", "/admin/keys/preferences", b'{"keys":["@3"],"cleared":["gas_limit"]}', (AS_LIMITED,)),
    sign(REGISTRATION, key=3),
    Step("DELETE", "/eth/v1/validator/{3}/feerecipient", headers=(AS_OPERATOR,)),
    Step("DELETE", "/eth/v1/validator/{3}/gas_limit", headers=(AS_OPERATOR,)),
    Step("DELETE", "/eth/v1/validator/{3}/graffiti", headers=(AS_OPERATOR,)),
    sign(REGISTRATION, key=3),
    Step("POST", "/eth/v1/validator/{3}/voluntary_exit?epoch=300000&validator_index=7", headers=(AS_OPERATOR,)),
    Step("POST", "/eth/v1/validator/{3}/voluntary_exit?epoch=300000", headers=(AS_OPERATOR,)),
    Step("POST", "/eth/v1/validator/{3}/voluntary_exit?epoch=3&validator_index=7", headers=(AS_LIMITED,)),
    sign(vote_body(2, 3), key=5),
    sign(RANDAO),
    Step("POST", "/api/v1/eth2/explain/{4}", json.dumps(vote_body(3008, 3009)).encode()),
    Step("POST", "/api/v1/eth2/explain/{4}", json.dumps(vote_body(2291, 3006)).encode()),
    Step("POST", "/api/v1/eth2/explain/{4}", json.dumps(vote_body(2290, 3007)).encode(), (AS_LIMITED,)),
    Step("POST", "/api/v1/eth2/explain/nonsense", json.dumps(RANDAO).encode()),
    Step("GET", "/admin/slashing/status", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/slashing/status?public_key={4}", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/slashing/status", headers=(AS_LIMITED,)),
    Step("GET", "/admin/slashing/explain?public_key={4}&source=2291&target=3006", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/slashing/explain?public_key={4}&slot=81952", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/slashing/explain?public_key={4}", headers=(AS_OPERATOR,)),
    Step("POST", "/admin/slashing/watermark", b'{"public_key": "@4", "low_slot": 81999}', (AS_OPERATOR,)),
    Step("POST", "/admin/slashing/watermark", b'{"high_epoch": 4000000}', (AS_OPERATOR,)),
    Step("POST", "/admin/slashing/watermark", b'{"clear_high": true}', (AS_OPERATOR,)),
    Step("POST", "/admin/slashing/watermark", b'{"low_epoch": 4, "high_epoch": 5}', (AS_OPERATOR,)),
    Step("POST", "/admin/slashing/watermark", b"{}", (AS_LIMITED,)),
    Step("POST", "/admin/slashing/prune", b'{"keep_epochs": 500}', (AS_OPERATOR,)),
    Step("POST", "/admin/slashing/prune", b'{"keep_epochs": 5}', (AS_OPERATOR,)),
    Step("POST", "/admin/slashing/prune", b"{}", (AS_LIMITED,)),
    Step("GET", "/admin/slashing/export", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/slashing/export", headers=(AS_LIMITED,)),
    Step("POST", "/admin/audit/verify", headers=(AS_OPERATOR,)),
    Step("POST", "/admin/audit/verify", headers=(AS_LIMITED,)),
    Step("GET", "/admin/audit/entries?last=4&public_key={0}", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/audit/entries?last=x", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/audit/entries", headers=(AS_LIMITED,)),
    # policies
    order("publish", (AS_OPERATOR,), pack=b64encode(NO_REVEALS).decode()),
    order("publish", (AS_LIMITED,), pack=b64encode(NO_REVEALS).decode()),
    order("publish", (AS_OPERATOR,), pack="AAAA"),
    order("activate", (AS_OPERATOR,), name="no-reveals"),
    order("bind", (AS_OPERATOR,), binding=TO_THE_FOURTH),
    order("retire", (AS_OPERATOR,), name="no-reveals"),
    order("retire", (AS_OPERATOR,), name="nobody"),
    sign(RANDAO, key=3),
    batch({**RANDAO, "identifier": "@3"}, {**RANDAO, "identifier": "@2"}),
    Step("POST", "/v1/sign/{3}", json.dumps(RANDAO).encode()),
    Step("POST", "/v1/sign/{3}", json.dumps(vote_body(40, 41)).encode()),
    Step("POST", "/v1/sign/{2}", json.dumps(RANDAO).encode()),
    Step("POST", "/v1/sign/nonsense", json.dumps(RANDAO).encode()),
    Step("POST", "/v1/policy/evaluate", json.dumps({"public_key": "@3", "request": RANDAO}).encode()),
    Step("POST", "/v1/policy/evaluate", json.dumps({"public_key": "@2", "request": RANDAO}).encode()),
    Step("POST", "/v1/policy/evaluate", b"{}"),
    Step("POST", "/api/v1/eth2/explain/{3}", json.dumps(RANDAO).encode()),
    Step("GET", "/admin/policy", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/policy", headers=(AS_LIMITED,)),
    Step("GET", "/admin/policy/history", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/policy/who-can?key={3}&action=RANDAO_REVEAL", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/policy/policies/{0}", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/policy/policies/no-reveals", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/policy/lists/{0}", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/policy/packs/{0}", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/policy/shadows", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/policy/decisions", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/policy/decisions", headers=(AS_LIMITED,)),
    Step("GET", "/admin/policy/decisions?limit=501", headers=(AS_OPERATOR,)),
    Step("GET", "/admin/policy/decisions?after=nowhere", headers=(AS_OPERATOR,)),
    order("unbind", (AS_OPERATOR,), binding=TO_THE_FOURTH),
    sign(RANDAO, key=3),
    Step("GET", "/v1/approvals", headers=(AS_OPERATOR,)),
    Step("GET", "/v1/approvals"),
    Step("GET", "/v1/approvals/{0}", headers=(AS_OPERATOR,)),
    Step("POST", "/v1/approvals/{0}/approve", b"{}", (AS_OPERATOR,)),
    Step("POST", "/v1/approvals/{0}/deny", b"{}", (AS_OPERATOR,)),
    Step("POST", "/v1/approvals/{0}/cancel", b"", (AS_OPERATOR,)),
    Step("POST", "/v1/approvals/{0}/collect", b"", (AS_OPERATOR,)),
    # the edge
    Step("GET", "/nowhere"),
    Step("DELETE", "/reload"),
    Step("GET", "/upcheck", headers=("Host: evil.example",)),
    Step("GET", "/upcheck", headers=("Origin: https://page.example",)),
    Step("GET", "/upcheck", headers=("Origin: https://other.example",)),
    Step("OPTIONS", "/reload", headers=("Origin: https://page.example", "Access-Control-Request-Method: POST")),
]  # fmt: skip


def ask(signer: RunningSigner, line: Line, step: Step, keys: list[str]) -> tuple[int, Any, str]:
    """Status, the head's lines that say something, and the body, without what changes from one answer to the next."""
    line.send(step.request(keys))
    with contextlib.closing(http.client.HTTPResponse(line._socket, method=step.method)) as answer:
        answer.begin()
        body = NOTED_TIME.sub("", answer.read().decode())
    skipped = {"date", "x-request-id", "content-length"}
    head = sorted((name.lower(), value) for name, value in answer.getheaders() if name.lower() not in skipped)
    settle(signer)
    return answer.status, head, VOLATILE.sub(r'"\1":"-"', body).replace(str(signer.directory), "DIRECTORY")


def settle(signer: RunningSigner) -> None:
    """Wait for a reload that the last request has begun."""
    until(lambda: json.loads(signer.get("/reload")[1])["status"] != "running")


@pytest.fixture(scope="module")
def signers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, RunningSigner]]:
    """By the number of their workers."""
    running = {}
    secrets = [interop_secret(number) for number in range(KEYS)]
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    with (
        running_signer(one, secrets=secrets, sections=SECTIONS) as running[1],
        running_signer(two, secrets=secrets, sections=merged(SECTIONS, {"server": {"workers": 2}})) as running[2],
    ):
        yield running


def test_every_route_that_a_client_can_ask_is_asked():
    documented = {
        (method.upper(), re.sub(r"\{(identifier|pubkey|id|name|version)\}", "{}", path))
        for path, operations in json.loads(DOCUMENT)["paths"].items()
        for method in operations
        if path != "/metrics"
    }
    asked = {(step.method, re.sub(r"\{\d\}", "{}", step.path.partition("?")[0])) for step in STEPS}
    assert documented <= asked


def test_two_workers_answer_like_one_process(signers):
    keys = signers[1].public_keys()
    assert signers[2].public_keys() == keys
    told, refused = [], set()
    for step in STEPS:
        with line_to_each(signers[2]) as lines:
            assert len(lines) == 2
            with line_to(signers[1].port) as first, line_to(signers[1].port) as second:
                alone = [ask(signers[1], line, step, keys) for line in (first, second)]
            by_workers = [ask(signers[2], line, step, keys) for line in lines.values()]
        assert by_workers == alone, step
        told.append(alone[0][0])
        refused |= set(re.findall(r'"code":"([A-Z_]+)"', alone[0][2] + alone[1][2]))
    assert set(told) >= {200, 202, 400, 401, 403, 404, 405, 412, 413}
    assert refused >= {
        "DOUBLE_VOTE", "SURROUNDING_VOTE", "SURROUNDED_VOTE", "BELOW_FLOOR", "DOUBLE_PROPOSAL", "FAR_FUTURE",
        "WRONG_NETWORK", "KEY_FROZEN", "SIGNING_ROOT_MISMATCH", "SOURCE_AFTER_TARGET", "UNKNOWN_KEY", "UNKNOWN_TYPE",
        "MALFORMED_REQUEST", "BODY_TOO_LARGE", "UNAUTHENTICATED", "FORBIDDEN", "DENIED_BY_RULE", "POLICY_BAD_PACK",
        "UNKNOWN_POLICY",
    }  # fmt: skip


def test_the_audit_logs_tell_the_same_story(signers):
    """After the same requests: the same entries, but for times, request ids and the order of what ran at once."""
    from signer.audit.chain import unpack
    from signer.audit.entry import Kind, decode_entry
    from signer.audit.verify import stored_batches
    from signer.journal.sqlite import SqliteDatabase

    told = {}
    for workers, signer in signers.items():
        database = SqliteDatabase(signer.data_directory / "journal.sqlite", read_only=True)
        try:
            batches = list(stored_batches(database, start=0))
        finally:
            database.close()
        entries = [decode_entry(entry) for batch in batches for entry in unpack(batch.entries)]
        told[workers] = sorted(
            astuple(replace(entry, time_ms=0, request_id=b"", note=NOTED_TIME.sub("", entry.note)))
            for entry in entries
            # Conflicting requests are noticed, and told once, by each process that was asked; and each is refused by a
            # change of policies that it has not heard of, and asks them again.
            if entry.kind not in (Kind.STARTED, Kind.SUMMARY, Kind.CONFLICTING_REQUESTS)
            and entry.code != "POLICY_CHANGED"
        )
    assert told[1] == told[2]
    assert len(told[1]) > 30


def test_tls_and_client_certificates_work_in_workers(tmp_path: Path):
    made = tmp_path / "tls"
    with running_signer(tmp_path, secrets=[interop_secret(0)]) as signer:
        done = holdfast(signer.config_file, "tls", "init", made)
        assert done.returncode == 0, done.stderr
    certificates = {path.name: path for path in made.iterdir()}
    tls = {
        "certificate_file": str(certificates["server.pem"]),
        "key_file": str(certificates["server.key"]),
        "client_ca_file": str(certificates["ca.pem"]),
    }
    directory = tmp_path / "encrypted"
    directory.mkdir()
    sections = {"server": {"workers": 2, "port": free_port(), "tls": tls}}
    with running_signer(directory, secrets=[interop_secret(0)], sections=sections) as signer:
        context = ssl.create_default_context(cafile=certificates["ca.pem"])
        context.load_cert_chain(certificates["validator.pem"], certificates["validator.key"])

        assert len(workers_of(signer)) == 2
        until(lambda: status_over_tls(signer, context) == 200)
        stranger = ssl.create_default_context(cafile=certificates["ca.pem"])
        with pytest.raises((ssl.SSLError, ConnectionError)):
            status_over_tls(signer, stranger)


def status_over_tls(signer: RunningSigner, context: ssl.SSLContext) -> int:
    connection = http.client.HTTPSConnection("127.0.0.1", signer.port, context=context, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        answer.read()
        return answer.status
