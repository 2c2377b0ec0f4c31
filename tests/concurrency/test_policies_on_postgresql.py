"""Two signers on one PostgreSQL: one limit for both, and a change of policies that holds for both at once."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from duty_requests import Line, line_to, lines_to, sign_request, vote_body
from e2e.shared_signers import UNSURE, on_database, until_known
from policy_signers import ALLOWS, TRAPS, UNUSED_ONLY, limited, policy_signer, put_on_record
from postgres_server import PostgresServer
from running import RunningSigner, interop_secret, running_signer, set_up, write_configuration

from signer.policy.bindings import ToKey, ToNamespace

AT_ONCE = 100
"""On each of the two."""

PATIENT = {"server": {"request_deadline_seconds": 60}, "journal": {"deadline_seconds": 50}}


@dataclass(frozen=True)
class Pair:
    """Two signers with the same keys: one process, and one with two workers."""

    one: RunningSigner
    other: RunningSigner
    keys: list[str]
    operator: Path
    """The configuration of a third, which changes policies and signs nothing."""


@pytest.fixture(scope="module")
def pair(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    url = postgres.make_database("policies")
    directory = tmp_path_factory.mktemp("pair")
    secrets = [interop_secret(number) for number in range(3)]
    for name in ("one", "other", "operator"):
        (directory / name).mkdir()
    with contextlib.ExitStack() as running:
        sections = on_database(url, PATIENT)
        one = running.enter_context(policy_signer(directory / "one", [], [], secrets=secrets, sections=sections))
        two_workers = on_database(url, {**PATIENT, "server": {**PATIENT["server"], "workers": 2}})
        other = running.enter_context(running_signer(directory / "other", secrets=secrets, sections=two_workers))
        operator = write_configuration(directory / "operator", sections)
        set_up(operator)
        yield Pair(one, other, one.public_keys(), operator)


def race(pair: Pair, key: str) -> list[str]:
    """The verdicts of as many requests on each signer, all sent before any is read."""
    with lines_to(pair.one.port, AT_ONCE) as ours, lines_to(pair.other.port, AT_ONCE) as theirs:
        lines = [line for two in zip(ours, theirs, strict=True) for line in two]
        for n, line in enumerate(lines):
            line.send(sign_request(key, vote_body(1000 + n, 1001 + n)))
        return [line.read().verdict for line in lines]


def test_of_two_hundred_at_once_on_two_signers_under_a_limit_for_one_exactly_one_is_signed(pair: Pair) -> None:
    key = pair.keys[0]
    put_on_record(pair.operator, [limited("once", 1)], [("once", ToKey(key))])
    verdicts = race(pair, key)
    assert verdicts.count("signed") == 1, verdicts
    assert set(verdicts) <= {"signed", "412 COUNTER_LIMIT"} | UNSURE


def test_of_two_hundred_that_judge_by_one_counter_on_two_signers_exactly_one_is_signed(pair: Pair) -> None:
    key = pair.keys[1]
    put_on_record(pair.operator, [UNUSED_ONLY], [("unused-only", ToKey(key))])
    verdicts = race(pair, key)
    assert verdicts.count("signed") == 1, verdicts
    assert set(verdicts) <= {"signed", "412 POLICY_TRAPPED", "412 COUNTER_CONTENDED"} | UNSURE


def test_once_a_change_is_on_record_no_signer_signs_by_what_held_before(pair: Pair) -> None:
    key = pair.keys[2]

    def verdict(line: Line, epoch: int) -> str:
        return until_known(lambda: line.sign(key, vote_body(epoch, epoch + 1)).verdict)

    with line_to(pair.one.port) as one, line_to(pair.other.port) as other:
        for n, (packs, name, expected) in enumerate(
            [([ALLOWS], "allows", "signed"), ([TRAPS], "traps", "412 POLICY_TRAPPED")] * 3
        ):
            put_on_record(pair.operator, packs, [(name, ToNamespace("default"))])
            found = [verdict(line, 2000 + 10 * n + side) for side, line in enumerate((one, other))]
            assert found == [expected] * 2
