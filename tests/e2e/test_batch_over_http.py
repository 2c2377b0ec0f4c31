"""The batch route with real signers behind it: 4,096 duties in order, in at most eight commits, each judged alone."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from duty_requests import NO_GUARD, batch_request, block_body, line_to, root_of, vote_body
from running import RunningSigner, free_port, interop_secret, running_signer

from signer.crypto import bls
from signer.crypto.bls import SecretKey

MOST = 4096
KEYS = 64
BLS = bls.load()
UNKNOWN = "0x" + "ab" * 48

Item = tuple[str, dict[str, Any]]


@pytest.fixture
def signer(tmp_path: Path) -> Iterator[RunningSigner]:
    sections = {
        **NO_GUARD,
        # A machine that does other things meanwhile must not turn this into a test of its speed.
        "server": {"request_deadline_seconds": 60},
        "metrics": {"enabled": True, "port": free_port()},
    }
    secrets = [interop_secret(number) for number in range(KEYS)]
    with running_signer(tmp_path, secrets=secrets, sections=sections) as running:
        yield running


@pytest.fixture
def keys(signer: RunningSigner) -> list[str]:
    return signer.public_keys()


def commits(signer: RunningSigner) -> int:
    """How many commits there were, by the metrics page."""
    assert signer.metrics_port is not None
    with line_to(signer.metrics_port) as line:
        page = line.ask(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").body.decode()
    found = re.search(r"^holdfast_journal_batch_size_count (\S+)$", page, re.MULTILINE)
    assert found is not None, page
    return int(float(found[1]))


def signatures_of(items: list[Item]) -> list[str]:
    """The right signature of each item, computed here."""
    secrets = [SecretKey.from_bytes(interop_secret(number).to_bytes(32, "big")) for number in range(KEYS)]
    by_key = {"0x" + BLS.public_key(secret).hex(): secret for secret in secrets}
    roots: dict[str, bytes] = {}
    for _, body in items:
        roots.setdefault(json.dumps(body), b"")
    for text in roots:
        roots[text] = root_of(json.loads(text))
    return ["0x" + BLS.sign(by_key[key], roots[json.dumps(body)]).hex() for key, body in items]


def test_a_full_batch_is_answered_in_order_with_at_most_eight_commits(signer, keys) -> None:
    items = [(keys[n % KEYS], vote_body(n // KEYS, n // KEYS + 1)) for n in range(MOST)]
    before = commits(signer)
    with line_to(signer.port) as line:
        answers = line.sign_all(items)
    assert 1 <= commits(signer) - before <= 8
    assert answers == signatures_of(items)


def test_errors_and_signatures_stand_where_their_entries_stood(signer, keys) -> None:
    """A pattern of eight entries, 512 times, each time for another target."""
    items: list[Item] = []
    expected: list[str] = []
    for n in range(MOST // 8):
        key, target = keys[n % KEYS], 10 + n // KEYS
        good = vote_body(target - 1, target, "first")
        malformed = vote_body(target - 1, target)
        malformed["attestation"]["source"] = None
        mismatched = {**good, "signing_root": "0x" + "77" * 32}
        foreign = vote_body(target - 1, target, network="0x" + "88" * 32)
        pattern: list[tuple[Item, str]] = [
            ((key, good), "signed"),
            ((key, vote_body(target - 1, target, "second")), "412 DOUBLE_VOTE"),
            ((key, good), "signed"),
            ((UNKNOWN, good), "404 UNKNOWN_KEY"),
            ((key, malformed), "400 MALFORMED_REQUEST"),
            ((key, mismatched), "400 SIGNING_ROOT_MISMATCH"),
            ((key, foreign), "412 WRONG_NETWORK"),
            ((key, block_body(target * 32)), "signed"),
        ]
        items += [item for item, _ in pattern]
        expected += [verdict for _, verdict in pattern]
    before = commits(signer)
    with line_to(signer.port) as line:
        answers = line.sign_all(items)
    assert commits(signer) - before <= 8
    assert ["signed" if answer.startswith("0x") else answer for answer in answers] == expected
    signed = [n for n, verdict in enumerate(expected) if verdict == "signed"]
    assert [answers[n] for n in signed] == signatures_of([items[n] for n in signed])
    assert signer.holdfast("audit", "verify").returncode == 0


def test_one_entry_too_many_signs_nothing(signer, keys) -> None:
    items = [(keys[n % KEYS], vote_body(n // KEYS, n // KEYS + 1, "too many")) for n in range(MOST + 1)]
    with line_to(signer.port) as line:
        answer = line.ask(batch_request(items))
        assert (answer.status, answer.code) == (400, "MALFORMED_REQUEST")
        assert "4096" in answer.body.decode()
        assert line.sign(keys[0], vote_body(0, 1, "another")).signature, "nothing of it is on record"


def test_a_batch_that_was_answered_is_on_record_after_a_kill(signer, keys) -> None:
    items = [(key, vote_body(7, 8, "first")) for key in keys]
    with line_to(signer.port) as line:
        answers = line.sign_all(items)
        signer.kill()
    signer.restart()
    with line_to(signer.port) as line:
        assert line.sign_all(items) == answers
        assert set(line.sign_all([(key, vote_body(7, 8, "second")) for key in keys])) == {"412 DOUBLE_VOTE"}
