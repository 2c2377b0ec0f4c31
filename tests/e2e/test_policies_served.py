"""The life of a policy against a running signer, by commands and over HTTP: from a file to what is signed, and back."""

import base64
import hashlib
import http.client
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from duty_requests import NO_GUARD, line_to, vote_body
from e2e.worker_processes import line_to_each, until
from policy.policy_packs import ALLOW_DUTIES, NO_DUTIES, OWNER, STRANGER, key_of, rules_pack, sign_pack, version_of
from policy.sample_facts import facts
from running import RunningSigner, holdfast, interop_secret, merged, running_signer, set_up, write_configuration

from signer.operations.record import DATABASE_FILE

NOTHING = rules_pack("staking", text=NO_DUTIES, description="nothing")
DUTIES = rules_pack("staking", text=ALLOW_DUTIES, description="duties")

TOKEN = "a-token-of-an-operator"
OPERATOR = {
    "name": "operator-1",
    "actions": ["policy:read", "policy:write", "audit:read"],
    "token_sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
}
OWNERS_TOKEN = "a-token-of-an-owner"
OWNER_WHO_APPROVES = {
    "name": "ann",
    "groups": ["owners"],
    "actions": ["approvals:vote"],
    "token_sha256": hashlib.sha256(OWNERS_TOKEN.encode()).hexdigest(),
}
PATIENCE_SECONDS = 60.0


def sections(workers: int = 1, *principals: dict[str, Any]) -> dict[str, Any]:
    server = {"workers": workers, "admin_over_network": True}
    return merged({"server": server, "security": {"principals": [OPERATOR, *principals]}}, NO_GUARD)


def written(directory: Path, pack: bytes) -> Path:
    file = directory / "staking.policy"
    file.write_bytes(pack)
    return file


def told(signer: RunningSigner, *words: str | Path) -> dict[str, Any]:
    """What a command says."""
    said = signer.holdfast("policy", *words, "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)


def refused(signer: RunningSigner, *words: str | Path) -> dict[str, Any]:
    said = signer.holdfast("policy", *words, "--json")
    assert said.returncode != 0, said.stdout
    return json.loads(said.stderr)


def asked(
    signer: RunningSigner, path: str, body: dict[str, Any] | None = None, *, token: str = TOKEN
) -> tuple[int, Any]:
    """The answer of a route, over the network: of a worker, where there are any."""
    with closing(http.client.HTTPConnection("127.0.0.1", signer.port, timeout=PATIENCE_SECONDS)) as connection:
        headers = {"Authorization": f"Bearer {token}"}
        text = None if body is None else json.dumps(body)
        connection.request("GET" if body is None else "POST", path, body=text, headers=headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


def ordered(signer: RunningSigner, order: str, /, **members: Any) -> dict[str, Any]:
    status, answer = asked(signer, "/admin/policy/orders", {"order": order, **members})
    assert status == 200, answer
    return answer


def publish(signer: RunningSigner, pack: bytes) -> dict[str, Any]:
    return ordered(signer, "publish", pack=base64.b64encode(pack).decode())


def bound_to(key: str) -> dict[str, Any]:
    return {"binding": {"policy": "staking", "to": {"kind": "key", "key_id": key}}}


class Voter:
    """Asks every process of a signer for a vote, of another epoch each time."""

    def __init__(self, signer: RunningSigner, key: str, *, workers: int = 1) -> None:
        self._signer, self._key, self._workers = signer, key, workers
        self._epoch = 0

    def verdicts(self) -> set[str]:
        self._epoch += 1
        body = vote_body(self._epoch, self._epoch + 1)
        with self._lines() as lines:
            return {line.sign(self._key, body).verdict.split()[0] for line in lines}

    @contextmanager
    def _lines(self) -> Iterator[list[Any]]:
        if self._workers == 1:
            with line_to(self._signer.port) as line:
                yield [line]
        else:
            with line_to_each(self._signer) as found:
                yield list(found.values())


def test_a_policy_lives_from_its_file_to_its_retirement_by_commands(tmp_path: Path) -> None:
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=sections()) as signer:
        [key] = signer.public_keys()
        voter = Voter(signer, key)
        assert told(signer, "publish", written(tmp_path, NOTHING))["status"] == "done"
        assert told(signer, "activate", "staking", version_of(NOTHING)[:8])["revision"] == 2
        assert told(signer, "bind", "staking", f"key:{key}", "tag:lido")["orders"][1]["revision"] == 4
        assert voter.verdicts() == {"412"}
        told(signer, "publish", written(tmp_path, DUTIES))
        told(signer, "activate", "staking")
        assert voter.verdicts() == {"signed"}
        told(signer, "rollback", "staking")
        assert voter.verdicts() == {"412"}
        assert refused(signer, "retire", "staking")["code"] == "POLICY_ORDER_REFUSED"
        told(signer, "unbind", "staking", f"key:{key}", "tag:lido")
        told(signer, "retire", "staking")
        assert voter.verdicts() == {"signed"}
        changes = [each["change"].split()[0] for each in told(signer, "status")["changes"]]
        assert changes == [
            "retired",
            *["unbound"] * 2,
            "rolled",
            *["activated", "published"],
            *["bound"] * 2,
            *changes[-2:],
        ]
        log = json.loads(signer.holdfast("audit", "show", "--last", "100", "--json").stdout)["entries"]
        kinds = [entry["kind"] for entry in log if entry["kind"].startswith("policy_")]
        assert kinds == [
            "policy_published",
            "policy_activated",
            *["policy_bound"] * 2,
            "policy_published",
            "policy_activated",
            "policy_rolled_back",
            *["policy_unbound"] * 2,
            "policy_retired",
        ]


def test_an_order_to_one_worker_holds_for_the_next_signature_of_every_other(tmp_path: Path) -> None:
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=sections(2, OWNER_WHO_APPROVES)) as signer:
        [key] = signer.public_keys()
        voter = Voter(signer, key, workers=2)
        for pack in (DUTIES, NOTHING):
            publish(signer, pack)
            ordered(signer, "activate", name="staking")
        assert voter.verdicts() == {"signed"}, "bound nowhere"
        ordered(signer, "bind", **bound_to(key))
        for _ in range(3):
            assert voter.verdicts() == {"412"}
            ordered(signer, "rollback", name="staking")
            assert voter.verdicts() == {"signed"}
            ordered(signer, "activate", name="staking")
        status, answer = asked(signer, "/admin/policy/orders", {"order": "retire", "name": "staking"})
        assert (status, answer["code"]) == (409, "POLICY_ORDER_REFUSED")

        # Under guard the same order waits until somebody else has approved it.
        ordered(signer, "guard", guard={"quorum": 1, "groups": ["owners"], "lifetime_seconds": 3600})
        order = {"order": "rollback", "name": "staking"}
        status, waits = asked(signer, "/admin/policy/orders", order)
        assert (status, waits["code"]) == (412, "APPROVAL_REQUIRED")
        assert voter.verdicts() == {"412"}
        said = {"request_hash": waits["request_hash"]}
        status, _ = asked(signer, f"/v1/approvals/{waits['approval']}/approve", said, token=OWNERS_TOKEN)
        assert status == 200
        ordered(signer, "rollback", name="staking")
        assert voter.verdicts() == {"signed"}
        assert asked(signer, "/admin/policy/orders", {"order": "guard"})[0] == 412


def test_a_signer_with_a_damaged_set_of_policies_is_not_ready_and_one_that_is_only_staged_is_not_asked(
    tmp_path: Path,
) -> None:
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=sections()) as signer:
        [key] = signer.public_keys()
        publish(signer, DUTIES)
        question = {"facts": msgspec.to_builtins(facts()), "policies": ["staking"]}
        status, answer = asked(signer, "/v1/policy/evaluate", question)
        assert (status, answer["code"], answer["staged"]) == (400, "POLICY_NOT_ACTIVE", version_of(DUTIES)), answer
        assert asked(signer, "/health/ready") == (200, {"status": "UP"})
        signer.kill()
        with closing(sqlite3.connect(signer.data_directory / DATABASE_FILE)) as database, database:
            database.execute("INSERT INTO policy_sets SELECT revision + 1, '{', 0, 'x', 'x' FROM policy_sets")
        signer.start()
        signer.wait_until_listening()
        until(lambda: asked(signer, "/health/startup")[0] == 200)
        status, answer = asked(signer, "/health/ready")
        assert (status, answer["reason"].split(":")[0]) == (503, "POLICIES_UNREADABLE")
        with line_to(signer.port) as line:
            assert line.sign(key, vote_body(1, 2)).verdict == "500 POLICIES_UNREADABLE"


def test_a_crash_between_publish_and_activate_loses_nothing_and_lets_nothing_decide(tmp_path: Path) -> None:
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=sections()) as signer:
        [key] = signer.public_keys()
        publish(signer, DUTIES)
        ordered(signer, "activate", name="staking")
        ordered(signer, "bind", **bound_to(key))
        publish(signer, NOTHING)
        _, before = asked(signer, "/admin/policy")
        signer.kill()
        signer.restart()
        assert asked(signer, "/admin/policy") == (200, before)
        [policy] = before["policies"]
        assert (policy["version"], policy["staged"]) == (version_of(DUTIES), version_of(NOTHING))
        voter = Voter(signer, key)
        assert voter.verdicts() == {"signed"}
        ordered(signer, "activate", name="staking")
        assert voter.verdicts() == {"412"}
        ordered(signer, "rollback", name="staking")
        assert voter.verdicts() == {"signed"}
        assert asked(signer, "/admin/policy")[1]["digest"] == before["digest"]


def test_orders_are_given_without_a_running_signer_too(tmp_path: Path) -> None:
    config = write_configuration(tmp_path, sections())
    set_up(config)

    def say(*words: str | Path) -> dict[str, Any]:
        said = holdfast(config, "policy", *words, "--json")
        assert said.returncode == 0, said.stderr
        return json.loads(said.stdout)

    pack, signature = written(tmp_path, DUTIES), tmp_path / "staking.policy.sig"
    say("trust", "0x" + key_of(OWNER))
    signature.write_bytes(sign_pack(DUTIES, STRANGER))
    wrong = holdfast(config, "policy", "publish", pack, "--json")
    assert (wrong.returncode, json.loads(wrong.stderr)["code"]) == (1, "POLICY_BAD_SIGNATURE")
    signature.write_bytes(sign_pack(DUTIES, OWNER))
    say("publish", pack)
    (tmp_path / "receivers.txt").write_text("# people\n0x03\n\n0x01\n")
    say("lists", "receivers", "--from", tmp_path / "receivers.txt")
    assert say("lists", "receivers") == {"name": "receivers", "items": ["0x01", "0x03"]}
    shown = say("show", "staking")
    assert (shown["staged"], shown["published"][0]["signed_by"]) == (version_of(DUTIES), key_of(OWNER))


def test_mistakes_are_told_with_what_would_be_right(tmp_path: Path) -> None:
    with running_signer(tmp_path, sections=sections()) as signer:
        for words in (("bind", "staking", "lido"), ("rollback",), ("trust", "0x12")):
            assert refused(signer, *words)["code"] == "USAGE", words
        broken = rules_pack(text="version: 1\nallow:\n  - name: a\n    chainz: [1]\n")
        for body, status, code in (
            ({"order": "publish", "pack": base64.b64encode(broken).decode()}, 400, "POLICY_BAD_PACK"),
            ({"order": "publish", "pack": "?"}, 400, "MALFORMED_REQUEST"),
            ({"order": "activate", "name": "staking"}, 404, "UNKNOWN_POLICY"),
            ({"order": "activate", "name": "staking", "versoin": ""}, 400, "MALFORMED_REQUEST"),
            (
                {"order": "bind", "binding": {"policy": "a", "to": {"kind": "tag", "tag": "A"}}},
                400,
                "MALFORMED_REQUEST",
            ),
            ({"order": "keep_facts", "namespaces": ["a"], "if_revision": 3}, 409, "POLICY_REVISION_MOVED"),
        ):
            found, answer = asked(signer, "/admin/policy/orders", body)
            assert (found, answer["code"]) == (status, code), body
        assert asked(signer, "/admin/policy")[1]["revision"] == 0


def test_who_can_names_principals_and_the_policies_that_have_a_say(tmp_path: Path) -> None:
    key = "0x93247f2209abcacf57b75a51dafae777f9dd38bc7053d1af526f220a7489a6d3a2753e5f3e8b1cfe39b56f43611df74a"
    client = {"name": "vouch", "groups": ["clients"], "token_sha256": "1" * 64, "duties": ["ATTESTATION"]}
    watchman = {"name": "watchman", "token_sha256": "2" * 64, "actions": ["keys:freeze"]}
    access = {"security": {"require_authentication": True}}
    with running_signer(tmp_path, sections=merged(sections(1, client, watchman), access)) as signer:
        publish(signer, DUTIES)
        ordered(signer, "activate", name="staking")
        for to in ({"kind": "caller", "identity": "vouch"}, {"kind": "namespace", "namespace": "default"}):
            ordered(signer, "bind", binding={"policy": "staking", "to": to})

        def who(action: str) -> dict[str, tuple[bool, list[str]]]:
            status, answer = asked(signer, f"/admin/policy/who-can?key={key}&action={action}")
            assert status == 200, answer
            return {
                each["principal"]: (each["may"], [word for one in each["policies"] for word in one["through"]])
                for each in answer["principals"]
            }

        assert who("ATTESTATION") == {
            "operator": (True, ["namespace:default"]),
            "operator-1": (False, []),
            "vouch": (True, ["namespace:default", "caller:vouch"]),
            "watchman": (False, []),
        }
        assert who("BLOCK_V2")["vouch"] == (False, [])
        freezing = {"operator": True, "operator-1": False, "vouch": False, "watchman": True}
        assert who("keys:freeze") == {name: (may, []) for name, may in freezing.items()}
        for unknown in ("sign:all", "BLOKC_V2", "block_v2", ""):
            status, answer = asked(signer, f"/admin/policy/who-can?key={key}&action={unknown}")
            assert (status, "BLOCK_V2" in answer["detail"]) == (400, True), answer
        shown = told(signer, "who-can", key, "ATTESTATION")
        assert [each["principal"] for each in shown["principals"] if each["may"]] == ["operator", "vouch"]
