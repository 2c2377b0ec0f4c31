"""A set of policies has one spelling, and says nothing that contradicts itself."""

import pytest
from msgspec import structs

from signer.errors import CorruptDatabaseError
from signer.policy.bindings import Binding, ToCaller, ToCallerAndKey, ToKey, ToNamespace, ToTag
from signer.policy.policy_set import (
    MAX_PREVIOUS,
    NOTHING_BOUND,
    ChangeGuard,
    NamedList,
    PolicySet,
    ServedPolicy,
    decode_policy_set,
    encode_policy_set,
    fault_of,
    place_of,
    policy_set_digest,
)

ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)

FULL = PolicySet(
    revision=7,
    policies=(ServedPolicy("staking", ONE, (TWO,), THREE, THREE), ServedPolicy("treasury", staged=TWO)),
    bindings=(
        Binding("staking", ToCaller("vouch")),
        Binding("staking", ToCallerAndKey("vouch", "0x93")),
        Binding("staking", ToKey("0x93")),
        Binding("staking", ToNamespace("default")),
        Binding("staking", ToTag("lido")),
    ),
    lists=(NamedList("receivers", ("0x01", "0x02")),),
    trusted_keys=(ONE, TWO),
    keeps_facts=("default",),
    guard=ChangeGuard(2, ("owners",), 3600, 60),
)


@pytest.mark.parametrize("policies", [NOTHING_BOUND, structs.replace(FULL, bindings=())], ids=["nothing", "much"])
def test_what_is_written_is_read_again_with_its_revision(policies: PolicySet) -> None:
    text = encode_policy_set(policies)
    assert decode_policy_set(text, revision=policies.revision) == policies
    assert encode_policy_set(structs.replace(policies, revision=99)) == text, "the revision is kept beside it"


def test_every_kind_of_binding_is_written_and_read_again() -> None:
    bindings = tuple(sorted(FULL.bindings, key=place_of))
    policies = structs.replace(FULL, bindings=bindings)
    assert fault_of(policies) == ""
    assert decode_policy_set(encode_policy_set(policies), revision=7) == policies


def test_the_format_is_the_one_that_was_ever_stored() -> None:
    """A change of this text is a change of every record there is: it wants another format."""
    policies = PolicySet(
        policies=(ServedPolicy("staking", ONE),),
        bindings=(Binding("staking", ToTag("lido")),),
        lists=(NamedList("receivers", ("0x01",)),),
    )
    assert encode_policy_set(policies) == (
        '{"format":"holdfast-policy-set-1","set":{"bindings":[{"policy":"staking","to":{"kind":"tag","tag":"lido"}}],'
        '"lists":[{"items":["0x01"],"name":"receivers"}],"policies":[{"name":"staking","version":"' + ONE + '"}]}}'
    )
    assert encode_policy_set(NOTHING_BOUND) == '{"format":"holdfast-policy-set-1","set":{}}'


BAD_TEXTS = {
    "no JSON": "{",
    "another format": '{"format":"holdfast-policy-set-2","set":{}}',
    "an unknown field": '{"format":"holdfast-policy-set-1","set":{"more":1}}',
    "another order of fields": '{"set":{},"format":"holdfast-policy-set-1"}',
    "a space": '{"format":"holdfast-policy-set-1", "set":{}}',
    "a default that is spelled out": '{"format":"holdfast-policy-set-1","set":{"policies":[]}}',
    "a revision of its own": '{"format":"holdfast-policy-set-1","set":{"revision":3}}',
    "a name that is none": '{"format":"holdfast-policy-set-1","set":{"policies":[{"name":"A B"}]}}',
    "a version that is none": '{"format":"holdfast-policy-set-1","set":{"policies":[{"name":"a","version":"1"}]}}',
    "unsorted policies": '{"format":"holdfast-policy-set-1","set":{"policies":[{"name":"b"},{"name":"a"}]}}',
    "a list twice": '{"format":"holdfast-policy-set-1","set":{"lists":'
    '[{"items":[],"name":"a"},{"items":[],"name":"a"}]}}',
    "a binding of nobody": '{"format":"holdfast-policy-set-1","set":{"bindings":'
    '[{"policy":"a","to":{"kind":"tag","tag":"b"}}]}}',
}


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
def test_what_is_not_written_as_we_write_it_is_refused(text: str) -> None:
    with pytest.raises(CorruptDatabaseError):
        decode_policy_set(text, revision=1)


def test_more_former_versions_than_a_roll_back_can_name_are_a_fault() -> None:
    many = tuple(f"{n:064x}" for n in range(MAX_PREVIOUS + 1))
    assert fault_of(PolicySet(policies=(ServedPolicy("a", ONE, many[1:]),))) == ""
    assert "former versions" in fault_of(PolicySet(policies=(ServedPolicy("a", ONE, many),)))


def test_the_digest_tells_sets_apart_by_what_they_say_and_not_by_their_revision() -> None:
    assert policy_set_digest(FULL) == policy_set_digest(structs.replace(FULL, revision=8))
    others = [
        structs.replace(FULL, guard=None),
        structs.replace(FULL, trusted_keys=(ONE,)),
        structs.replace(FULL, keeps_facts=()),
        structs.replace(FULL, lists=()),
        structs.replace(FULL, bindings=FULL.bindings[1:]),
        structs.replace(FULL, policies=FULL.policies[:1]),
        NOTHING_BOUND,
    ]
    assert len({policy_set_digest(each) for each in [FULL, *others]}) == len(others) + 1
