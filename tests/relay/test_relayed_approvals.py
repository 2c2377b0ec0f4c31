"""What a worker orders of requests that wait for people is carried out, or refused, by the main process."""

import asyncio
from pathlib import Path

import pytest
from approvals.sample_approvals import KEY, POLICIES, ROOT, demand
from msgspec import structs
from relay.relay_ends import both_ends

from signer.approvals.hashes import request_hash
from signer.auth.principal import Caller, Principal
from signer.errors import ApprovalClosedError, PolicyChangedError
from signer.operations.approval_orders import ApprovalAnswer, CastVote, Content, OpenRequest, ReadContent, Waits

CLIENT = Caller(Principal("validator-client"), "10.0.0.1", b"12345678")
ANN = Caller(Principal("ann"), "10.0.0.2", b"87654321")

PATIENCE_SECONDS = 60.0

WANTED = OpenRequest(
    kind="signature",
    request_hash=request_hash(requester="validator-client", public_key=KEY, signing_root=ROOT, subject="DEPOSIT"),
    policies_hash=POLICIES,
    revision=0,
    demands=(demand(1),),
    lifetime_seconds=3600,
    subject="DEPOSIT",
    public_key=KEY,
    signing_root=ROOT,
    facts=b"{}",
    content=b"what was asked",
)


async def test_a_request_is_opened_voted_on_and_refused_through_the_link(tmp_path: Path) -> None:
    async with both_ends(tmp_path) as ends:
        orders = ends.worker.link.mainstay().approval_orders

        async def told(order: OpenRequest | CastVote | ReadContent, caller: Caller) -> ApprovalAnswer:
            return await asyncio.wait_for(orders.carry_out(order, caller), PATIENCE_SECONDS)

        with pytest.raises(PolicyChangedError) as moved:
            await told(structs.replace(WANTED, revision=3), CLIENT)
        assert moved.value.evidence == {"judged_by": 3, "newest": 0}
        opened = await told(WANTED, CLIENT)
        assert isinstance(opened, Waits)
        assert (opened.request.requester, opened.request.demands) == ("validator-client", (demand(1),))
        approval_id = opened.request.approval_id
        assert await told(ReadContent(approval_id), CLIENT) == Content(b"what was asked")
        cast = CastVote(approval_id, WANTED.request_hash, True, ("custodians",), 0)
        with pytest.raises(PolicyChangedError):
            await told(structs.replace(cast, revision=1), ANN)
        with pytest.raises(ApprovalClosedError, match="it is void: others decide"):
            await told(structs.replace(cast, void="others decide"), ANN)
        voted = await told(cast, ANN)
        assert isinstance(voted, Waits)
        assert [vote.approver for vote in voted.request.votes] == ["ann"]
