"""Many at once over HTTP: exactly one of those that conflict is signed, and nothing that was signed is lost."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from duty_requests import (
    NO_GUARD,
    Answered,
    all_at_once,
    batch_request,
    block_body,
    line_to,
    lines_to,
    root_of,
    sign_request,
    vote_body,
)
from running import RunningSigner, interop_secret, running_signer

AT_ONCE = 200
VALIDATORS = 10_000
_LOST_RACES = {"412 DOUBLE_VOTE", "412 DOUBLE_PROPOSAL", "412 BELOW_FLOOR"}


@pytest.fixture(scope="module", params=[1, 2], ids=["one process", "two workers"])
def signer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSigner]:
    secrets = [interop_secret(number) for number in range(64)]
    sections = {**NO_GUARD, "server": {"workers": request.param}}
    with running_signer(tmp_path_factory.mktemp("races"), secrets=secrets, sections=sections) as running:
        yield running


@pytest.fixture(scope="module")
def fresh_key(signer: RunningSigner) -> Callable[[], str]:
    """A validator that nobody has asked for anything."""
    unused = iter(signer.public_keys())
    return lambda: next(unused)


def assert_one_winner(answers: list[Answered], codes: set[str]) -> None:
    verdicts = [answer.verdict for answer in answers]
    assert verdicts.count("signed") == 1, verdicts
    assert set(verdicts) - {"signed"} <= {f"412 {code}" for code in codes}


CONFLICTS: dict[str, tuple[Callable[[int], dict[str, Any]], set[str]]] = {
    "votes for one target": (lambda n: vote_body(100, 200, n), {"DOUBLE_VOTE"}),
    "votes with sources of their own for one target": (
        lambda n: vote_body(100 + n % 50, 200, n),
        {"DOUBLE_VOTE", "BELOW_FLOOR"},
    ),
    "votes around one another": (
        lambda n: vote_body(300 - n, 300 + n),
        {"SURROUNDED_VOTE", "SURROUNDING_VOTE", "BELOW_FLOOR"},
    ),
    "blocks of one slot": (lambda n: block_body(6400, n), {"DOUBLE_PROPOSAL"}),
}


@pytest.mark.parametrize("kind", CONFLICTS)
def test_of_two_hundred_that_conflict_exactly_one_is_signed(signer, fresh_key, kind) -> None:
    body, codes = CONFLICTS[kind]
    key = fresh_key()
    answers = all_at_once(signer.port, [sign_request(key, body(n)) for n in range(AT_ONCE)])
    assert_one_winner(answers, codes)
    winner = next(n for n, answer in enumerate(answers) if answer.signature)
    again = all_at_once(signer.port, [sign_request(key, body(n)) for n in range(AT_ONCE)])
    assert [n for n, answer in enumerate(again) if answer.signature] == [winner]
    assert again[winner].signature == answers[winner].signature


@pytest.mark.parametrize("kind", CONFLICTS)
def test_a_floor_below_changes_nothing_about_it(signer, fresh_key, kind) -> None:
    """With an older vote and block on record no first one sets the floor: the pairs alone decide."""
    body, codes = CONFLICTS[kind]
    key = fresh_key()
    with line_to(signer.port) as line:
        assert line.sign(key, vote_body(0, 1)).signature
        assert line.sign(key, block_body(1)).signature
    answers = all_at_once(signer.port, [sign_request(key, body(n)) for n in range(AT_ONCE)])
    assert_one_winner(answers, codes - {"BELOW_FLOOR"})


@pytest.mark.parametrize("body", [vote_body(100, 200), block_body(6400)], ids=["vote", "block"])
def test_two_hundred_alike_are_all_answered_with_one_signature(signer, fresh_key, body) -> None:
    answers = all_at_once(signer.port, [sign_request(fresh_key(), body)] * AT_ONCE)
    assert [answer.status for answer in answers] == [200] * AT_ONCE
    assert len({answer.signature for answer in answers}) == 1


def test_batches_and_single_requests_race_for_the_same_votes(signer, fresh_key) -> None:
    keys = [fresh_key() for _ in range(8)]
    batches = [batch_request([(key, vote_body(100, 200, f"batch {n}")) for key in keys]) for n in range(20)]
    singles = [sign_request(key, vote_body(100, 200, f"single {n}")) for n in range(20) for key in keys]
    answers = all_at_once(signer.port, [*batches, *singles])
    signed = dict.fromkeys(keys, 0)
    for answer in answers[:20]:
        for key, entry in zip(keys, json.loads(answer.body), strict=True):
            signed[key] += "signature" in entry
            assert "signature" in entry or entry["code"] == "DOUBLE_VOTE"
    for n, answer in enumerate(answers[20:]):
        signed[keys[n % 8]] += answer.verdict == "signed"
        assert answer.verdict in {"signed", "412 DOUBLE_VOTE"}
    assert signed == dict.fromkeys(keys, 1)


def test_ten_thousand_validators_votes_and_blocks_interleaved_lose_no_update(tmp_path: Path) -> None:
    sections = {**NO_GUARD, "server": {"request_deadline_seconds": 60}}
    with running_signer(tmp_path, secrets=range(1, VALIDATORS + 1), sections=sections) as signer:
        keys = signer.public_keys()
        assert len(keys) == VALIDATORS
        signed = _Signed()
        batches = [keys[at : at + 1000] for at in range(0, VALIDATORS, 1000)]
        singles = [keys[at::400] for at in range(4)]
        with ThreadPoolExecutor(10) as pool:
            work = [
                *(pool.submit(_vote_in_batches, signer, batches[n::3], signed) for n in range(3)),
                *(pool.submit(_propose_in_batches, signer, batches[n::3][::-1], signed) for n in range(3)),
                *(pool.submit(_race_alone, signer, some, signed) for some in singles),
            ]
            for each in work:
                each.result()
        exported = _export(signer, tmp_path)
        assert signer.holdfast("audit", "verify").returncode == 0
    assert exported == signed.records
    assert len(signed.records) >= 2 * VALIDATORS


class _Signed:
    """What was signed, as an export tells it; filled by all threads."""

    def __init__(self) -> None:
        self.records: set[tuple[str, str, int, int, str]] = set()
        self._lock = threading.Lock()

    def add(self, key: str, body: dict[str, Any]) -> None:
        record = _record_of(key, body)
        with self._lock:
            self.records.add(record)


_ROOTS: dict[str, str] = {}


def _root(body: dict[str, Any]) -> str:
    text = json.dumps(body)
    if text not in _ROOTS:
        _ROOTS[text] = "0x" + root_of(body).hex()
    return _ROOTS[text]


def _record_of(key: str, body: dict[str, Any]) -> tuple[str, str, int, int, str]:
    if body["type"] == "BLOCK_V2":
        return key, "block", 0, int(body["beacon_block"]["block_header"]["slot"]), _root(body)
    vote = body["attestation"]
    return key, "vote", int(vote["source"]["epoch"]), int(vote["target"]["epoch"]), _root(body)


def _vote_in_batches(signer: RunningSigner, batches: list[list[str]], signed: _Signed) -> None:
    with line_to(signer.port) as line:
        for keys in batches:
            items = [(key, vote_body(10, 11, n % 2)) for n, key in enumerate(keys)]
            _sign_all(line, items, signed)


def _propose_in_batches(signer: RunningSigner, batches: list[list[str]], signed: _Signed) -> None:
    with line_to(signer.port) as line:
        for keys in batches:
            _sign_all(line, [(key, block_body(352, n % 2)) for n, key in enumerate(keys)], signed)


def _sign_all(line: Any, items: list[tuple[str, dict[str, Any]]], signed: _Signed) -> None:
    for (key, body), answer in zip(items, line.sign_all(items), strict=True):
        # Somebody else may have been first, with the other mark or with the later vote that is the floor then.
        assert answer.startswith("0x") or answer in _LOST_RACES, answer
        if answer.startswith("0x"):
            signed.add(key, body)


def _race_alone(signer: RunningSigner, keys: list[str], signed: _Signed) -> None:
    """The same validators at the same time on the single route: both marks of each, and a later vote."""
    with lines_to(signer.port, 4) as lines:
        for key in keys:
            bodies = [vote_body(10, 11, 0), vote_body(10, 11, 1), block_body(352, 0), vote_body(11, 12)]
            for line, body in zip(lines, bodies, strict=True):
                line.send(sign_request(key, body))
            for line, body in zip(lines, bodies, strict=True):
                answer = line.read()
                # The later vote may come first and be the floor; then the earlier ones are below it.
                assert answer.signature or answer.verdict in _LOST_RACES, answer
                if answer.signature:
                    signed.add(key, body)


def _export(signer: RunningSigner, directory: Path) -> set[tuple[str, str, int, int, str]]:
    told = signer.holdfast("slashing", "export", "--to", directory / "export.json")
    assert told.returncode == 0, told.stderr
    document = json.loads((directory / "export.json").read_text())
    found = set()
    for validator in document["data"]:
        key = validator["pubkey"]
        for block in validator["signed_blocks"]:
            found.add((key, "block", 0, int(block["slot"]), block["signing_root"]))
        for vote in validator["signed_attestations"]:
            found.add((key, "vote", int(vote["source_epoch"]), int(vote["target_epoch"]), vote["signing_root"]))
    return found
