"""Cases of a policy: requests with the verdicts that its author expects, and what they leave untried.

Works for every kind of policy, since it asks for verdicts alone; which rules the cases have tried is known of rule
files only (`mutation.py` finds what they would not notice).
"""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as MappingOf
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from signer.errors import ConfigError
from signer.policy.facts import MAX_FACTS_BYTES, Facts, encode_facts
from signer.policy.given import NOTHING_GIVEN, Given, read_given
from signer.policy.rules import values
from signer.policy.rules.rule import Effect, Rule, RuleFile, Section
from signer.policy.verdict import Allow, Deny, RequireApproval, Reservation, Verdict
from signer.written import NO_PATHS, Mapping, Scalar, Tree, nested, overlay, parse_yaml

VERSION = 1
"""Of the file format."""

VERDICTS = ("allow", "deny", "require_approval")

Policy = Callable[[Facts], Verdict]
"""What every kind of policy is."""

ORDINARY = f"""
version: 1
opaque: false
payload_hash: "0x{"00" * 32}"
signer:
  key_id: key-1
  public_key: "0x{"02" * 33}"
  algorithm: secp256k1
  namespace: default
caller: {{identity: tester, address: 127.0.0.1}}
environment: {{timestamp: 1800000000, simulation: true}}
"""
"""The facts of a case that says nothing of them: whatever a case is about, it writes itself."""

ORDINARY_SLOTS_PER_EPOCH = 32
"""Mainnet's (consensus-specs, presets/mainnet/phase0.yaml); a case of another chain writes its epoch."""

_ORDINARY = parse_yaml(ORDINARY, name="ordinary facts", directory=NO_PATHS)
_EXPECTATIONS = ("code", "quorum", "groups", "lifetime", "delay", "reserves")


class Booked(Struct, frozen=True):
    """A reservation that is expected."""

    counter: str
    """The name, or its beginning and a `*`."""

    amount: int
    limit: int | None = None
    """Not looked at where it is None, like the window."""

    window_seconds: int | None = None

    def fits(self, reservation: Reservation) -> bool:
        """True for the one that is meant."""
        if self.counter.endswith("*"):
            named = reservation.counter.startswith(self.counter[:-1])
        else:
            named = reservation.counter == self.counter
        return (
            named
            and reservation.amount == self.amount
            and self.limit in {None, reservation.limit}
            and self.window_seconds in {None, reservation.window_seconds}
        )

    def __str__(self) -> str:
        limit = "" if self.limit is None else f" within {self.limit}"
        window = "" if self.window_seconds is None else f" in {self.window_seconds} s"
        return f"{self.amount}{limit}{window}"


class Case(Struct, frozen=True):
    """One request, and what its author expects of the policy. What is None is not looked at."""

    name: str
    where: str
    facts: Facts
    verdict: str
    """Of VERDICTS."""

    code: str | None = None
    quorum: int | None = None
    groups: tuple[str, ...] | None = None
    lifetime_seconds: int | None = None
    delay_seconds: int | None = None
    reserves: tuple[Booked, ...] | None = None
    given: Given = NOTHING_GIVEN
    """What a module is answered that reads counters or asks lists."""


class Result(Struct, frozen=True):
    """What the policy said to a case."""

    case: Case
    verdict: Verdict
    differs: str
    """What was expected otherwise; empty where the case passed."""

    @property
    def passed(self) -> bool:
        """True where the policy said what was expected."""
        return not self.differs


class Coverage(Struct, frozen=True):
    """What the cases have tried of one rule."""

    rule: str
    where: str
    seen: frozenset[Effect]
    missing: tuple[Effect, ...]
    """Effects that the rule can have and no case has shown."""


def read_cases(text: str, *, name: str) -> tuple[Case, ...]:
    """The cases of a file; `name` is what errors call it.

    Raises:
        ConfigError: a case that is none, with file, line, key and remedy.
    """
    root = parse_yaml(text, name=name, directory=NO_PATHS, begin="version")
    entries = values.read_entries(root, "", known=("version", "facts", "given", "cases"))
    for needed in ("version", "cases"):
        if needed not in entries:
            raise ConfigError(
                f"the file names no {needed}", where=root.origin.where, key=needed, remedy=f"add `{needed}:`"
            )
    if values.read_whole(entries["version"], "version") != VERSION:
        raise values.wrong(entries["version"], "version", str(VERSION))
    shared = overlay(_ORDINARY, _mapping(entries["facts"], "facts")) if "facts" in entries else _ORDINARY
    given = _mapping(entries["given"], "given") if "given" in entries else None
    cases = tuple(_case(tree, key, shared, given) for tree, key in values.read_items(entries["cases"], "cases"))
    _check_names(cases)
    return cases


def read_facts(text: str, *, name: str) -> Facts:
    """The facts of one request, written as a case writes them; JSON is that too. Raises ConfigError."""
    root = parse_yaml(text, name=name, directory=NO_PATHS, begin="transaction")
    return _facts(overlay(_ORDINARY, root), where=root.origin.where, key="facts")


def run_cases(policy: Policy, cases: Iterable[Case]) -> tuple[Result, ...]:
    """Every case in order, each by itself: a case spends nothing."""
    return tuple(judge(case, policy(case.facts)) for case in cases)


def all_pass(policy: Policy, cases: Iterable[Case]) -> bool:
    """True where no case differs."""
    return all(judge(case, policy(case.facts)).passed for case in cases)


def judge(case: Case, verdict: Verdict) -> Result:
    """What a policy said to this case, beside what was expected."""
    return Result(case, verdict, _difference(case, verdict))


def coverage_of(file: RuleFile, cases: Sequence[Case]) -> tuple[Coverage, ...]:
    """What the cases have tried of each rule, in the file's order."""
    seen: dict[str, set[Effect]] = {rule.name: set() for rule in file.rules}
    for case in cases:
        for finding in file.explain(case.facts).findings:
            seen[finding.rule].add(finding.effect)
    return tuple(
        Coverage(rule.name, rule.where, frozenset(seen[rule.name]), _missing(rule, seen[rule.name]))
        for rule in file.rules
    )


def _missing(rule: Rule, seen: set[Effect]) -> tuple[Effect, ...]:
    match rule.section:
        case Section.ALLOW:
            possible = [Effect.GRANTS, Effect.PASSES_BY]
        case Section.DENY:
            possible = [Effect.DENIES, Effect.PASSES_BY]
        case Section.REQUIRE:
            possible = [Effect.ASKS if rule.approval is not None else Effect.HOLDS]
            if rule.conditions:
                possible.append(Effect.DENIES)
            if rule.when or rule.unless:
                possible.append(Effect.PASSES_BY)
    return tuple(effect for effect in possible if effect not in seen)


# --- one case ---------------------------------------------------------------------------------------


def _case(tree: Tree, key: str, shared: Mapping, given: Mapping | None) -> Case:
    entries = values.read_entries(tree, key, known=("name", "facts", "given", "expect", *_EXPECTATIONS))
    name = values.read_text(values.get_entry(entries, "name", of=tree, key=key), f"{key}.name")
    facts = overlay(shared, _mapping(entries["facts"], f"{key}.facts")) if "facts" in entries else shared
    verdict = values.read_choice(values.get_entry(entries, "expect", of=tree, key=key), f"{key}.expect", VERDICTS)
    belongs = {"allow": ("reserves",), "deny": ("code",), "require_approval": _EXPECTATIONS[1:]}
    for expectation in _EXPECTATIONS:
        if expectation in entries and expectation not in belongs[verdict]:
            raise ConfigError(
                f"{key}.{expectation} says nothing about a verdict that is {verdict}",
                where=entries[expectation].origin.where,
                key=f"{key}.{expectation}",
                remedy="take it out, or expect another verdict",
            )
    return Case(
        name,
        tree.origin.where,
        _facts(facts, where=tree.origin.where, key=f"{key}.facts"),
        verdict,
        code=values.read_text(entries["code"], f"{key}.code") if "code" in entries else None,
        quorum=values.read_whole(entries["quorum"], f"{key}.quorum") if "quorum" in entries else None,
        groups=tuple(sorted(values.read_texts(entries["groups"], f"{key}.groups"))) if "groups" in entries else None,
        lifetime_seconds=_seconds(entries, "lifetime", key),
        delay_seconds=_seconds(entries, "delay", key),
        reserves=_reserves(entries["reserves"], f"{key}.reserves") if "reserves" in entries else None,
        given=_given(entries, key, given),
    )


def _given(entries: MappingOf[str, Tree], key: str, shared: Mapping | None) -> Given:
    own = _mapping(entries["given"], f"{key}.given") if "given" in entries else None
    if own is not None and shared is not None:
        own = overlay(shared, own)
    found = own or shared
    return NOTHING_GIVEN if found is None else read_given(found, f"{key}.given" if own else "given")


def _facts(tree: Mapping, *, where: str, key: str) -> Facts:
    """Facts from texts: what is a number or a truth value is known from the fact, not from how it was written."""
    try:
        facts = msgspec.convert(_plain(_in_seconds(tree, key)), Facts, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"{key} are no facts: {error}", where=where, key=key, remedy="compare with policies/facts.schema.json"
        ) from None
    facts = _with_epoch(facts, tree)
    if facts.version != VERSION or len(encode_facts(facts)) > MAX_FACTS_BYTES:
        raise ConfigError(
            f"{key} are of another version, or too large to be given to a policy",
            where=where,
            key=key,
            remedy=f"leave `version` out, and keep within {MAX_FACTS_BYTES} bytes",
        )
    return facts


def _in_seconds(tree: Mapping, key: str) -> Mapping:
    """The same facts; a time that is written as a moment in UTC is the seconds that policies are told."""
    environment = tree.entries.get("environment")
    written = environment.entries.get("timestamp") if isinstance(environment, Mapping) else None
    if not isinstance(written, Scalar) or "T" not in written.text:
        return tree
    seconds = str(values.read_moment(written, f"{key}.environment.timestamp"))
    return overlay(tree, nested("environment.timestamp", Scalar(seconds, "text", written.origin)))


def _with_epoch(facts: Facts, tree: Mapping) -> Facts:
    """The same facts; a duty's epoch follows from its target or its slot where nothing is written of it.

    `epoch: ~` is written: then nobody knows it, as where a signer has not learnt its network yet.
    """
    written, duty = tree.entries.get("duty"), facts.duty
    if duty is None or not isinstance(written, Mapping) or "epoch" in written.entries:
        return facts
    if duty.target_epoch is not None:
        return replace(facts, duty=replace(duty, epoch=duty.target_epoch))
    if duty.slot is not None:
        return replace(facts, duty=replace(duty, epoch=str(int(duty.slot) // ORDINARY_SLOTS_PER_EPOCH)))
    return facts


def _plain(tree: Tree) -> Any:
    match tree:
        case Scalar(text=text, kind=kind):
            return None if kind == "null" else text
        case Mapping(entries=entries):
            return {name: _plain(each) for name, each in entries.items()}
        case _:
            return [_plain(each) for each in tree.items]


def _reserves(tree: Tree, key: str) -> tuple[Booked, ...]:
    if not getattr(tree, "items", True):
        return ()
    found = []
    for each, place in values.read_items(tree, key):
        entries = values.read_entries(each, place, known=("counter", "amount", "limit", "window"))
        counter = values.read_text(values.get_entry(entries, "counter", of=each, key=place), f"{place}.counter")
        amount = values.read_amount(
            values.get_entry(entries, "amount", of=each, key=place), f"{place}.amount", native=True
        )
        limit = values.read_amount(entries["limit"], f"{place}.limit", native=True) if "limit" in entries else None
        found.append(Booked(counter, amount, limit, _seconds(entries, "window", place, or_lifetime=True)))
    return tuple(found)


def _seconds(entries: MappingOf[str, Tree], name: str, key: str, *, or_lifetime: bool = False) -> int | None:
    if name not in entries:
        return None
    return values.read_duration(entries[name], f"{key}.{name}", or_lifetime=or_lifetime)


def _mapping(tree: Tree, key: str) -> Mapping:
    if not isinstance(tree, Mapping):
        raise values.wrong(tree, key, "facts by their names")
    return tree


def _check_names(cases: Sequence[Case]) -> None:
    first: dict[str, Case] = {}
    for case in cases:
        if case.name in first:
            raise ConfigError(
                f"two cases are named {case.name!r}",
                where=case.where,
                key="cases",
                remedy=f"rename one of the two; the other is at {first[case.name].where}",
            )
        first[case.name] = case


# --- what was expected ------------------------------------------------------------------------------


def _difference(case: Case, verdict: Verdict) -> str:
    found = {Allow: "allow", Deny: "deny", RequireApproval: "require_approval"}[type(verdict)]
    if found != case.verdict:
        return f"expected {case.verdict}, the policy says {found}" + (
            f" ({verdict.code}: {verdict.message})" if isinstance(verdict, Deny) else ""
        )
    match verdict:
        case Deny(code) if case.code not in {None, code}:
            return f"expected the code {case.code}, the policy says {code} ({verdict.message})"
        case RequireApproval() if differs := _difference_of_approval(case, verdict):
            return differs
        case Allow(reserve) | RequireApproval(reserve=reserve):
            return _difference_of_reservations(case.reserves, reserve)
        case _:
            return ""


def _difference_of_approval(case: Case, asked: RequireApproval) -> str:
    for what, expected, found in (
        ("a quorum of", case.quorum, asked.quorum),
        ("a lifetime in seconds of", case.lifetime_seconds, asked.lifetime_seconds),
        ("a delay in seconds of", case.delay_seconds, asked.delay_seconds),
    ):
        if expected not in {None, found}:
            return f"expected {what} {expected}, the policy asks for {found}"
    if case.groups not in {None, tuple(sorted(asked.groups))}:
        return f"expected the groups {', '.join(case.groups or ())}, the policy asks {', '.join(asked.groups)}"
    return ""


def _difference_of_reservations(expected: tuple[Booked, ...] | None, found: tuple[Reservation, ...]) -> str:
    if expected is None:
        return ""
    left = list(found)
    for booked in expected:
        fitting = next((each for each in left if booked.fits(each)), None)
        if fitting is None:
            reserved = "; ".join(f"{_said(each)} of {each.counter}" for each in left) or "nothing"
            return f"expected {booked} to be reserved of {booked.counter}, it is not: the policy reserves {reserved}"
        left.remove(fitting)
    if left:
        return f"expected nothing to be reserved of {left[0].counter}, {left[0].amount} is"
    return ""


def _said(reservation: Reservation) -> Booked:
    return Booked(reservation.counter, reservation.amount, reservation.limit, reservation.window_seconds)
