"""Who may do something with a key, and which policies have a say in it: from configuration and record, nothing asked.

What is told holds for the moment, and says nothing of what policies would decide of a single request.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from signer.auth.authorize import check_authorized
from signer.auth.irreversible import IrreversibleRule
from signer.auth.principal import Action, Caller, Principal
from signer.errors import ForbiddenError, IrreversibleDutyError, MalformedRequestError
from signer.eth2.duties import Duty
from signer.journal.ledger import Transaction
from signer.journal.reader import Reading
from signer.keys.tags import Tag, tags_of
from signer.operations.reading import read_record
from signer.policy.bindings import Bindings
from signer.policy.combine import Defaults
from signer.policy.facts import Caller as AskingCaller
from signer.policy.facts import Signer
from signer.policy.policy_record import read_policy_set
from signer.policy.policy_set import PolicySet
from signer.policy.target_words import target_words
from signer.units import PublicKey

SIGNING = frozenset({Action.SIGN_DUTY, Action.SIGN_EXTENSION})
"""The actions in which policies have a say."""

DUTY_TYPES = frozenset(each.type for each in get_args(Duty))
"""The types of everything that a validator is asked to sign."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what, as the configuration says."""

    principals: tuple[Principal, ...]
    irreversible: IrreversibleRule
    defaults: Defaults


@dataclass(frozen=True, slots=True)
class HasSay:
    """A policy that is asked, and through which of its bindings."""

    policy: str
    version: str
    through: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One principal."""

    principal: str
    groups: tuple[str, ...]
    reason: str
    """Why it may not; empty where it may, as far as grants go: policies, slashing protection and the state of the key
    are heard after them."""

    policies: tuple[HasSay, ...]
    """Those that have a say, by name."""

    @property
    def may(self) -> bool:
        """True where nothing is said against it."""
        return not self.reason


@dataclass(frozen=True, slots=True)
class WhoCanAnswer:
    """Who may, and who has a say."""

    public_key: PublicKey
    action: str
    namespace: str
    tags: tuple[Tag, ...]
    revision: int
    """Of the policies."""

    unbound: str | None
    """What becomes of it where no policy has a say, `allow` or `deny`; None where policies are not asked at all."""

    principals: tuple[Answer, ...]


class WhoCan:
    """One instance for the life of the process; reads through connections of its own."""

    def __init__(self, *, access: Access, reading: Reading, namespace_of: Callable[[PublicKey], str]) -> None:
        """`namespace_of` a key: that of one that is loaded, or the one that it would have."""
        self._access = access
        self._reading = reading
        self._namespace_of = namespace_of

    async def __call__(self, public_key: PublicKey, action: str, caller: Caller) -> WhoCanAnswer:
        """Every principal of the configuration. Raises ForbiddenError, MalformedRequestError: no such action."""
        check_authorized(caller.principal, Action.POLICY_READ, public_key=public_key)
        wanted, duty = parse_action(action)

        def look(moment: Transaction) -> tuple[PolicySet, frozenset[Tag]]:
            return read_policy_set(moment), tags_of(moment, public_key)

        policies, tags = await asyncio.to_thread(read_record, self._reading, look)
        namespace = self._namespace_of(public_key)
        written = "0x" + public_key.hex()
        signer = Signer(
            key_id=written, public_key=written, algorithm="bls12-381", namespace=namespace, tags=tuple(sorted(tags))
        )
        answers = [
            self._answer(principal, public_key, action=wanted, duty=duty, policies=policies, signer=signer)
            for principal in self._access.principals
        ]
        unbound = ("allow" if self._access.defaults.duties else "deny") if wanted is Action.SIGN_DUTY else None
        if wanted is Action.SIGN_EXTENSION:
            unbound = "deny"  # nobody can read what it does
        return WhoCanAnswer(
            public_key, action, namespace, tuple(sorted(tags)), policies.revision, unbound, tuple(answers)
        )

    def _answer(
        self,
        principal: Principal,
        public_key: PublicKey,
        *,
        action: Action,
        duty: str | None,
        policies: PolicySet,
        signer: Signer,
    ) -> Answer:
        try:
            check_authorized(principal, action, public_key=public_key, duty_type=duty)
            if duty is not None:
                self._access.irreversible.check(duty, principal=principal.name, public_key=public_key)
        except (ForbiddenError, IrreversibleDutyError) as refusal:
            return Answer(principal.name, tuple(sorted(principal.groups)), refusal.sentence, ())
        say = _have_say(principal, policies, signer) if action in SIGNING else ()
        return Answer(principal.name, tuple(sorted(principal.groups)), "", say)


def told_who_can(answer: WhoCanAnswer) -> Mapping[str, object]:
    """The same as the edges tell it."""
    return {
        "public_key": "0x" + answer.public_key.hex(),
        "action": answer.action,
        "namespace": answer.namespace,
        "tags": list(answer.tags),
        "revision": answer.revision,
        "unbound": answer.unbound,
        "principals": [
            {
                "principal": each.principal,
                "groups": list(each.groups),
                "may": each.may,
                "reason": each.reason,
                "policies": [
                    {"policy": one.policy, "version": one.version, "through": list(one.through)}
                    for one in each.policies
                ],
            }
            for each in answer.principals
        ],
    }


def parse_action(text: str) -> tuple[Action, str | None]:
    """An action (`sign:duty`), or a signing type (`BLOCK_V2`). Raises MalformedRequestError."""
    if text in DUTY_TYPES:
        return Action.SIGN_DUTY, text
    try:
        return Action(text), None
    except ValueError:
        raise MalformedRequestError(
            f"{text[:64]!r} is neither a signing type ({', '.join(sorted(DUTY_TYPES))}) nor an action"
            f" ({', '.join(Action)})",
            path="action",
        ) from None


def _have_say(principal: Principal, policies: PolicySet, signer: Signer) -> tuple[HasSay, ...]:
    bindings, caller = Bindings(policies.bindings), AskingCaller(identity=principal.name)
    found = []
    for name in bindings.bound(signer, caller):
        policy = policies.find(name)
        version = "" if policy is None else policy.version
        through: Sequence[str] = [target_words(target) for target in bindings.why(name, signer, caller)]
        found.append(HasSay(name, version, tuple(through)))
    return tuple(found)
