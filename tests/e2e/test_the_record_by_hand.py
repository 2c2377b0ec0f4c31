"""The record by hand, on a running signer and on one that is stopped; dry runs; and a second client, noticed."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from duty_requests import NO_GUARD, block_body, line_to, root_of, vote_body
from running import RunningSigner, free_port, interop_secret, merged, running_signer
from worker_processes import until

SECTIONS: dict[str, Any] = {**NO_GUARD, "journal": {"prune_keep_epochs": 20, "prune_keep_slots": 640}}
NAMES = ("alice", "bob")


def told(signer: RunningSigner, *words: str, code: int = 0) -> Any:
    """What a command prints as JSON."""
    done = signer.holdfast("slashing", *words, "--json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout) if done.stdout else json.loads(done.stderr)


@pytest.fixture(params=["running", "stopped"])
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningSigner]:
    """One that has signed votes 10->11 to 39->40 and a block, and runs on or was stopped."""
    with running_signer(tmp_path, secrets=[interop_secret(0)], sections=SECTIONS) as running:
        [key] = running.public_keys()
        with line_to(running.port) as line:
            for epoch in range(11, 41):
                assert line.sign(key, vote_body(epoch - 1, epoch)).verdict == "signed"
            assert line.sign(key, block_body(1300)).verdict == "signed"
        running.key = key  # type: ignore[attr-defined]
        if request.param == "stopped":
            running.stop()
        yield running


def test_the_record_is_shown_explained_and_changed_by_hand(signer: RunningSigner) -> None:
    key: str = signer.key  # type: ignore[attr-defined]
    status = told(signer, "status")
    assert [(one["public_key"], one["votes"], one["newest_target"]) for one in status["keys"]] == [(key, 30, 40)]
    assert told(signer, "status", key)["keys"] == status["keys"]
    assert told(signer, "status", "0x" + "12" * 48, code=1)["keys"] == []

    root = "0x" + root_of(vote_body(39, 40)).hex()
    asked = ("explain", key, "--source", "39", "--target")
    assert told(signer, *asked, "40", "--root", root)["verdict"] == "repeat"
    refused = told(signer, *asked, "40", code=1)
    assert (refused["would_sign"], refused["code"]) == (False, "DOUBLE_VOTE")
    assert refused["evidence"]["recorded_signing_root"] == root
    new = told(signer, *asked, "41")
    assert (new["would_sign"], new["room"]["least_target"], new["room"]["least_slot"]) == (new["key_loaded"], 41, 1301)
    assert new["key_loaded"] in (True, None)  # None: no server runs, and the command loads no key
    mistyped = told(signer, "explain", "0x" + "12" * 48, "--source", "40", "--target", "41", code=3)
    assert not mistyped["would_sign"]
    assert told(signer, "explain", key, "--slot", "1300", code=1)["code"] == "DOUBLE_PROPOSAL"
    words = signer.holdfast("slashing", *asked, "40")
    assert words.returncode == 1
    assert "no: the vote 39->40 has the same target" in words.stdout
    assert "accepted in any case: a vote with source from 39 on and target from 41 on" in words.stdout

    assert told(signer, "prune") == {"votes": 10, "blocks": 0}
    assert told(signer, "explain", key, "--source", "15", "--target", "16", code=1)["code"] == "BELOW_FLOOR"
    moved = told(signer, "watermark", "--high-epoch", "45", "--high-slot", "1400")
    assert (moved["before"]["high_epoch"], moved["after"]["high_epoch"]) == (None, 45)
    assert told(signer, *asked, "45", code=1)["code"] == "HIGH_WATERMARK"
    assert told(signer, "watermark", "--low-epoch", "44", code=1)["code"] == "BAD_WATERMARK"
    assert told(signer, "watermark", "--clear-high")["after"]["high_epoch"] is None
    assert told(signer, "watermark", "--key", key, "--low-epoch", "50")["after"]["floor_target"] == 50
    assert told(signer, "watermark", "--low-epoch", "30")["after"]["low_epoch"] == 30
    assert told(signer, "watermark", "--low-epoch", "20")["after"]["low_epoch"] == 30

    entries = json.loads(signer.holdfast("audit", "show", "--json").stdout)["entries"]
    kinds = [entry["kind"] for entry in entries if entry["kind"] in ("watermark_moved", "pruned")]
    assert kinds == ["pruned", *["watermark_moved"] * 5]
    assert {entry["principal"] for entry in entries if entry["kind"] == "watermark_moved"} == {"operator"}


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    """One that nothing has an effect on, and many lines therefore share."""
    with running_signer(tmp_path_factory.mktemp("unchanged")) as running:
        yield running


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "0x12", "--slot", "1"),
        ("explain", "0x" + "12" * 48),
        ("explain", "0x" + "12" * 48, "--source", "1", "--slot", "2"),
        ("watermark",),
        ("watermark", "--low-epoch", "-1"),
        ("prune", "--key", "x"),
        ("status", "x"),
    ],
)
def test_a_line_that_makes_no_sense_is_a_fault_of_the_line(unchanged: RunningSigner, words: tuple[str, ...]) -> None:
    assert unchanged.holdfast("slashing", *words).returncode == 2


# --- a dry run over HTTP ---------------------------------------------------------------------------------


def post(signer: RunningSigner, path: str, body: dict[str, Any], name: str = "alice") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", signer.port, timeout=30)
    headers = {"Authorization": f"Bearer {name}-0123456789abcdef0123456789abcdef", "Accept": "application/json"}
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told


def principals(workers: int) -> dict[str, Any]:
    tokens = {name: sha256(f"{name}-0123456789abcdef0123456789abcdef".encode()).hexdigest() for name in NAMES}
    return merged(
        NO_GUARD,
        {
            "server": {"workers": workers},
            "metrics": {"enabled": True, "port": free_port()},
            "security": {
                "principals": [{"name": name, "token_sha256": tokens[name], "actions": ["sign:duty"]} for name in NAMES]
            },
        },
    )


@pytest.fixture(scope="module", params=[1, 2])
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    """One with two keys that named clients ask: one process, and two workers."""
    directory, secrets = tmp_path_factory.mktemp("asked"), [interop_secret(0), interop_secret(1)]
    with running_signer(directory, secrets=secrets, sections=principals(request.param)) as running:
        yield running


def test_a_dry_run_says_what_signing_would_and_writes_nothing(asked: RunningSigner) -> None:
    key = keys_of(asked)[0]
    ask, sign = f"/api/v1/eth2/explain/{key}", f"/api/v1/eth2/sign/{key}"
    before, signed = decisions_of(asked, key), []
    for source, target, mark, verdict in [
        (10, 11, "a", (True, False, None)),
        (10, 11, "b", (False, False, "DOUBLE_VOTE")),
        (10, 11, "a", (True, True, None)),
        (9, 30, "a", (False, False, "BELOW_FLOOR")),
        (12, 20, "a", (True, False, None)),
        (13, 19, "a", (False, False, "SURROUNDED_VOTE")),
        (11, 21, "a", (False, False, "SURROUNDING_VOTE")),
    ]:
        body = vote_body(source, target, mark)
        first, second = post(asked, ask, body), post(asked, ask, body)
        status, told = first
        refusal = told["refusal"]
        assert (status, told["would_sign"], told["repeat"]) == (200, *verdict[:2])
        assert (None if refusal is None else refusal["code"]) == verdict[2]
        assert told["signing_root"] == "0x" + root_of(body).hex()
        assert second[1]["would_sign"] == told["would_sign"]
        status, answer = post(asked, sign, body)
        signed.append("allowed" if status == 200 else answer["code"])
        assert status == (200 if told["would_sign"] else 412)
        if refusal is not None:
            assert refusal["status"] == 412
            shared = answer.keys() - {"request_id", "public_key", "duty_type", "error"}
            assert {name: refusal[name] for name in shared} == {name: answer[name] for name in shared}
    assert before == []
    assert decisions_of(asked, key) == signed, "of what was asked twice before each there is not a trace"
    body = vote_body(40, 41)
    assert asked.holdfast("freeze", key).returncode == 0
    refusal, answer = post(asked, ask, body)[1]["refusal"], post(asked, sign, body)[1]
    assert refusal["code"] == answer["code"] == "KEY_FROZEN"
    assert refusal["frozen_since_ms"] == answer["frozen_since_ms"]
    assert asked.holdfast("thaw", key).returncode == 0
    assert post(asked, ask, body)[1]["would_sign"]
    assert post(asked, ask, body, "nobody")[0] == 401
    assert post(asked, ask.replace(key, "0x" + "12" * 48), body)[0] == 404
    assert post(asked, ask, {**body, "signing_root": "0x" + "12" * 32})[1]["code"] == "SIGNING_ROOT_MISMATCH"
    assert decisions_of(asked, key) == [*signed, "KEY_FROZEN"], "nor of these"


def keys_of(signer: RunningSigner) -> list[str]:
    """Its two keys."""
    [one, other] = json.loads(signer.holdfast("keys", "list", "--json").stdout)["keys"]
    return sorted((str(one["public_key"]), str(other["public_key"])))


def decisions_of(signer: RunningSigner, key: str) -> list[str]:
    """What was decided about duties of the key, as the audit log tells it: `allowed`, or why not."""
    words = ("audit", "show", "--last", "1000", "--key", key, "--json")
    entries = json.loads(signer.holdfast(*words).stdout)["entries"]
    return [entry["code"] or entry["outcome"] for entry in entries if entry["kind"] == "duty"]


# --- a second live client -----------------------------------------------------------------------------------


def test_a_second_live_client_is_noticed_in_metrics_log_and_audit_log(asked: RunningSigner) -> None:
    key = keys_of(asked)[1]
    sign = f"/api/v1/eth2/sign/{key}"
    assert post(asked, sign, vote_body(10, 11, "a"), "alice")[0] == 200
    assert post(asked, sign, vote_body(10, 11, "a"), "bob")[0] == 200, "a repeat is no conflict"
    assert post(asked, sign, vote_body(10, 11, "b"), "bob")[0] == 412

    def page() -> str:
        connection = http.client.HTTPConnection("127.0.0.1", asked.metrics_port or 0, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()

    until(lambda: 'holdfast_conflicting_requests_total{principals="two"} 1.0' in page())
    until(lambda: "two clients ask for one key" in asked.log)

    def noted() -> list[Any]:
        entries = json.loads(asked.holdfast("audit", "show", "--json", "--key", key).stdout)["entries"]
        return [entry for entry in entries if entry["kind"] == "conflicting_requests"]

    [note] = until(noted)
    assert (note["principal"], note["code"]) == ("bob", "DOUBLE_VOTE")
    assert "signed_for=alice" in note["note"]
    for mark in "ab":
        assert root_of(vote_body(10, 11, mark)).hex() in note["note"]
