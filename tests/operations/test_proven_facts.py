"""What a block's proofs show reaches policies, and what they do not show is demanded in vain."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from operations.policies_on_record import put
from operations.road_twin import CALLER, KEYS, NOW_EPOCH, Road, block, road
from policy.policy_packs import module_pack, rules_pack
from policy.wat_policies import answering, quoted
from policy.wat_policies import policy as wat_policy

from signer.audit.entry import Kind
from signer.errors import PolicyDeniedError
from signer.eth2.block_proofs import FEE_RECIPIENT_INDICES, GRAFFITI_INDICES, BodyProof
from signer.eth2.duties import BlockDuty
from signer.eth2.forks import Fork
from signer.eth2.ssz import bytes_leaf, hash_pair
from signer.intent import SignDuty
from signer.keys.preferences import Preferences, write_preferences
from signer.operations.story import NoteStory
from signer.policy.bindings import ToNamespace
from signer.policy.policy_set import NamedList
from signer.units import Root

OURS, THEIRS = b"\xab" * 20, b"\xcd" * 20
HELLO, FOREIGN = b"hello".ljust(32, b"\0"), b"somebody else".ljust(32, b"\0")
TO_ALL = ToNamespace("default")
FEES = FEE_RECIPIENT_INDICES[Fork.DENEB]
GRAFFITI = GRAFFITI_INDICES[Fork.DENEB]

RULES = """version: 1
otherwise: allow
require:
  - name: paid-to-us
    when: {{types: [BLOCK_V2]}}
    {conditions}
"""


def demanding(conditions: str) -> bytes:
    return rules_pack("demands", text=RULES.format(conditions=conditions))


TO_US = demanding(f'fee_recipients: ["0x{OURS.hex()}"]')
GREETING = demanding("graffiti: [hello]")


def _climb(leaf: bytes, index: int, *, to: int) -> tuple[bytes, list[bytes]]:
    """The node at `to` over a leaf, and the sisters on the way, each made of its place."""
    node, sisters = leaf, []
    while index != to:
        sister = hashlib.sha256(b"sister %d" % index).digest()
        sisters.append(sister)
        node = hash_pair(sister, node) if index % 2 else hash_pair(node, sister)
        index //= 2
    return node, sisters


def proving(fee_recipient: bytes = OURS, graffiti: bytes = HELLO, *, slot: int = NOW_EPOCH * 32) -> SignDuty:
    """A block whose body holds these, with proofs of both: they meet in the body's root, below which they part."""
    left, beside_graffiti = _climb(bytes_leaf(graffiti), GRAFFITI, to=2)
    right, beside_fees = _climb(bytes_leaf(fee_recipient), FEES, to=3)
    root = Root(hash_pair(left, right))
    intent = block(slot)
    assert isinstance(intent.duty, BlockDuty)
    duty = replace(
        intent.duty,
        body_root=root,
        fee_recipient_proof=BodyProof(FEES, (*beside_fees, left), root),
        graffiti_proof=BodyProof(GRAFFITI, (*beside_graffiti, right), root),
    )
    return replace(intent, duty=duty)


def without_proofs(intent: SignDuty) -> SignDuty:
    return replace(intent, duty=replace(intent.duty, fee_recipient_proof=None, graffiti_proof=None))


def of_another_body(intent: SignDuty) -> SignDuty:
    """The proofs are good, and of another body than the one that is signed."""
    return replace(intent, duty=replace(intent.duty, body_root=Root(b"\x99" * 32)))


async def verdict(on: Road, intent: SignDuty) -> str:
    try:
        await on.signing.sign(intent, CALLER)
    except PolicyDeniedError as refusal:
        return refusal.code
    return "signed"


@pytest.mark.parametrize(
    ("pack", "intent", "expected"),
    [
        (TO_US, proving(), "signed"),
        (TO_US, proving(THEIRS), "NOT_PROVEN"),
        (TO_US, without_proofs(proving()), "NOT_PROVEN"),
        (TO_US, of_another_body(proving()), "NOT_PROVEN"),
        (GREETING, proving(), "signed"),
        (GREETING, proving(graffiti=FOREIGN), "NOT_PROVEN"),
        (GREETING, without_proofs(proving()), "NOT_PROVEN"),
        (demanding(f'fee_recipients: ["0x{OURS.hex()}"]\n    unproven_blocks: allowed'), proving(THEIRS), "signed"),
    ],
)
async def test_a_rule_that_demands_a_proven_field_signs_what_proves_it(
    tmp_path: Path, pack: bytes, intent: SignDuty, expected: str
) -> None:
    async with road(tmp_path) as on:
        await put(on.record.writer, [pack], [("demands", TO_ALL)])
        assert await verdict(on, intent) == expected


def expecting(text: str, **manifest: Any) -> bytes:
    """A module that allows where its facts hold this text, and traps where they do not."""
    found = """
      (loop $at
        (if (i32.gt_u (i32.add (local.get 2) (i32.const {length})) (local.get 1)) (then (unreachable)))
        (local.set 3 (i32.const 0))
        (loop $byte
          (if (i32.eq (local.get 3) (i32.const {length})) (then (return {answer})))
          (if (i32.eq
                (i32.load8_u (i32.add (local.get 0) (i32.add (local.get 2) (local.get 3))))
                (i32.load8_u (i32.add (i32.const 600) (local.get 3))))
            (then (local.set 3 (i32.add (local.get 3) (i32.const 1))) (br $byte))))
        (local.set 2 (i32.add (local.get 2) (i32.const 1)))
        (br $at))
      (unreachable)""".replace("{length}", str(len(text))).replace("{answer}", answering())
    return module_pack(wat_policy(found, rest=f"(data (i32.const 600) {quoted(text)})"), "expects", **manifest)


PAID_TO_US = f'"fee_recipient":"0x{OURS.hex()}"'


async def test_a_module_is_told_what_is_set_for_the_key_and_proven(tmp_path: Path) -> None:
    async with road(tmp_path) as on:
        await put(on.record.writer, [expecting(PAID_TO_US)], [("expects", TO_ALL)])
        assert await verdict(on, proving()) == "POLICY_TRAPPED", "nobody here expects that address"
        await on.record.writer.perform(
            lambda transaction: write_preferences(transaction, KEYS[0], Preferences(OURS)),
            lambda _: NoteStory(Kind.KEY_PREFERENCES, 0, "test"),
        )
        assert await verdict(on, proving()) == "signed"
        assert await verdict(on, without_proofs(proving(slot=NOW_EPOCH * 32 + 1))) == "POLICY_TRAPPED"


async def test_a_module_is_told_what_its_lists_expect_and_the_block_proves(tmp_path: Path) -> None:
    granted = expecting(PAID_TO_US, lists=("fees",))
    held = [NamedList("fees", ("0x" + OURS.hex(), "0x" + THEIRS.hex(), "no address"))]
    async with road(tmp_path) as on:
        await put(on.record.writer, [granted], [("expects", TO_ALL)], lists=held)
        assert await verdict(on, proving()) == "signed"
        assert await verdict(on, proving(THEIRS, slot=NOW_EPOCH * 32 + 1)) == "POLICY_TRAPPED"
