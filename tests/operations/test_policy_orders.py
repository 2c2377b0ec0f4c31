"""The life of a policy by orders: durable, audited, refused with a reason, and rolled back to exactly what was."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from msgspec import structs
from operations.keeping_twin import entries
from operations.record_twin import CALLER, House
from policy.policy_packs import (
    FIRST,
    ONE,
    OWNER,
    SECOND,
    STRANGER,
    THIRD,
    THREE,
    TWO,
    key_of,
    module_pack,
    rules_pack,
    sign_pack,
)
from policy.wat_policies import policy as wat_policy

from signer.approvals.request import Ending, State
from signer.audit.entry import Kind
from signer.auth.approvers import Approver, Approvers
from signer.auth.principal import Action, Caller, Principal
from signer.crypto.aead import KEY_BYTES, Sealer
from signer.crypto.secret import Secret
from signer.errors import (
    ApprovalChangedError,
    ApprovalClosedError,
    ApprovalDeniedError,
    ApprovalRequiredError,
    ForbiddenError,
    MalformedRequestError,
    NotAnApproverError,
    PolicyChangedError,
    PolicyImportError,
    PolicyModuleInvalidError,
    PolicyOrderError,
    PolicyPackError,
    PolicyRevisionError,
    PolicySignatureError,
    SignerError,
    UnapprovableError,
    UnknownPolicyError,
)
from signer.events import ApprovalMoved, Events
from signer.operations.approval_orders import CastVote
from signer.operations.approve import LocalApprovalOrders
from signer.operations.change_policies import LocalPolicyOrders
from signer.operations.guard_policies import PolicyGuard, exactly
from signer.operations.held_requests import HeldRequests
from signer.operations.kept_record import KeptRecord
from signer.operations.manage_policies import PolicyManagement
from signer.operations.policy_orders import (
    ActivatePolicy,
    BindPolicy,
    ChangeList,
    GuardChanges,
    KeepFacts,
    PolicyOrder,
    PublishPolicy,
    RetirePolicy,
    RollBackAll,
    RollBackPolicy,
    ShadowPolicy,
    TrustKey,
    UnbindPolicy,
)
from signer.operations.review_approvals import ApprovalReview
from signer.policy.bindings import Binding, ToCaller, ToKey, ToNamespace, ToTag
from signer.policy.pack import version_of
from signer.policy.policy_record import read_policy_set
from signer.policy.policy_set import MAX_PREVIOUS, ChangeGuard, PolicySet, ServedPolicy, policy_set_digest

ON_BOTH_DATABASES = True

TO_LIDO = Binding("staking", ToTag("lido"))


class Post:
    """A record, and somebody who may give orders about its policies. Owned by one test."""

    def __init__(self, record: KeptRecord, house: House) -> None:
        self.record, self.house = record, house
        events, self.steps = Events(), list[str]()
        events.subscribe(ApprovalMoved, lambda event: self.steps.append(event.step))
        orders = LocalPolicyOrders(changes=record.writer, reading=record.view.reading, clock=house.clock, events=events)
        approvers = Approvers(Approver(name, frozenset({"owners"})) for name in ("ann", "bob", "operator"))
        self.approvals = LocalApprovalOrders(
            changes=record.writer,
            reading=record.view.reading,
            clock=house.clock,
            events=events,
            sealer=Sealer(Secret(b"\5" * KEY_BYTES)),
            most_waiting=100,
            keep_days=90,
        )
        held = HeldRequests(orders=self.approvals, reading=record.view.reading, clock=house.clock, approvers=approvers)
        self.guard = PolicyGuard(held, approvers, reading=record.view.reading)
        self.management = PolicyManagement(orders=orders, reading=record.view.reading, guard=self.guard)
        self.orders = orders
        self.review = ApprovalReview(
            orders=self.approvals, reading=record.view.reading, clock=house.clock, approvers=approvers
        )

    async def order(self, order: PolicyOrder, caller: Caller = CALLER) -> tuple[str, int]:
        """What became of it, and the revision that holds."""
        done = await self.management.order(order, caller)
        return done.status, done.revision

    async def all(self, *orders: PolicyOrder) -> None:
        for order in orders:
            assert (await self.order(order))[0] == "done", order

    async def refused(self, order: PolicyOrder, error: type[SignerError], words: str = ".") -> None:
        """It is refused with these words, and nothing is changed."""
        before = self.policies()
        with pytest.raises(error, match=words):
            await self.order(order)
        assert self.policies() == before

    def policies(self) -> PolicySet:
        with self.record.view.reading() as moment:
            return read_policy_set(moment)

    def staking(self) -> ServedPolicy:
        return self.policies().policies[0]

    def notes(self) -> list[tuple[Kind, str]]:
        return [(entry.kind, entry.note) for entry in entries(self.house) if 40 <= entry.kind < 50]


@pytest.fixture
def post(record: KeptRecord, house: House) -> Post:
    return Post(record, house)


async def test_a_policy_is_published_then_staged_then_it_decides(post: Post) -> None:
    assert await post.order(PublishPolicy(pack=ONE)) == ("done", 1)
    assert post.staking() == ServedPolicy("staking", staged=FIRST)
    assert await post.order(ActivatePolicy(name="staking")) == ("done", 2)
    assert post.staking() == ServedPolicy("staking", FIRST)
    await post.all(PublishPolicy(pack=TWO), ActivatePolicy(name="staking"))
    assert post.staking() == ServedPolicy("staking", SECOND, (FIRST,))
    assert await post.management.pack(FIRST, CALLER) == ONE, "a former version stays on record"


async def test_every_order_is_an_audit_entry_that_names_versions_before_and_after(post: Post) -> None:
    orders: list[PolicyOrder] = [
        PublishPolicy(pack=ONE),
        ActivatePolicy(name="staking"),
        BindPolicy(binding=TO_LIDO),
        PublishPolicy(pack=TWO),
        ShadowPolicy(name="staking", version=SECOND),
        ActivatePolicy(name="staking"),
        RollBackPolicy(name="staking"),
        UnbindPolicy(binding=TO_LIDO),
        ChangeList(name="receivers", change="set", items=("0x02", "0x01")),
        KeepFacts(namespaces=("default",)),
        TrustKey(key=key_of(OWNER)),
        RetirePolicy(name="staking"),
    ]
    await post.all(*orders)
    assert post.notes() == [
        (Kind.POLICY_PUBLISHED, f"published policy staking version {FIRST}; revision 1"),
        (Kind.POLICY_ACTIVATED, f"activated policy staking: none -> {FIRST}; revision 2"),
        (Kind.POLICY_BOUND, f"bound policy staking version {FIRST} to tag:lido; revision 3"),
        (Kind.POLICY_PUBLISHED, f"published policy staking version {SECOND}, {FIRST} decides; revision 4"),
        (Kind.POLICY_SHADOWED, f"shadow of policy staking: none -> {SECOND}; revision 5"),
        (Kind.POLICY_ACTIVATED, f"activated policy staking: {FIRST} -> {SECOND}; revision 6"),
        (Kind.POLICY_ROLLED_BACK, f"rolled back policy staking: {SECOND} -> {FIRST}; revision 7"),
        (Kind.POLICY_UNBOUND, f"unbound policy staking version {FIRST} from tag:lido; revision 8"),
        (Kind.POLICY_LIST_CHANGED, "list receivers: 0 -> 2 items +0x01 +0x02; revision 9"),
        (Kind.POLICY_SETTINGS_CHANGED, "keeps facts of: none -> default; revision 10"),
        (Kind.POLICY_TRUST_CHANGED, f"trusts key 0x{key_of(OWNER)}; 1 key is trusted; revision 11"),
        (Kind.POLICY_RETIRED, f"retired policy staking version {FIRST}; revision 12"),
    ]
    history = await post.management.history(CALLER, limit=500)
    assert [each.revision for each in history] == list(range(12, 0, -1))
    assert {each.changed_by for each in history} == {"operator"}


async def test_an_order_that_changes_nothing_is_audited_and_makes_no_revision(post: Post) -> None:
    await post.all(PublishPolicy(pack=ONE), ActivatePolicy(name="staking"), BindPolicy(binding=TO_LIDO))
    for order in (
        PublishPolicy(pack=ONE),
        ActivatePolicy(name="staking", version=FIRST),
        BindPolicy(binding=TO_LIDO),
        UnbindPolicy(binding=Binding("staking", ToTag("other"))),
        ChangeList(name="receivers", change="drop"),
        KeepFacts(namespaces=()),
        ShadowPolicy(name="staking"),
    ):
        assert await post.order(order) == ("unchanged", 3), order
        assert post.notes()[-1][1].endswith("; was so before"), order


# --- roll back -------------------------------------------------------------------------------------


async def test_a_roll_back_gives_back_exactly_what_held_before_the_activation(post: Post) -> None:
    await post.all(PublishPolicy(pack=ONE), ActivatePolicy(name="staking"), BindPolicy(binding=TO_LIDO))
    await post.all(ChangeList(name="receivers", change="set", items=("0x01",)), PublishPolicy(pack=TWO))
    before = post.policies()
    await post.all(ActivatePolicy(name="staking"))
    assert policy_set_digest(post.policies()) != policy_set_digest(before)
    await post.all(RollBackPolicy(name="staking"))
    assert post.policies() == structs.replace(before, revision=before.revision + 2)
    assert policy_set_digest(post.policies()) == policy_set_digest(before)


async def test_everything_is_rolled_back_to_a_revision_of_the_past(post: Post) -> None:
    await post.all(PublishPolicy(pack=ONE), ActivatePolicy(name="staking"), BindPolicy(binding=TO_LIDO))
    before = post.policies()
    await post.all(
        PublishPolicy(pack=TWO),
        ActivatePolicy(name="staking"),
        UnbindPolicy(binding=TO_LIDO),
        ChangeList(name="receivers", change="set", items=("0x01",)),
        RetirePolicy(name="staking"),
        RollBackAll(revision=3),
    )
    assert post.policies() == structs.replace(before, revision=9)
    await post.refused(RollBackAll(revision=77), UnknownPolicyError, "never had a revision 77")
    await post.all(RollBackAll(revision=0))
    assert post.policies() == PolicySet(revision=10)


async def test_former_versions_are_rolled_back_to_by_name(post: Post) -> None:
    for pack in (ONE, TWO, THREE):
        await post.all(PublishPolicy(pack=pack), ActivatePolicy(name="staking"))
    assert post.staking() == ServedPolicy("staking", THIRD, (SECOND, FIRST))
    await post.refused(RollBackPolicy(name="staking", version=THIRD), PolicyOrderError, "none that decided before")
    await post.all(RollBackPolicy(name="staking", version=FIRST))
    assert post.staking() == ServedPolicy("staking", FIRST, (), staged=THIRD)
    await post.refused(RollBackPolicy(name="staking"), PolicyOrderError, "no former version")
    await post.all(ActivatePolicy(name="staking", version=SECOND))
    assert post.staking() == ServedPolicy("staking", SECOND, (FIRST,), staged=THIRD)


async def test_no_more_former_versions_are_kept_than_can_be_named(post: Post) -> None:
    packs = [rules_pack(description=str(n)) for n in range(MAX_PREVIOUS + 3)]
    for pack in packs:
        await post.all(PublishPolicy(pack=pack), ActivatePolicy(name="staking"))
    assert post.staking().previous == tuple(version_of(each) for each in packs[-2 : -2 - MAX_PREVIOUS : -1])


# --- what is refused -------------------------------------------------------------------------------

BAD_PACKS: dict[str, tuple[bytes, type[SignerError], str]] = {
    "no pack": (b"\0asm\1\0\0\0", PolicyPackError, "does not begin with"),
    "rules with a fault": (
        rules_pack(text="version: 1\nallow:\n  - name: a\n    chainz: [1]\n"),
        PolicyPackError,
        "cannot be read.*chainz",
    ),
    "rules that are no text": (rules_pack(text=b"\xff\xfe"), PolicyPackError, "UTF-8"),
    "no module": (module_pack(b"\0asm\1\0\0\0garbage"), PolicyModuleInvalidError, "cannot be used"),
    "a module that wants the system": (
        module_pack(wat_policy(rest='(import "wasi_snapshot_preview1" "fd_write" (func (param i32)))')),
        PolicyImportError,
        "fd_write",
    ),
    "the name of the default": (rules_pack("default"), PolicyPackError, "default"),
}


@pytest.mark.parametrize("name", BAD_PACKS)
async def test_a_pack_that_does_not_load_is_refused_at_publish_with_the_reason(post: Post, name: str) -> None:
    pack, error, words = BAD_PACKS[name]
    await post.refused(PublishPolicy(pack=pack), error, words)
    with pytest.raises(UnknownPolicyError):
        await post.management.pack(version_of(pack), CALLER)


async def test_a_module_that_loads_is_published(post: Post) -> None:
    pack = module_pack(wat_policy())
    await post.all(PublishPolicy(pack=pack), ActivatePolicy(name="staking"))
    assert post.staking().version == version_of(pack)
    assert (await post.management.policy("staking", CALLER)).manifest.fuel > 0


async def test_orders_that_make_no_sense_are_refused(post: Post) -> None:
    await post.refused(ActivatePolicy(name="staking"), UnknownPolicyError, "publish it first")
    await post.all(PublishPolicy(pack=ONE))
    await post.refused(BindPolicy(binding=TO_LIDO), PolicyOrderError, "Activate one first")
    await post.refused(ActivatePolicy(name="staking", version="0" * 64), UnknownPolicyError, "ever published")
    await post.all(ActivatePolicy(name="staking"))
    await post.refused(ActivatePolicy(name="staking"), PolicyOrderError, "no version of policy staking is staged")
    await post.refused(ShadowPolicy(name="staking", version=FIRST), PolicyOrderError, "decides already")
    await post.all(PublishPolicy(pack=rules_pack("treasury")), BindPolicy(binding=TO_LIDO))
    other = version_of(rules_pack("treasury"))
    await post.refused(ActivatePolicy(name="staking", version=other), PolicyOrderError, "published as policy treasury")
    await post.refused(RetirePolicy(name="staking"), PolicyOrderError, "bound in 1 place:")
    await post.refused(RetirePolicy(name="nobody"), UnknownPolicyError)
    await post.refused(UnbindPolicy(binding=Binding("nobody", ToTag("lido"))), UnknownPolicyError)
    await post.refused(TrustKey(key=key_of(OWNER), trusted=False), PolicyOrderError, "not among")
    await post.refused(BindPolicy(binding=Binding("staking", ToTag("Lido"))), MalformedRequestError, "a tag has")
    await post.refused(BindPolicy(binding=Binding("staking", ToKey("0x12"))), MalformedRequestError, "a key is")
    long_items = tuple(f"{n:0200d}" for n in range(6000))
    await post.refused(ChangeList(name="all", change="set", items=long_items), PolicyOrderError, "6000 items")


async def test_what_could_not_be_read_again_is_not_stored(post: Post) -> None:
    """Whoever gives an order without a running signer goes past the edge, which checks what it decodes."""
    await post.all(PublishPolicy(pack=ONE), ActivatePolicy(name="staking"))
    for item in ("", "x" * 257, "d'Artagnan", "a\\b", "a\nb", "a\0b", "\u202e"):
        await post.refused(ChangeList(name="receivers", change="add", items=(item,)), PolicyOrderError, "afterwards")
        await post.refused(KeepFacts(namespaces=(item,)), PolicyOrderError, "afterwards")
        for target in (ToNamespace(item), ToCaller(item)):
            bind = BindPolicy(binding=Binding("staking", target))
            await post.refused(bind, MalformedRequestError, "a name has")
    assert post.policies().revision == 2


async def test_an_order_for_another_revision_than_the_one_that_holds_is_refused(post: Post) -> None:
    await post.all(PublishPolicy(pack=ONE, if_revision=0), ActivatePolicy(name="staking", if_revision=1))
    for revision in (0, 1, 3):
        await post.refused(BindPolicy(binding=TO_LIDO, if_revision=revision), PolicyRevisionError, f"{revision} of")
    await post.all(BindPolicy(binding=TO_LIDO, if_revision=2))


async def test_of_many_orders_for_one_revision_exactly_one_is_carried_out(post: Post) -> None:
    await post.all(PublishPolicy(pack=ONE), ActivatePolicy(name="staking"))
    bindings = [Binding("staking", ToTag(f"tag-{n}")) for n in range(16)]
    racing = (post.order(BindPolicy(binding=each, if_revision=2)) for each in bindings)
    done = await asyncio.gather(*racing, return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["PolicyRevisionError"] * 15 + ["tuple"]
    assert len(post.policies().bindings) == 1


# --- signatures ------------------------------------------------------------------------------------


def signed(pack: bytes, owner: Any, **more: Any) -> PublishPolicy:
    return PublishPolicy(pack=pack, signature=sign_pack(pack, owner), **more)


async def test_where_a_key_is_trusted_only_what_it_has_signed_is_published(post: Post) -> None:
    await post.all(TrustKey(key=key_of(OWNER)))
    await post.refused(PublishPolicy(pack=ONE), PolicySignatureError, "not signed")
    await post.refused(signed(ONE, STRANGER), PolicySignatureError, "not one of any trusted key")
    await post.refused(signed(ONE, STRANGER, signed_by=key_of(STRANGER)), PolicySignatureError, "not among the trusted")
    wrong = PublishPolicy(pack=TWO, signature=sign_pack(ONE, OWNER))
    await post.refused(wrong, PolicySignatureError, "over exactly this policy")
    await post.all(signed(ONE, OWNER))
    [published] = (await post.management.policy("staking", CALLER)).published
    assert published.signed_by is not None
    assert published.signed_by.hex() == key_of(OWNER)


async def test_a_signature_is_checked_where_no_key_is_trusted_too(post: Post) -> None:
    await post.refused(signed(ONE, STRANGER), PolicySignatureError, "not whose")
    await post.refused(signed(ONE, STRANGER, signed_by=key_of(OWNER)), PolicySignatureError, "over exactly this")
    await post.all(signed(ONE, STRANGER, signed_by=key_of(STRANGER)))


async def test_what_was_published_before_a_key_was_trusted_is_not_activated(post: Post) -> None:
    await post.all(PublishPolicy(pack=ONE), ActivatePolicy(name="staking"), PublishPolicy(pack=TWO))
    await post.all(TrustKey(key=key_of(OWNER)))
    await post.refused(ActivatePolicy(name="staking"), PolicySignatureError, "signed by nobody")
    await post.refused(ShadowPolicy(name="staking", version=SECOND), PolicySignatureError, "signed by nobody")
    assert (await post.order(signed(TWO, OWNER)))[0] == "unchanged", "it is staged already, and has a signature now"
    await post.all(ActivatePolicy(name="staking"))
    await post.all(RollBackPolicy(name="staking"))
    assert post.staking().version == FIRST, "a roll back in an emergency asks for no signature"


# --- who may ---------------------------------------------------------------------------------------


async def test_only_whoever_is_granted_it_orders_and_looks(post: Post) -> None:
    reader = Caller(Principal("reader", actions=frozenset({Action.POLICY_READ})))
    writer = Caller(Principal("writer", actions=frozenset({Action.POLICY_WRITE})))
    single = Caller(Principal("single", keys=frozenset({b"k" * 48})))
    for caller in (reader, single):
        with pytest.raises(ForbiddenError):
            await post.order(PublishPolicy(pack=ONE), caller)
    assert await post.order(PublishPolicy(pack=ONE), writer) == ("done", 1)
    for caller in (writer, single):
        with pytest.raises(ForbiddenError):
            await post.management.policies(caller)
    assert (await post.management.policies(reader)).revision == 1


# --- lists -----------------------------------------------------------------------------------------


async def test_lists_are_set_added_to_and_taken_from(post: Post) -> None:
    steps: list[tuple[Any, tuple[str, ...], tuple[str, ...]]] = [
        ("set", ("b", "a", "b"), ("a", "b")),
        ("add", ("c", "a"), ("a", "b", "c")),
        ("remove", ("b", "x"), ("a", "c")),
        ("set", (), ()),
        ("add", ("d",), ("d",)),
    ]
    for change, items, expected in steps:
        await post.all(ChangeList(name="receivers", change=change, items=items))
        assert (await post.management.named_list("receivers", CALLER)).items == expected
    await post.all(ChangeList(name="receivers", change="drop"))
    assert [note.partition(";")[0] for _, note in post.notes()[-3:]] == [
        "list receivers: 2 -> 0 items -a -c",
        "list receivers: 0 -> 1 item +d",
        "list receivers: 1 -> no such list -d",
    ]
    with pytest.raises(UnknownPolicyError):
        await post.management.named_list("receivers", CALLER)


# --- changes that wait for people ------------------------------------------------------------------

GUARD = ChangeGuard(1, ("owners",), 3600)
ANN = Caller(Principal("ann", groups=frozenset({"owners"}), actions=frozenset({Action.APPROVALS_VOTE})))


async def held(post: Post, order: PolicyOrder, caller: Caller = CALLER) -> ApprovalRequiredError:
    """The order waits for people, and nothing is changed."""
    before = post.policies()
    with pytest.raises(ApprovalRequiredError) as caught:
        await post.order(order, caller)
    assert post.policies() == before
    return caught.value


async def vote(post: Post, waits: ApprovalRequiredError, approver: str = "ann", *, approves: bool = True) -> None:
    cast = CastVote(
        bytes.fromhex(str(waits.evidence["approval"])),
        bytes.fromhex(str(waits.evidence["request_hash"])[2:]),
        approves,
        ("owners",),
        post.policies().revision,
    )
    await post.approvals.carry_out(cast, Caller(Principal(approver)))


@pytest.fixture
async def guarded(post: Post) -> Post:
    await post.all(PublishPolicy(pack=ONE), ActivatePolicy(name="staking"), GuardChanges(guard=GUARD))
    return post


async def test_a_change_under_guard_is_made_once_when_people_have_approved_it(guarded: Post) -> None:
    order = BindPolicy(binding=TO_LIDO)
    waits = await held(guarded, order)
    assert waits.sentence.startswith("this is done once people have approved it; it waits for people: approval ")
    again = await held(guarded, order)
    assert again.evidence["approval"] == waits.evidence["approval"], "the same order waits once"
    await vote(guarded, waits)
    await guarded.all(order)
    assert guarded.notes()[-1][1].endswith(f"; revision 4; approval {waits.evidence['approval']}")
    assert guarded.policies().bindings == (TO_LIDO,)
    assert guarded.steps == ["opened", "approved", "spent"]
    await held(guarded, UnbindPolicy(binding=TO_LIDO))


async def test_the_same_change_is_asked_for_again_though_the_same_holds_as_before(guarded: Post) -> None:
    order, back = BindPolicy(binding=TO_LIDO), UnbindPolicy(binding=TO_LIDO)
    for each in (order, back):
        await vote(guarded, await held(guarded, each))
        await guarded.all(each)
    await held(guarded, order)


async def test_an_approval_is_for_one_order_of_one_principal_at_one_revision(guarded: Post) -> None:
    order = BindPolicy(binding=TO_LIDO)
    waits = await held(guarded, order)
    await vote(guarded, waits)
    approval = bytes.fromhex(str(waits.evidence["approval"]))
    exact = exactly(order, guarded.policies())
    other = exactly(BindPolicy(binding=Binding("staking", ToTag("other"))), guarded.policies())
    for wrong, caller, used in (
        (other, CALLER, approval),
        (exact, Caller(Principal("somebody")), approval),
        (exact, CALLER, b""),
        (exact, CALLER, b"a" * 16),
    ):
        with pytest.raises(ApprovalChangedError):
            await guarded.orders.carry_out(wrong, caller, approval_id=used)
    await guarded.all(PublishPolicy(pack=TWO))  # waits for nobody, and makes another revision
    with pytest.raises(PolicyRevisionError):
        await guarded.orders.carry_out(exact, CALLER, approval_id=approval)
    await held(guarded, order)


async def shown(post: Post, order: PolicyOrder) -> dict[str, Any]:
    """The facts that ann is shown of an order that waits."""
    waits = await held(post, order)
    told = await post.review.show(bytes.fromhex(str(waits.evidence["approval"])), ANN)
    return json.loads(told.request.facts)


async def test_who_approves_sees_what_would_change(guarded: Post) -> None:
    await guarded.all(PublishPolicy(pack=TWO))
    here = {"policy": "staking", "version": FIRST, "place": "tag:lido"}
    of_second = {"description": "two", "published_by": "operator", "signed_by": None}
    for order, changes in (
        (
            ActivatePolicy(name="staking"),
            [{"what": "version", "policy": "staking", "goes": FIRST, "comes": SECOND, "for": [], **of_second}],
        ),
        (
            ShadowPolicy(name="staking", version=SECOND),
            [{"what": "shadow", "policy": "staking", "goes": None, "comes": SECOND, **of_second}],
        ),
        (BindPolicy(binding=TO_LIDO), [{"what": "bound", **here}]),
        (
            RetirePolicy(name="staking"),
            [{"what": "version", "policy": "staking", "goes": FIRST, "comes": None, "for": []}],
        ),
        (
            KeepFacts(namespaces=("default",)),
            [{"what": "keeps_facts", "goes": [], "goes_count": 0, "comes": ["default"], "comes_count": 1}],
        ),
        (
            ChangeList(name="to", change="add", items=("a",)),
            [{"what": "list", "list": "to", "items": 1, "goes": [], "goes_count": 0, "comes": ["a"], "comes_count": 1}],
        ),
        (
            GuardChanges(),
            [{"what": "guard", "goes": json.loads(msgspec.json.encode(GUARD)), "comes": None}],
        ),
    ):
        facts = await shown(guarded, order)
        assert facts["changes"] == changes
        assert facts["revision"] == 4


async def test_of_a_roll_back_of_everything_each_thing_that_comes_and_goes_is_shown(guarded: Post) -> None:
    other = Binding("staking", ToTag("other"))
    for order in (BindPolicy(binding=TO_LIDO), ChangeList(name="to", change="set", items=("a", "b"))):
        await vote(guarded, await held(guarded, order))
        await guarded.all(order)
    await vote(guarded, await held(guarded, UnbindPolicy(binding=TO_LIDO)))
    await guarded.all(UnbindPolicy(binding=TO_LIDO))
    await vote(guarded, await held(guarded, BindPolicy(binding=other)))
    await guarded.all(BindPolicy(binding=other))
    assert (await shown(guarded, RollBackAll(revision=4)))["changes"] == [
        {"what": "unbound", "policy": "staking", "version": FIRST, "place": "tag:other"},
        {"what": "bound", "policy": "staking", "version": FIRST, "place": "tag:lido"},
        {
            "what": "list",
            "list": "to",
            "items": None,
            "goes": ["a", "b"],
            "goes_count": 2,
            "comes": [],
            "comes_count": 0,
        },
    ]


async def test_nobody_is_asked_about_what_changes_nothing_or_cannot_be_done(guarded: Post) -> None:
    assert await guarded.order(UnbindPolicy(binding=TO_LIDO)) == ("unchanged", 3)
    for order, error in (
        (ActivatePolicy(name="staking"), PolicyOrderError),
        (ActivatePolicy(name="staking", version="9" * 64), UnknownPolicyError),
        (RollBackPolicy(name="staking"), PolicyOrderError),
        (RollBackAll(revision=9), UnknownPolicyError),
        (RetirePolicy(name="unknown"), UnknownPolicyError),
    ):
        await guarded.refused(order, error)
    assert (await guarded.review.list_requests(ANN, ended_too=True))[0] == []


@pytest.mark.parametrize("voted", [False, True], ids=["waiting", "approved"])
async def test_once_the_policies_move_on_an_approval_of_a_change_is_void_and_takes_no_vote(
    guarded: Post, *, voted: bool
) -> None:
    waits = await held(guarded, BindPolicy(binding=TO_LIDO))
    approval = bytes.fromhex(str(waits.evidence["approval"]))
    if voted:
        await vote(guarded, waits)
    await guarded.all(PublishPolicy(pack=TWO))
    told = await guarded.review.show(approval, ANN)
    assert told.state is State.VOID
    assert told.reason.startswith("the policies have moved from revision 3, which it was asked for at, to 4: give the")
    assert (await guarded.review.list_requests(ANN))[0] == []
    for decision in ("approve", "deny"):
        with pytest.raises(ApprovalClosedError, match="it is void: the policies have moved from revision 3") as refused:
            await guarded.review.vote(
                approval, ANN, decision=decision, request_hash=told.request.request_hash, signed=None
            )
        assert refused.value.evidence == {"approval": approval.hex(), "state": "void"}
    again = await held(guarded, BindPolicy(binding=TO_LIDO))
    await guarded.approvals.tidy()
    listed, _ = await guarded.review.list_requests(ANN, ended_too=True)
    assert {each.request.approval_id: each.request.ending for each in listed} == {
        approval: Ending.VOID,
        bytes.fromhex(str(again.evidence["approval"])): None,
    }
    assert (await guarded.review.show(approval, ANN)).reason == told.reason, "also when it is on record"


async def test_nobody_is_asked_about_a_change_of_policies_that_have_moved_on(guarded: Post) -> None:
    before = guarded.policies()
    await guarded.all(PublishPolicy(pack=TWO))
    with pytest.raises(PolicyRevisionError, match="made for revision 3 of the policies, and revision 4 holds"):
        await guarded.guard.admit(BindPolicy(binding=TO_LIDO), before, CALLER)
    assert (await guarded.review.list_requests(ANN, ended_too=True))[0] == []


async def test_a_vote_that_has_looked_at_other_policies_changes_nothing(guarded: Post) -> None:
    waits = await held(guarded, BindPolicy(binding=TO_LIDO))
    approval = bytes.fromhex(str(waits.evidence["approval"]))
    hashed = bytes.fromhex(str(waits.evidence["request_hash"])[2:])
    with pytest.raises(PolicyChangedError):
        await guarded.approvals.carry_out(CastVote(approval, hashed, True, ("owners",), 2), ANN)
    told = await guarded.review.show(approval, ANN)
    assert (told.state, told.request.votes) == (State.WAITING, ())


async def test_two_who_carry_one_approved_order_out_make_one_change(guarded: Post) -> None:
    order = exactly(BindPolicy(binding=TO_LIDO), guarded.policies())
    waits = await held(guarded, order)
    await vote(guarded, waits)
    approval = bytes.fromhex(str(waits.evidence["approval"]))
    racing = (guarded.orders.carry_out(order, CALLER, approval_id=approval) for _ in range(8))
    done = await asyncio.gather(*racing, return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ["PolicyOrdered"] + ["PolicyRevisionError"] * 7


async def test_what_is_activated_is_the_version_that_was_approved(guarded: Post) -> None:
    await guarded.all(PublishPolicy(pack=TWO))
    waits = await held(guarded, ActivatePolicy(name="staking"))
    await vote(guarded, waits)
    await guarded.all(ActivatePolicy(name="staking"))
    assert guarded.staking().version == SECOND


async def test_a_guard_is_taken_away_by_those_whom_it_asks_and_by_nobody_else(guarded: Post) -> None:
    waits = await held(guarded, GuardChanges())
    await held(guarded, RollBackAll(revision=0))
    with pytest.raises(NotAnApproverError):
        await vote(guarded, waits, "operator")
    await vote(guarded, waits)
    await guarded.all(GuardChanges())
    await guarded.all(BindPolicy(binding=TO_LIDO))


async def test_a_denied_change_is_not_made(guarded: Post) -> None:
    waits = await held(guarded, BindPolicy(binding=TO_LIDO))
    await vote(guarded, waits, approves=False)
    with pytest.raises(ApprovalDeniedError):
        await guarded.order(BindPolicy(binding=TO_LIDO))


async def test_a_guard_that_nobody_could_meet_is_refused(post: Post) -> None:
    for guard in (ChangeGuard(3, ("owners",), 3600), ChangeGuard(1, ("nobody",), 3600)):
        await post.refused(GuardChanges(guard=guard), UnapprovableError, "nobody could change")
