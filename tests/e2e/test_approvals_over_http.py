"""An exit that two people must approve, against a real `holdfast serve`: asked, held, approved, collected, verified."""

import base64
import hashlib
import http.client
import json
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from duty_requests import NO_GUARD, fork_info, line_to
from policy.policy_packs import rules_pack, version_of
from running import RunningSigner, free_port, interop_secret, merged, running_signer

from signer.cli.approval_client import sign_shown
from signer.cli.approval_key import create_approval_key, read_approval_key

RULES = """
version: 1
allow:
  - name: duties
    payload: [duty]
require:
  - name: exits
    when: {types: [VOLUNTARY_EXIT]}
    uses: [{at_most: 3, window: 24h, per: policy}]
    approval: {quorum: 2, groups: [operators], lifetime: 12h}
"""

TOKENS = {name: f"{name}-{'x' * 24}" for name in ("exit-tool", "ann", "bob", "eve", "admin")}


def principal(name: str, *actions: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "token_sha256": hashlib.sha256(TOKENS[name].encode()).hexdigest(),
        "actions": list(actions),
        **more,
    }


def settings(workers: int, bobs_key: str, more: Mapping[str, Any]) -> dict[str, Any]:
    principals = [
        principal("exit-tool", "sign:duty", "keys:list"),
        principal("ann", "approvals:vote", groups=["operators"]),
        principal("bob", "approvals:vote", groups=["operators"], approval_key=bobs_key),
        principal("eve", "approvals:vote", groups=["drivers"]),
        principal("admin", "policy:read", "policy:write", "keys:list", "approvals:read"),
    ]
    security = {"require_authentication": True, "principals": principals}
    server = {"workers": workers, "admin_over_network": True}
    return merged(merged(NO_GUARD, {"security": security, "server": server}), more)


def exit_of(epoch: int) -> dict[str, Any]:
    return {
        "type": "VOLUNTARY_EXIT",
        "fork_info": fork_info(),
        "voluntary_exit": {"epoch": str(epoch), "validator_index": "7"},
    }


class Station:
    """A running signer, and everybody who asks it."""

    def __init__(self, signer: RunningSigner, directory: Path) -> None:
        self.signer, self.directory = signer, directory
        for name, token in TOKENS.items():
            file = directory / f"{name}.token"
            file.write_text(token)
            file.chmod(0o600)
        self.key = json.loads(self.ask("exit-tool", "GET", "/api/v1/eth2/publicKeys")[1])[0]

    def ask(self, who: str, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.signer.port, timeout=60)
        headers = {
            "Authorization": f"Bearer {TOKENS[who]}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def sign(self, epoch: int, path: str = "/v1/sign") -> tuple[int, dict[str, Any]]:
        status, body = self.ask("exit-tool", "POST", f"{path}/{self.key}", exit_of(epoch))
        return status, json.loads(body)

    def collect(self, approval: str) -> tuple[int, Any, Any]:
        """Status, code and the state that a refusal tells."""
        status, body = self.ask("exit-tool", "POST", f"/v1/approvals/{approval}/collect")
        answer = json.loads(body)
        return status, answer.get("code"), answer.get("state")

    def order(self, **order: Any) -> None:
        status, body = self.ask("admin", "POST", "/admin/policy/orders", order)
        assert status == 200, body

    def listed(self, who: str) -> list[dict[str, Any]]:
        return json.loads(self.ask(who, "GET", "/v1/approvals?state=all")[1])["approvals"]

    def publish(self, description: str = "") -> None:
        pack = rules_pack("staking", text=RULES, description=description)
        self.order(order="publish", pack=base64.b64encode(pack).decode())
        self.order(order="activate", name="staking", version=version_of(pack))

    def say(self, who: str, *words: str) -> Any:
        """A command of somebody on another machine."""
        endpoint = ("--endpoint", f"http://127.0.0.1:{self.signer.port}", "--token-file")
        return self.signer.holdfast("approvals", *words, *endpoint, self.directory / f"{who}.token")

    def steps(self, step: str) -> float:
        """How often requests have come so far, as the metrics page counts it in all processes."""
        with line_to(self.signer.metrics_port or 0) as line:
            page = line.get("/metrics").body.decode()
        (found,) = re.findall(rf'^holdfast_approvals_total{{step="{step}"}} (\S+)$', page, re.MULTILINE)
        return float(found)

    def approve(self, approval: str) -> None:
        """Ann and Bob say yes; what Bob says is signed."""
        for who in ("ann", "bob"):
            shown = json.loads(self.ask(who, "GET", f"/v1/approvals/{approval}")[1])
            said = {"approver": who, "time": int(time.time()), "key": read_approval_key(self.directory / "bob.key")}
            signed = sign_shown(shown, "approve", **said) if who == "bob" else None
            body = {"request_hash": shown["request_hash"], "signed": msgspec.to_builtins(signed)}
            status, answer = self.ask(who, "POST", f"/v1/approvals/{approval}/approve", body)
            assert status == 200, answer


@contextmanager
def running(
    tmp_path: Path, *, workers: int = 1, sections: Mapping[str, Any] | None = None, first: bool = True
) -> Iterator[Station]:
    """`first`: policies are put on record here; False: another signer of the database has done so."""
    tmp_path.mkdir(exist_ok=True)
    bob = create_approval_key(tmp_path / "bob.key").hex()
    settled = settings(workers, bob, sections or {})
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=settled) as signer:
        place = Station(signer, tmp_path)
        if first:
            place.publish()
            place.order(order="bind", binding={"policy": "staking", "to": {"kind": "key", "key_id": place.key}})
        yield place


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exit_waits_for_two_people_and_is_signed_once_however_often_it_is_collected(
    tmp_path: Path, workers: int
) -> None:
    with running(tmp_path, workers=workers, sections={"metrics": {"enabled": True, "port": free_port()}}) as station:
        status, held = station.sign(1)
        assert status == 202
        approval = held["approval"]["approval"]
        assert held["approval"]["missing"] == "staking needs 2 approvals from members of operators"
        assert [each["policy"] for each in held["policies"]] == ["staking"]

        status, refused = station.sign(1, "/api/v1/eth2/sign")
        assert (status, refused["code"], refused["approval"]) == (412, "APPROVAL_REQUIRED", approval)
        status, body = station.ask("exit-tool", "POST", f"/v1/approvals/{approval}/collect")
        assert (status, json.loads(body)["approval"]["approval"]) == (202, approval)

        hashed = {"request_hash": held["approval"]["request_hash"]}
        assert station.ask("exit-tool", "POST", f"/v1/approvals/{approval}/approve", hashed)[0] == 403
        assert station.ask("eve", "POST", f"/v1/approvals/{approval}/approve", hashed)[0] == 404
        assert station.ask("bob", "POST", f"/v1/approvals/{approval}/approve", hashed)[0] == 400, "bob has a key"
        station.approve(approval)
        assert (station.steps("opened"), station.steps("approved")) == (1, 1)

        station.signer.kill()
        station.signer.restart()

        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(station.sign, 1) for _ in range(2)]
            collect = ("exit-tool", "POST", f"/v1/approvals/{approval}/collect")
            asked += [pool.submit(station.ask, *collect) for _ in range(2)]
            answers = [each.result() for each in asked]
        assert [status for status, _ in answers] == [200] * 4, answers
        signatures = {(json.loads(body) if isinstance(body, bytes) else body)["signature"] for _, body in answers}
        assert len(signatures) == 1
        assert station.sign(1, "/api/v1/eth2/sign") == (200, {"signature": signatures.pop()})
        assert [each["state"] for each in station.listed("ann")] == ["spent"]
        assert station.steps("spent") == 1


def test_another_version_of_the_policy_makes_what_people_said_void_and_one_denial_is_enough(tmp_path: Path) -> None:
    with running(tmp_path) as station:
        first = station.sign(2)[1]["approval"]["approval"]
        station.approve(first)
        station.publish("another version")
        assert station.collect(first) == (409, "APPROVAL_CLOSED", "void")
        station.order(order="rollback", name="staking")
        assert station.collect(first) == (409, "APPROVAL_CLOSED", "void"), "what has come back is not what was there"
        assert len(station.listed("ann")) == 1, "who collects asks nobody anew"
        status, again = station.sign(2)
        assert status == 202
        second = again["approval"]["approval"]
        assert second != first
        states = {each["approval"]: each["state"] for each in station.listed("ann")}
        assert states == {first: "void", second: "waiting"}, "what was bound a moment ago has opened nothing"
        hashed = {"request_hash": again["approval"]["request_hash"]}
        assert station.ask("ann", "POST", f"/v1/approvals/{second}/deny", hashed)[0] == 200
        status, refused = station.sign(2)
        assert (status, refused["code"], refused["denied_by"]) == (412, "APPROVAL_DENIED", "ann")
        third = station.sign(3)[1]["approval"]["approval"]
        assert station.ask("exit-tool", "POST", f"/v1/approvals/{third}/cancel")[0] == 200
        assert station.collect(third) == (409, "APPROVAL_CLOSED", "cancelled")
        assert station.sign(3)[1]["approval"]["approval"] != third


def test_people_decide_by_commands_and_what_they_signed_verifies_from_the_audit_log(tmp_path: Path) -> None:
    with running(tmp_path) as station:
        held = station.sign(4)[1]["approval"]
        approval, looked_at = held["approval"], ("--request-hash", held["request_hash"])
        shown = station.say("ann", "show", approval).stdout
        assert "fact duty.validator_index\t7" in shown
        assert "fact duty.epoch\t4" in shown
        assert station.say("ann", "approve", approval, *looked_at).returncode == 0
        signed = station.say("bob", "approve", approval, *looked_at, "--key", tmp_path / "bob.key", "--as", "bob")
        assert signed.stdout == f"{approval} is approved\n", signed.stderr
        collected = station.say("exit-tool", "collect", approval)
        assert collected.returncode == 0, collected.stderr
        assert collected.stdout.strip() == station.sign(4)[1]["signature"]

        log = station.signer.holdfast("audit", "show", "--last", "100", "--json").stdout
        kinds = [entry["kind"] for entry in json.loads(log)["entries"]]
        assert (kinds.count("approval_opened"), kinds.count("approval_vote")) == (1, 2)
        (tmp_path / "audit.json").write_text(log)
        verified = station.signer.holdfast("approvals", "verify", tmp_path / "audit.json")
        assert verified.returncode == 0, verified.stderr
        assert verified.stdout.startswith(f"verifies\tbob\tapprove\t{approval}")
        forged = log.replace('\\\\\\"decision\\\\\\":\\\\\\"approve', '\\\\\\"decision\\\\\\":\\\\\\"deny')
        assert forged != log
        (tmp_path / "forged.json").write_text(forged)
        assert station.signer.holdfast("approvals", "verify", tmp_path / "forged.json").returncode == 1


def test_on_a_shared_database_people_decide_anywhere_and_the_same_request_is_collected_anywhere(
    database_url: str, tmp_path: Path
) -> None:
    shared = {"journal": {"url": database_url}}
    with (
        running(tmp_path / "first", sections=shared) as first,
        running(tmp_path / "second", sections=shared, first=False) as second,
    ):
        approval = first.sign(5)[1]["approval"]["approval"]
        assert second.sign(5)[1]["approval"]["approval"] == approval
        second.approve(approval)
        elsewhere = second.ask("exit-tool", "POST", f"/v1/approvals/{approval}/collect")
        assert (elsewhere[0], json.loads(elsewhere[1])["code"]) == (409, "SEALED_ELSEWHERE")
        with ThreadPoolExecutor(2) as pool:
            answers = [each.result() for each in [pool.submit(place.sign, 5) for place in (first, second)]]
        assert [status for status, _ in answers] == [200, 200], answers
        assert answers[0][1]["signature"] == answers[1][1]["signature"]
        collected = first.ask("exit-tool", "POST", f"/v1/approvals/{approval}/collect")
        assert (collected[0], json.loads(collected[1])["signature"]) == (200, answers[0][1]["signature"])
        assert [each["state"] for each in second.listed("ann")] == ["spent"]
