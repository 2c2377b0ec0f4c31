"""The finality provider's example with a real record: no height is voted at twice, whoever races whom."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from journal.record import PlainStory, open_record
from msgspec.structs import replace
from policy.counter_claims import NOON
from policy.sample_facts import a_duty
from policy.sample_facts import facts as sample_facts

from signer.errors import CounterChangedError, CounterLimitError
from signer.journal.command import Command
from signer.journal.reader import read_sqlite
from signer.journal.writer import Writer
from signer.operations.ask_policies import Hearing
from signer.operations.policies_in_force import Served
from signer.policy.combine import Denied, Held, claim_of, combine
from signer.policy.counters import CounterClaim
from signer.policy.facts import Facts
from signer.policy.folder import pack_folder, read_folder
from signer.policy.given import Given
from signer.policy.loading import load_policy
from signer.policy.sandbox import LoadedPolicy, Sandbox
from signer.policy.verdict import Deny

FOLDER = Path(__file__).parents[2] / "policies" / "finality-provider"
FIRST = 800_000

Ask = Callable[[int], CounterClaim | str]


def vote(height: int) -> Facts:
    found = sample_facts(duty=a_duty("EOTS_VOTE", height=str(height)))
    return replace(found, environment=replace(found.environment, chain_id="bbn-1", timestamp=NOON))


@pytest.fixture(scope="module")
def policy(modules, sandbox: Sandbox) -> LoadedPolicy:
    pack = pack_folder(read_folder(FOLDER))
    return load_policy(modules, sandbox, pack.content, grants=pack.manifest.grants, limits=pack.manifest.limits)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    record = open_record(tmp_path)
    yield record.writer
    record.close()


@pytest.fixture
def ask(tmp_path: Path, writer: Writer, policy: LoadedPolicy, sandbox: Sandbox) -> Ask:
    """What the commit of a vote at this height would claim, people having approved; or the code of the denial."""

    def asked(height: int) -> CounterClaim | str:
        hearing = Hearing(vote(height), reading=partial(read_sqlite, tmp_path / "journal.sqlite"), lists={})
        (heard,) = hearing.ask_all([Served("finality-provider", "01", policy)], sandbox)
        decision = combine([heard.outcome])
        if isinstance(decision, Denied):
            assert isinstance(heard.outcome.verdict, Deny)
            return heard.outcome.verdict.code
        claim = claim_of(decision, at_seconds=NOON, seen=heard.seen)
        assert claim is not None
        assert isinstance(decision, Held) == (heard.seen[0].spent == 0), "the first vote waits for an operator"
        return claim

    return asked


async def book(writer: Writer, claim: CounterClaim | str) -> str:
    if isinstance(claim, str):
        return claim
    try:
        await writer.commit(Command((claim,), PlainStory()))
    except (CounterChangedError, CounterLimitError) as refusal:
        return refusal.code
    return "signed"


async def test_heights_only_go_forward(ask: Ask, writer: Writer) -> None:
    steps = [
        (FIRST, "signed"),
        (FIRST, "HEIGHT_NOT_ABOVE_LAST"),
        (FIRST + 1, "signed"),
        (FIRST + 5000, "signed"),
        (FIRST + 4999, "HEIGHT_NOT_ABOVE_LAST"),
        (FIRST + 5000, "HEIGHT_NOT_ABOVE_LAST"),
        (FIRST + 5001, "signed"),
    ]
    for height, expected in steps:
        assert await book(writer, ask(height)) == expected, height


async def test_of_votes_that_were_judged_at_the_same_moment_one_is_signed(ask: Ask, writer: Writer) -> None:
    assert await book(writer, ask(FIRST)) == "signed"
    claims = [ask(FIRST + 1 + n % 5) for n in range(50)]
    said = await asyncio.gather(*(book(writer, claim) for claim in claims))
    assert said.count("signed") == 1
    assert set(said) <= {"signed", "COUNTER_CONTENDED", "COUNTER_LIMIT"}, said


async def test_whoever_asks_again_is_judged_by_what_was_signed_meanwhile(ask: Ask, writer: Writer) -> None:
    signed: list[int] = []

    async def until_judged(height: int) -> None:
        while (said := await book(writer, ask(height))) not in {"signed", "HEIGHT_NOT_ABOVE_LAST"}:
            await asyncio.sleep(0)
        if said == "signed":
            signed.append(height)

    assert await book(writer, ask(FIRST)) == "signed"
    await asyncio.gather(*(until_judged(FIRST + 1 + n % 7) for n in range(70)))
    assert signed == sorted(set(signed)), "each height at most once, and only forward"
    assert signed[-1] == FIRST + 7


RAW = '{"duty":{"height":"5","type":"EOTS_VOTE"},"environment":{"chain_id":"bbn-1"},"version":1}'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (RAW.replace('{"duty"', '{"a":{},"b":[],"c":[{"d":[1,-2,true,null]}],"duty"'), "HEIGHT_NOT_ABOVE_LAST"),
        (RAW.replace('{"duty"', '{"a":"\\\\","b":"\\\\\\"","duty"'), "HEIGHT_NOT_ABOVE_LAST"),
        (RAW.replace("1}", "2}"), "FACTS_OF_ANOTHER_VERSION"),
        (RAW.replace("1}", "10}"), "FACTS_OF_ANOTHER_VERSION"),
        (RAW.replace(',"version":1', ""), "FACTS_OF_ANOTHER_VERSION"),
        (RAW.replace('"5"', "5"), "HEIGHT_NOT_KNOWN"),
        (RAW.replace('"5"', '""'), "HEIGHT_NOT_KNOWN"),
        (RAW.replace('"5"', '"5x"'), "POLICY_TRAPPED"),
        (RAW.replace('"5"', '"-5"'), "POLICY_TRAPPED"),
        (RAW.replace('"bbn-1"', '["bbn-1"]'), "WRONG_CHAIN"),
        (RAW.replace('{"height":"5","type":"EOTS_VOTE"}', '"EOTS_VOTE"'), "NOT_A_VOTE"),
        (RAW[:-1], "POLICY_TRAPPED"),
        (RAW + "x", "POLICY_TRAPPED"),
        (RAW.replace(":", " :", 1), "POLICY_TRAPPED"),
        (RAW.replace('"5"', '"5\n"'), "POLICY_TRAPPED"),
        (RAW.replace('"5",', '"5"'), "POLICY_TRAPPED"),
        (RAW.replace("1}", "}"), "POLICY_TRAPPED"),
        ("", "POLICY_TRAPPED"),
        ("[" * 100_000, "POLICY_STACK_OVERFLOW"),
    ],
)
def test_facts_that_no_signer_writes_are_never_an_allow(
    policy: LoadedPolicy, sandbox: Sandbox, text: str, code: str
) -> None:
    verdict = sandbox.decide(policy, text.encode(), Given({"height": 10})).verdict
    assert isinstance(verdict, Deny)
    assert verdict.code == code
