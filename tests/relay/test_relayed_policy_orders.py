"""What a worker is ordered of policies is carried out by the main process."""

import asyncio
from pathlib import Path

import pytest
from relay.relay_ends import both_ends

from signer.auth.principal import Caller, Principal
from signer.errors import PolicyRevisionError
from signer.operations.policy_orders import (
    MAX_PACK_BYTES,
    ActivatePolicy,
    BindPolicy,
    ChangeList,
    GuardChanges,
    KeepFacts,
    PolicyOrdered,
    PublishPolicy,
    RetirePolicy,
    RollBackAll,
    RollBackPolicy,
    ShadowPolicy,
    TrustKey,
    UnbindPolicy,
)
from signer.policy.bindings import Binding, ToCaller, ToCallerAndKey, ToKey, ToNamespace, ToTag
from signer.policy.policy_set import ChangeGuard

CALLER = Caller(Principal("prysm-1"), "10.0.0.1", b"12345678")

PATIENCE_SECONDS = 60.0
APPROVAL = b"a" * 16

VERSION = "2" * 64

POLICY_ORDERS = [
    PublishPolicy(pack=bytes(range(256)) * 16, signature=b"s" * 64, signed_by=VERSION, if_revision=3),
    PublishPolicy(pack=b"p" * MAX_PACK_BYTES),
    ActivatePolicy(name="staking", version=VERSION, if_revision=2**53 - 1),
    RollBackPolicy(name="staking"),
    RollBackAll(revision=3),
    RetirePolicy(name="staking"),
    *(
        BindPolicy(binding=Binding("staking", to))
        for to in (ToKey("0x93"), ToTag("lido"), ToNamespace("default"), ToCaller("vouch"), ToCallerAndKey("a", "0x93"))
    ),
    UnbindPolicy(binding=Binding("staking", ToTag("lido"))),
    ChangeList(name="receivers", change="add", items=("0x01", "0x02")),
    TrustKey(key=VERSION, trusted=False),
    KeepFacts(namespaces=("default", "*")),
    ShadowPolicy(name="staking", version=VERSION),
    GuardChanges(guard=ChangeGuard(2, ("owners",), 3600, 60)),
    GuardChanges(),
]


@pytest.mark.parametrize("order", POLICY_ORDERS, ids=lambda order: type(order).__name__)
async def test_an_order_about_policies_reaches_the_main_process_whole_and_so_does_its_answer(tmp_path: Path, order):
    async with both_ends(tmp_path) as ends:
        orders = ends.worker.link.mainstay().policy_orders
        done = await asyncio.wait_for(orders.carry_out(order, CALLER, approval_id=APPROVAL), PATIENCE_SECONDS)
        assert done == PolicyOrdered(7, "done", "a change", "1" * 64)
        [(given, caller, approval_id)] = ends.policies.given
        assert (given, approval_id) == (order, APPROVAL)
        assert (caller.principal.name, caller.request_id) == ("prysm-1", b"12345678")
        ends.policies.error = PolicyRevisionError(wanted=1, holds=2)
        with pytest.raises(PolicyRevisionError, match="revision 2 holds"):
            await asyncio.wait_for(orders.carry_out(order, CALLER), PATIENCE_SECONDS)
