"""Policies for tests of the edge: one policy on record, and orders that are only remembered."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from signer.auth.principal import Caller
from signer.errors import MalformedRequestError, PolicyOrderError, SignerError, UnknownPolicyError
from signer.operations.kept_decisions import DecisionPage, DecisionQuery, ToldDecision
from signer.operations.manage_policies import PolicyStory
from signer.operations.policy_orders import PolicyOrder, PolicyOrdered
from signer.operations.who_can import Answer, HasSay, WhoCanAnswer, parse_action
from signer.policy.bindings import Binding, ToTag
from signer.policy.kept_facts import KeptRow
from signer.policy.pack import Kind, Manifest
from signer.policy.policy_record import Change, Published
from signer.policy.policy_set import NamedList, PolicySet, ServedPolicy
from signer.units import PublicKey

VERSION = "1" * 64
SERVED = ServedPolicy("staking", VERSION)
LIST = NamedList("receivers", ("0x01", "0x02"))
SET = PolicySet(7, (SERVED,), (Binding("staking", ToTag("lido")),), (LIST,))


@dataclass
class PolicyManagementTwin:
    """Has SET; knows whatever name it is asked for, unless it is told to know nothing."""

    error: SignerError | None = None
    unknown: bool = False
    clashes: bool = False
    given: list[tuple[PolicyOrder, Caller]] = field(default_factory=list)

    def check_may_order(self, _caller: Caller) -> None:
        """Everybody may."""

    async def order(self, order: PolicyOrder, caller: Caller) -> PolicyOrdered:
        self._check()
        if self.clashes:
            raise PolicyOrderError("it is bound")
        self.given.append((order, caller))
        return PolicyOrdered(8, "done", "a change", VERSION)

    async def policies(self, _caller: Caller, *, revision: int | None = None) -> PolicySet:
        self._check()
        return SET

    async def policy(self, _name: str, _caller: Caller) -> PolicyStory:
        self._check()
        published = Published(VERSION, "staking", 99, None, None, 1_700_000_000_000, "operator")
        return PolicyStory(SERVED, ("tag:lido",), (published,), Manifest(name="staking", kind=Kind.RULES))

    async def named_list(self, _name: str, _caller: Caller, *, revision: int | None = None) -> NamedList:
        self._check()
        return LIST

    async def pack(self, _version: str, _caller: Caller) -> bytes:
        self._check()
        return b"holdfast-policy-1\n"

    async def history(self, _caller: Caller, *, before: int | None = None, limit: int) -> Sequence[Change]:
        self._check()
        return [Change(7, 1_700_000_000_000, "operator", "a change")]

    async def kept_decisions(self, query: DecisionQuery, _caller: Caller) -> DecisionPage:
        self._check()
        if not 1 <= query.limit <= 500:
            raise MalformedRequestError("limit must be 1 to 500", path="limit")
        row = KeptRow("", 7, 1_700_000_000_000, bytes(48), "", b"{}")
        return DecisionPage((ToldDecision(row, "matches"),), None)

    async def who_can(self, public_key: PublicKey, action: str, _caller: Caller) -> WhoCanAnswer:
        parse_action(action)
        self._check()
        answer = Answer("vouch", ("clients",), "", (HasSay("staking", VERSION, ("tag:lido",)),))
        return WhoCanAnswer(public_key, action, "default", (), 7, "allow", (answer,))

    def _check(self) -> None:
        if self.error is not None:
            raise self.error
        if self.unknown:
            raise UnknownPolicyError("no such thing is on record")
