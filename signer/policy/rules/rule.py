"""A rule, what it finds in a request, and a file's rules as one policy that explains itself.

Rule 1: verdict and explanation are one computation: what `explain` shows is what was decided.
Rule 2: every rule is looked at for every request, and of several denials the first by kind and name is told, so that
the order of a file's lines says nothing.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from msgspec import Struct

from signer.errors import Evidence
from signer.policy.facts import Facts
from signer.policy.rules.about_requests import Payloads
from signer.policy.rules.charges import Charge
from signer.policy.rules.condition import Condition, Miss
from signer.policy.verdict import ALLOW, Allow, Deny, RequireApproval, Reservation, Verdict

NOT_GRANTED = "NOT_GRANTED"
DENIED_BY_RULE = "DENIED_BY_RULE"

_FITS = Miss(DENIED_BY_RULE, "it denies what this is")

_NAMED_UNKNOWNS = 3
"""So many of the facts that a denial misses are named in its sentence; the evidence has all their codes."""

_NAMED_RULES = 8
"""So many of the rules that do not grant are named; an explanation has them all."""


class Section(StrEnum):
    """Where a rule stands, and so what it does."""

    DENY = "deny"
    REQUIRE = "require"
    ALLOW = "allow"


class Effect(StrEnum):
    """What a rule did about a request."""

    DENIES = "denies"
    GRANTS = "grants"
    HOLDS = "holds"
    ASKS = "asks"
    """Holds, once people have approved."""

    PASSES_BY = "does not apply"


class Approval(Struct, frozen=True):
    """Whom a rule asks."""

    quorum: int
    groups: tuple[str, ...]
    lifetime_seconds: int
    delay_seconds: int


class Rule(Struct, frozen=True, kw_only=True):
    """One rule of a file."""

    name: str
    section: Section
    where: str
    """File and line."""

    scope: str = ""
    """`transaction` or `duty` where a required rule is about nothing else; empty for all."""

    when: tuple[Condition, ...] = ()
    """A required rule applies only where all of these hold, or may."""

    unless: tuple[Condition, ...] = ()
    """The rule does not apply where there are any and all of them hold for sure."""

    conditions: tuple[Condition, ...] = ()
    charges: tuple[Charge, ...] = ()
    approval: Approval | None = None
    message: str = ""
    """Said to whoever is denied."""


class Finding(Struct, frozen=True):
    """What one rule did about a request, and why."""

    rule: str
    section: Section
    where: str
    effect: Effect
    because: Miss | None = None
    """The condition that kept it from granting or applying, or that it denies by."""

    reserve: tuple[Reservation, ...] = ()
    approval: Approval | None = None
    message: str = ""


class Explanation(Struct, frozen=True):
    """A verdict, and the rules it comes from."""

    verdict: Verdict
    decided_by: tuple[str, ...]
    """The rules that denied; or those that ask; or those that granted. Empty where no rule granted."""

    findings: tuple[Finding, ...]


class RuleFile(Struct, frozen=True):
    """The rules of one file: a policy. Immutable and pure."""

    name: str
    """What errors and evidence call the file."""

    rules: tuple[Rule, ...]
    grants_the_rest: bool = False
    """True where what can be read is granted although no rule of `allow` does."""

    def __call__(self, facts: Facts) -> Verdict:
        """The verdict."""
        return self.explain(facts).verdict

    def explain(self, facts: Facts) -> Explanation:
        """The verdict, and what each rule had to do with it."""
        findings = tuple(sorted((find(rule, facts) for rule in self.rules), key=_place))
        denials = [finding for finding in findings if finding.effect is Effect.DENIES]
        if denials:
            return Explanation(_denial(denials[0]), tuple(each.rule for each in denials), findings)
        grants = tuple(finding.rule for finding in findings if finding.effect is Effect.GRANTS)
        if not grants and not (self.grants_the_rest and _is_readable(facts)):
            return Explanation(_not_granted(findings, facts), (), findings)
        reserve = tuple(reservation for finding in findings for reservation in finding.reserve)
        asking = [finding for finding in findings if finding.effect is Effect.ASKS]
        if asking:
            verdict = _asking([each.approval for each in asking if each.approval is not None], reserve)
            return Explanation(verdict, tuple(each.rule for each in asking), findings)
        return Explanation(Allow(reserve) if reserve else ALLOW, grants, findings)


def find(rule: Rule, facts: Facts) -> Finding:
    """What this rule does about a request."""
    match rule.section:
        case Section.ALLOW:
            return _find_grant(rule, facts)
        case Section.DENY:
            return _find_denial(rule, facts)
        case Section.REQUIRE:
            return _find_requirement(rule, facts)


def _find_grant(rule: Rule, facts: Facts) -> Finding:
    miss = _first_miss(rule.conditions, facts)
    if miss is not None:
        return _finding(rule, Effect.PASSES_BY, miss)
    if rule.unless and not _fails_for_sure(rule.unless, facts):
        return _finding(rule, Effect.PASSES_BY, Miss("EXEMPTED", "what `unless` names fits, or may"))
    if not _is_readable(facts) and not _names_opaque(rule, facts):
        return _finding(rule, Effect.PASSES_BY, Miss("OPAQUE", "what cannot be read is granted only by its name"))
    return _finding(rule, Effect.GRANTS)


def _find_denial(rule: Rule, facts: Facts) -> Finding:
    unknown: list[Miss] = []
    for condition in rule.conditions:
        miss = condition.miss(facts)
        if miss is not None and not miss.unknown:
            return _finding(rule, Effect.PASSES_BY, miss)
        if miss is not None:
            unknown.append(miss)
    exemption = [miss for each in rule.unless if (miss := each.miss(facts)) is not None]
    if rule.unless and not exemption:
        return _finding(rule, Effect.PASSES_BY, Miss("EXEMPTED", "what `unless` names fits"))
    if unknown:
        return _finding(rule, Effect.DENIES, _may_fit(unknown, "and a rule of `deny` denies what may be"))
    if exemption and all(miss.unknown for miss in exemption):
        return _finding(rule, Effect.DENIES, _may_fit(exemption, "and `unless` exempts only what fits for sure"))
    return _finding(rule, Effect.DENIES, _FITS)


def _may_fit(unknown: Sequence[Miss], why: str) -> Miss:
    """A denial that rests on what nobody knows names the facts that are missing."""
    sentences = tuple(dict.fromkeys(miss.message for miss in unknown))
    evidence: dict[str, str | int | None] = {}
    for miss in unknown:
        evidence |= miss.evidence
    evidence["unknown"] = ", ".join(dict.fromkeys(miss.code for miss in unknown))
    return Miss(DENIED_BY_RULE, f"{'; '.join(sentences[:_NAMED_UNKNOWNS])}, {why}", evidence, unknown=True)


def _find_requirement(rule: Rule, facts: Facts) -> Finding:
    outside = _outside(rule, facts)
    if outside is not None:
        return _finding(rule, Effect.PASSES_BY, outside)
    miss = _first_miss(rule.conditions, facts)
    if miss is not None:
        return _finding(rule, Effect.DENIES, miss)
    reserve: list[Reservation] = []
    for charge in rule.charges:
        match charge.reservation(facts, rule.name):
            case Miss() as miss:
                return _finding(rule, Effect.DENIES, miss)
            case Reservation() as reservation:
                reserve.append(reservation)
            case None:
                pass
    effect = Effect.HOLDS if rule.approval is None else Effect.ASKS
    return Finding(rule.name, rule.section, rule.where, effect, None, tuple(reserve), rule.approval, rule.message)


def _outside(rule: Rule, facts: Facts) -> Miss | None:
    """Why a required rule does not apply; None where it does."""
    if not facts.opaque:
        if rule.scope == "transaction" and facts.transaction is None:
            return Miss("NO_TRANSACTION", "the rule is about transactions")
        if rule.scope == "duty" and facts.duty is None:
            return Miss("NO_DUTY", "the rule is about consensus duties")
    for condition in rule.when:
        miss = condition.miss(facts)
        if miss is not None and not miss.unknown:
            return miss
    if rule.unless and _first_miss(rule.unless, facts) is None:
        return Miss("EXEMPTED", "what `unless` names fits")
    return None


def _finding(rule: Rule, effect: Effect, because: Miss | None = None) -> Finding:
    return Finding(rule.name, rule.section, rule.where, effect, because, message=rule.message)


def _first_miss(conditions: Iterable[Condition], facts: Facts) -> Miss | None:
    return next((miss for each in conditions if (miss := each.miss(facts)) is not None), None)


def _fails_for_sure(conditions: Iterable[Condition], facts: Facts) -> bool:
    """True where one of the conditions is known not to hold."""
    misses = (condition.miss(facts) for condition in conditions)
    return any(miss is not None and not miss.unknown for miss in misses)


def _is_readable(facts: Facts) -> bool:
    return not facts.opaque and (facts.transaction is not None or facts.duty is not None)


def _names_opaque(rule: Rule, facts: Facts) -> bool:
    """True where one of its conditions is on the kind of payload: they all hold, so it names this one."""
    return facts.opaque and any(isinstance(each, Payloads) for each in rule.conditions)


def _place(finding: Finding) -> tuple[int, str]:
    return list(Section).index(finding.section), finding.rule


def _denial(finding: Finding) -> Deny:
    miss = finding.because or _FITS
    said = finding.message or miss.message
    if finding.message and miss.unknown:
        said += f" ({miss.message})"
    return Deny(miss.code, f"rule {finding.rule}: {said}", _evidence(finding, miss))


def _not_granted(findings: Sequence[Finding], facts: Facts) -> Deny:
    """Where one rule could have granted it, its reason is the reason; where there are several, nobody's is."""
    could = [each for each in findings if each.section is Section.ALLOW and each.because is not None]
    if len(could) == 1 and could[0].because is not None:
        return Deny(
            could[0].because.code,
            f"no rule grants it; {could[0].rule} does not: {could[0].because.message}",
            _evidence(could[0], could[0].because),
        )
    if not _is_readable(facts):
        return Deny("OPAQUE", "no rule grants a payload that cannot be read", {"rules": len(could)})
    names = ", ".join(each.rule for each in could[:_NAMED_RULES]) or "none"
    more = f" and {len(could) - _NAMED_RULES} more" if len(could) > _NAMED_RULES else ""
    return Deny(NOT_GRANTED, f"no rule grants it (of these: {names}{more})", {"rules": len(could)})


def _evidence(finding: Finding, miss: Miss) -> Evidence:
    return {**miss.evidence, "rule": finding.rule, "where": finding.where}


def _asking(approvals: Sequence[Approval], reserve: tuple[Reservation, ...]) -> RequireApproval:
    """All that ask, at once: the file's reader has seen to it that they ask the same groups."""
    return RequireApproval(
        max(each.quorum for each in approvals),
        approvals[0].groups,
        min(each.lifetime_seconds for each in approvals),
        max(each.delay_seconds for each in approvals),
        reserve,
    )
