"""What `holdfast approvals` shows, signs and verifies; and that it signs nothing that does not hang together."""

import json
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from cli_line import AdminServer, Cli

from signer.approvals.hashes import facts_hash, request_hash
from signer.approvals.request import SignedStatement
from signer.approvals.signed_statement import Statement, check_signature, encode_statement, sign_statement
from signer.crypto.secret import Secret

DEVELOPMENT = ("--preset", "development", "--data-directory", "data")
KEY, ROOT, APPROVAL = "0x" + "aa" * 48, "0x" + "07" * 32, "a1" * 16
FACTS = {"duty": {"epoch": "300000", "type": "VOLUNTARY_EXIT"}, "payload_hash": ROOT, "version": 1}
HASH = (
    "0x"
    + request_hash(
        requester="exit-tool",
        public_key=bytes.fromhex(KEY[2:]),
        signing_root=bytes.fromhex(ROOT[2:]),
        subject="VOLUNTARY_EXIT",
    ).hex()
)
SHOWN = {
    "approval": APPROVAL,
    "kind": "signature",
    "state": "waiting",
    "reason": None,
    "type": "VOLUNTARY_EXIT",
    "requester": "exit-tool",
    "public_key": KEY,
    "signing_root": ROOT,
    "request_hash": HASH,
    "policies_hash": "0x" + "03" * 32,
    "facts": FACTS,
    "facts_hash": "0x" + facts_hash(msgspec.json.encode(FACTS, order="sorted")).hex(),
    "opened_ms": 1_800_000_000_000,
    "expires_ms": 1_800_003_600_000,
    "ready_ms": None,
    "demands": [
        {
            "policy": "exits",
            "quorum": 2,
            "groups": ["operators"],
            "delay_seconds": 60,
            "approved_by": ["bob"],
            "missing": 1,
        }
    ],
    "votes": [
        {
            "approver": "bob",
            "groups": ["operators"],
            "decision": "approve",
            "time_ms": 1_800_000_001_000,
            "signed": None,
        }
    ],
    "ended_ms": None,
    "ended_by": None,
}


class Votes:
    """A server that shows one request, and remembers what was said of it."""

    def __init__(self, server: AdminServer, data: Path) -> None:
        self.shown, self.said = dict(SHOWN), []
        server.answer("GET", "/v1/approvals", self._list)
        server.answer("GET", f"/v1/approvals/{APPROVAL}", self._show)
        for word in ("approve", "deny"):
            server.answer("POST", f"/v1/approvals/{APPROVAL}/{word}", self._vote)
        server.listen_on_socket(data / "admin.sock")

    async def _list(self, request: web.Request) -> web.Response:
        page = [self.shown] if "before" not in request.query else []
        return web.json_response({"approvals": page, "next_before": None if "before" in request.query else "5e" * 24})

    async def _show(self, _request: web.Request) -> web.Response:
        return web.json_response(self.shown)

    async def _vote(self, request: web.Request) -> web.Response:
        self.said.append((request.path.rpartition("/")[2], await request.json()))
        return web.json_response({**self.shown, "state": "approved", "demands": []})


@pytest.fixture
def votes(server: AdminServer, data: Path) -> Votes:
    return Votes(server, data)


@pytest.fixture
def key(cli: Cli, tmp_path: Path) -> tuple[Path, bytes]:
    file = tmp_path / "ann.key"
    made = cli("approvals", "keygen", file)
    assert made.code == 0, made.err
    assert file.stat().st_mode & 0o777 == 0o600
    assert cli("approvals", "keygen", file).code == 2, "a key is never overwritten"
    return file, bytes.fromhex(made.out.strip()[2:])


def test_a_request_is_shown_with_its_facts_and_every_page_is_listed(cli: Cli, votes: Votes) -> None:
    listed = cli("approvals", "list", *DEVELOPMENT)
    missing = "1 more approval from members of operators"
    assert listed.out.splitlines()[1:] == [
        f"{APPROVAL}\twaiting\tVOLUNTARY_EXIT\texit-tool\t{missing}\t2027-01-15T09:00:00Z"
    ]
    shown = cli("approvals", "show", APPROVAL, *DEVELOPMENT).out
    assert "fact duty.epoch\t300000" in shown
    assert "demanded\texits: 2 of operators, then 60 s; approved by bob" in shown
    assert json.loads(cli("approvals", "show", APPROVAL, "--json", *DEVELOPMENT).out)["request_hash"] == HASH


V1, V2 = "11" * 32, "22" * 32

CHANGES = [
    (
        {
            "what": "version",
            "policy": "staking",
            "goes": V1,
            "comes": V2,
            "for": ["tag:lido"],
            "description": "two for\nwould change",
            "published_by": "eve",
            "signed_by": None,
        },
        f'policy staking: {V1} goes, {V2} comes ("two for\\nwould change"), published by eve; it decides for tag:lido',
    ),
    (
        {"what": "version", "policy": "staking", "goes": V1, "comes": None, "for": []},
        f"policy staking: {V1} goes, none comes; it is bound nowhere",
    ),
    (
        {"what": "shadow", "policy": "staking", "goes": None, "comes": V2},
        f"policy staking, what runs beside it: none goes, {V2} comes",
    ),
    (
        {"what": "unbound", "policy": "staking", "version": V1, "place": "tag:lido"},
        f"policy staking has no say in tag:lido any more; version {V1} had",
    ),
    (
        {"what": "bound", "policy": "staking", "version": V1, "place": "tag:lido"},
        f"policy staking has a say in tag:lido from then on, with version {V1}",
    ),
    (
        {"what": "list", "list": "to", "items": 1, "goes": ["0x02"], "goes_count": 3, "comes": [], "comes_count": 0},
        "list to has 1 item then: -0x02 - 2 more",
    ),
    (
        {"what": "list", "list": "to", "items": None, "goes": [], "goes_count": 0, "comes": [], "comes_count": 0},
        "list to is gone: no item moves",
    ),
    (
        {"what": "trusted_keys", "goes": [], "goes_count": 0, "comes": [V1], "comes_count": 1},
        f"trusted keys: +{V1}",
    ),
    (
        {
            "what": "guard",
            "goes": {"quorum": 2, "groups": ["owners", "board"], "lifetime_seconds": 3600, "delay_seconds": 1},
            "comes": None,
        },
        "guard of changes: 2 of owners or board within 3600 seconds, then 1 second goes, none comes",
    ),
    ({"what": "of a newer server"}, '{"what": "of a newer server"}'),
]


def test_a_change_of_policies_is_shown_with_everything_it_would_change(cli: Cli, votes: Votes) -> None:
    facts = {
        "changes": [change for change, _ in CHANGES],
        "order": {"order": "activate", "name": "staking", "version": V2, "if_revision": 3},
        "revision": 3,
    }
    votes.shown |= {"kind": "policy_change", "type": "policy change", "public_key": None, "facts": facts}
    votes.shown |= {"state": "void", "reason": "the policies have moved"}
    lines = cli("approvals", "show", APPROVAL, *DEVELOPMENT).out.splitlines()
    assert [line for line in lines if line.startswith("would change\t")] == [
        f"would change\t{words}" for _, words in CHANGES
    ]
    assert f"fact order.version\t{V2}" in lines
    assert "because\tthe policies have moved" in lines


def test_nothing_is_decided_unseen(cli: Cli, votes: Votes) -> None:
    unseen = cli("approvals", "approve", APPROVAL, *DEVELOPMENT)
    assert unseen.code == 2
    assert HASH in unseen.err
    assert cli("approvals", "approve", APPROVAL, "--request-hash", "0x" + "00" * 32, *DEVELOPMENT).code == 2
    assert votes.said == []
    done = cli("approvals", "deny", APPROVAL, "--request-hash", HASH, *DEVELOPMENT)
    assert done.code == 0, done.err
    assert votes.said == [("deny", {"request_hash": HASH, "signed": None})]


def test_with_a_key_the_statement_is_about_what_was_shown(cli: Cli, votes: Votes, key: tuple[Path, bytes]) -> None:
    file, public_key = key
    line = ("approvals", "approve", APPROVAL, "--request-hash", HASH, *DEVELOPMENT)
    assert cli(*line, "--key", file).code == 2, "a key needs a name"
    done = cli(*line, "--key", file, "--as", "ann")
    assert done.code == 0, done.err
    ((_, body),) = votes.said
    said = check_signature(SignedStatement(**body["signed"]), public_key=public_key)
    assert (said.approver, said.decision, said.request_hash) == ("ann", "approve", HASH)
    assert (said.facts_hash, said.policies_hash) == (SHOWN["facts_hash"], SHOWN["policies_hash"])


@pytest.mark.parametrize(
    "lie",
    [
        {"facts": {**FACTS, "duty": {"epoch": "1", "type": "VOLUNTARY_EXIT"}}},
        {"signing_root": "0x" + "08" * 32},
        {"requester": "somebody-else"},
        {"type": "DEPOSIT"},
        {"public_key": "0x" + "ab" * 48},
    ],
    ids=lambda lie: next(iter(lie)),
)
def test_nothing_is_signed_where_what_is_shown_does_not_hang_together(
    cli: Cli, votes: Votes, key: tuple[Path, bytes], lie: dict
) -> None:
    votes.shown |= lie
    line = ("approvals", "approve", APPROVAL, "--request-hash", HASH, "--key", key[0], "--as", "ann")
    refused = cli(*line, *DEVELOPMENT)
    assert refused.code == 1
    assert "nothing was signed" in refused.err
    assert votes.said == []


def test_without_a_running_signer_nobody_is_asked(cli: Cli) -> None:
    asked = cli("approvals", "list", *DEVELOPMENT)
    assert asked.code == 2
    assert "no signer runs here" in asked.err


# --- verification, without any signer ------------------------------------------------------------------


def statement(
    decision: str = "approve", approver: str = "ann", key: bytes = b"\1" * 32, approval: str = APPROVAL
) -> SignedStatement:
    text = encode_statement(
        Statement(
            approval=approval,
            approver=approver,
            decision=decision,  # type: ignore[arg-type]
            facts_hash="0x" + "01" * 32,
            format="holdfast-approval-statement-1",
            policies_hash="0x" + "02" * 32,
            request_hash=HASH,
            time=1_800_000_000,
        )
    )
    return sign_statement(text, Secret(key))


def log_of(*signed: SignedStatement) -> str:
    notes = [json.dumps({"approval": APPROVAL, "signed": msgspec.to_builtins(each)}) for each in signed]
    return json.dumps({"entries": [{"kind": "approval_vote", "note": note} for note in notes]})


def verify(cli: Cli, tmp_path: Path, text: str, *keys: str, about: str = ""):
    file = tmp_path / "audit.json"
    file.write_text(text)
    words = [word for key in keys for word in ("--key", key)] + (["--approval", about] if about else [])
    return cli("approvals", "verify", file, *words)


def test_statements_of_the_audit_log_verify_offline(cli: Cli, tmp_path: Path) -> None:
    one, other = statement(), statement("deny", "bob", b"\2" * 32)
    keys = (f"ann={one.public_key}", f"bob={other.public_key}")
    said = verify(cli, tmp_path, log_of(one, other), *keys)
    assert said.code == 0, said.err
    assert said.out.splitlines() == [
        f"verifies\tann\tapprove\t{APPROVAL}\t2027-01-15T08:00:00Z",
        f"verifies\tbob\tdeny\t{APPROVAL}\t2027-01-15T08:00:00Z",
    ]
    lines = "\n".join(json.dumps(msgspec.to_builtins(each)) for each in (one, other))
    assert verify(cli, tmp_path, lines, *keys).code == 0, "one a line, as well"


def test_of_a_long_log_one_approval_is_verified(cli: Cli, tmp_path: Path) -> None:
    other = "b2" * 16
    one, denied = statement(), statement("deny", approval=other)
    key = f"ann={one.public_key}"
    said = verify(cli, tmp_path, log_of(one, denied), key, about=other)
    assert (said.code, said.out.splitlines()) == (0, [f"verifies\tann\tdeny\t{other}\t2027-01-15T08:00:00Z"])
    forged = statement(key=b"\2" * 32)
    assert verify(cli, tmp_path, log_of(forged, denied), key, about=other).code == 0, "another's is another question"
    assert verify(cli, tmp_path, log_of(forged, denied), key, about=APPROVAL.upper()).code == 1
    unreadable = msgspec.structs.replace(denied, statement='{"approver":"ann"}')
    assert verify(cli, tmp_path, log_of(unreadable, denied), key, about=other).code == 1, "it may be about this one"
    none = verify(cli, tmp_path, log_of(denied), key, about="c3" * 16)
    assert (none.code, none.out) == (1, "")
    assert "no signed statement about c3c3" in none.err
    assert verify(cli, tmp_path, log_of(denied), key, about="c3").code == 2


@pytest.mark.parametrize(
    "forged",
    [
        statement(key=b"\2" * 32),
        msgspec.structs.replace(statement("deny"), statement=statement().statement),
        msgspec.structs.replace(statement(), signature="0x" + "00" * 64),
        msgspec.structs.replace(statement(), statement='{"approver":"ann"}'),
    ],
    ids=["another key", "another decision", "no signature", "no statement"],
)
def test_a_forged_one_does_not(cli: Cli, tmp_path: Path, forged: SignedStatement) -> None:
    said = verify(cli, tmp_path, log_of(statement(), forged), f"ann={statement().public_key}")
    assert said.code == 1
    assert said.out.count("verifies\tann") == 1


def test_nothing_to_verify_and_nobody_s_key_are_no_success(cli: Cli, tmp_path: Path) -> None:
    assert verify(cli, tmp_path, '{"entries": []}', "ann=0x" + "00" * 32).code == 1
    unknown = verify(cli, tmp_path, log_of(statement()), f"bob={statement().public_key}")
    assert unknown.code == 1
    assert "no key of ann is known" in unknown.out
    assert verify(cli, tmp_path, "no json", "ann=0x" + "00" * 32).code == 2
    assert verify(cli, tmp_path, log_of(statement()), "ann=hello").code == 2
