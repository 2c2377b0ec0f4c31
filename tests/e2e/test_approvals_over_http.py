"""An exit that two people must approve, against a real `holdfast serve`: asked, held, approved, collected, verified."""

import base64
import hashlib
import http.client
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from duty_requests import NO_GUARD, fork_info
from policy.policy_packs import rules_pack, version_of
from running import HOLDFAST, REPOSITORY, RunningSigner, interop_secret, merged, running_signer

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


def settings(workers: int, bobs_key: str) -> dict[str, Any]:
    principals = [
        principal("exit-tool", "sign:duty", "keys:list"),
        principal("ann", "approvals:vote", groups=["operators"]),
        principal("bob", "approvals:vote", groups=["operators"], approval_key=bobs_key),
        principal("eve", "approvals:vote", groups=["drivers"]),
        principal("admin", "policy:read", "policy:write", "keys:list", "approvals:read"),
    ]
    security = {"require_authentication": True, "principals": principals}
    server = {"workers": workers, "admin_over_network": True}
    return merged(NO_GUARD, {"security": security, "server": server})


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

    def order(self, **order: Any) -> None:
        status, body = self.ask("admin", "POST", "/admin/policy/orders", order)
        assert status == 200, body

    def publish(self, description: str = "") -> None:
        pack = rules_pack("staking", text=RULES, description=description)
        self.order(order="publish", pack=base64.b64encode(pack).decode())
        self.order(order="activate", name="staking", version=version_of(pack))

    def say(self, who: str, *words: str) -> Any:
        """A command of somebody on another machine."""
        endpoint = ("--endpoint", f"http://127.0.0.1:{self.signer.port}", "--token-file")
        return self.signer.holdfast("approvals", *words, *endpoint, self.directory / f"{who}.token")

    def approve(self, who: str, approval: str, *key: str) -> Any:
        shown = json.loads(self.say(who, "show", approval, "--json").stdout)
        said = self.say(who, "approve", approval, "--request-hash", shown["request_hash"], *key)
        assert said.returncode == 0, said.stderr
        return said


@pytest.fixture(params=[1, 2], ids=["one process", "workers"])
def station(request: pytest.FixtureRequest, tmp_path: Path):
    made = holdfast_keygen(tmp_path)
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=settings(request.param, made)) as signer:
        place = Station(signer, tmp_path)
        place.publish()
        place.order(order="bind", binding={"policy": "staking", "to": {"kind": "key", "key_id": place.key}})
        yield place


def holdfast_keygen(directory: Path) -> str:
    line = [*HOLDFAST, "approvals", "keygen", directory / "bob.key"]
    return subprocess.run(line, check=True, capture_output=True, text=True, cwd=REPOSITORY).stdout.strip()


def test_an_exit_waits_for_two_people_and_is_signed_once_however_often_it_is_collected(
    station: Station, tmp_path: Path
) -> None:
    status, held = station.sign(1)
    assert status == 202
    approval = held["approval"]["approval"]
    assert held["approval"]["missing"] == "staking: 2 of operators"
    assert [each["policy"] for each in held["policies"]] == ["staking"]

    status, refused = station.sign(1, "/api/v1/eth2/sign")
    assert (status, refused["code"], refused["approval"]) == (412, "APPROVAL_REQUIRED", approval)
    assert station.ask("exit-tool", "POST", f"/v1/approvals/{approval}/collect")[0] == 412

    hashed = {"request_hash": held["approval"]["request_hash"]}
    assert station.ask("exit-tool", "POST", f"/v1/approvals/{approval}/approve", hashed)[0] == 403
    assert station.ask("eve", "POST", f"/v1/approvals/{approval}/approve", hashed)[0] == 404
    assert station.ask("bob", "POST", f"/v1/approvals/{approval}/approve", hashed)[0] == 400, "bob has a key"

    listed = station.say("ann", "list")
    assert approval in listed.stdout
    assert station.say("eve", "list", "--json").stdout == '{\n  "approvals": []\n}\n'
    shown = station.say("ann", "show", approval).stdout
    assert "fact duty.validator_index\t7" in shown
    assert "fact duty.epoch\t1" in shown
    station.approve("ann", approval)
    assert station.say("bob", "approve", approval, "--request-hash", "0x" + "00" * 32).returncode == 2
    station.approve("bob", approval, "--key", str(tmp_path / "bob.key"), "--as", "bob")

    station.signer.kill()
    station.signer.restart()

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(station.sign, 1) for _ in range(2)]
        asked += [pool.submit(station.ask, "exit-tool", "POST", f"/v1/approvals/{approval}/collect") for _ in range(2)]
        answers = [each.result() for each in asked]
    assert [status for status, _ in answers] == [200] * 4, answers
    signatures = {(json.loads(body) if isinstance(body, bytes) else body)["signature"] for _, body in answers}
    assert len(signatures) == 1
    assert station.sign(1, "/api/v1/eth2/sign") == (200, {"signature": signatures.pop()})

    spent = json.loads(station.say("ann", "list", "--all", "--json").stdout)["approvals"]
    assert [(each["approval"], each["state"]) for each in spent] == [(approval, "spent")]
    counted = json.loads(
        station.ask("exit-tool", "POST", "/v1/policy/evaluate", {"public_key": station.key, "request": exit_of(1)})[1]
    )
    assert counted["decision"] == "require_approval"

    log = station.signer.holdfast("audit", "show", "--last", "100", "--json")
    (tmp_path / "audit.json").write_text(log.stdout)
    kinds = [entry["kind"] for entry in json.loads(log.stdout)["entries"]]
    assert (kinds.count("approval_opened"), kinds.count("approval_vote")) == (1, 2)
    verified = station.signer.holdfast("approvals", "verify", tmp_path / "audit.json")
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.startswith("verifies\tbob\tapprove\t" + approval)
    forged = log.stdout.replace('\\\\\\"approver\\\\\\":\\\\\\"bob', '\\\\\\"approver\\\\\\":\\\\\\"ann')
    assert forged != log.stdout
    (tmp_path / "forged.json").write_text(forged)
    assert station.signer.holdfast("approvals", "verify", tmp_path / "forged.json").returncode == 1


def test_another_version_of_the_policy_makes_what_people_said_void_and_one_denial_is_enough(
    station: Station, tmp_path: Path
) -> None:
    first = station.sign(2)[1]["approval"]["approval"]
    station.approve("ann", first)
    station.approve("bob", first, "--key", str(tmp_path / "bob.key"), "--as", "bob")
    station.publish("another version")
    status, again = station.sign(2)
    assert status == 202
    second = again["approval"]["approval"]
    assert second != first
    assert json.loads(station.say("ann", "show", first, "--json").stdout)["state"] == "void"
    denied = station.say("ann", "deny", second, "--request-hash", again["approval"]["request_hash"])
    assert denied.returncode == 0, denied.stderr
    status, refused = station.sign(2)
    assert (status, refused["code"], refused["denied_by"]) == (412, "APPROVAL_DENIED", "ann")
    third = station.sign(3)[1]["approval"]["approval"]
    assert station.ask("exit-tool", "POST", f"/v1/approvals/{third}/cancel")[0] == 200
    assert station.sign(3)[1]["approval"]["approval"] != third
