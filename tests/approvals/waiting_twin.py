"""The operations about requests that wait, over a real record: on either database, with a clock that is set."""

from dataclasses import dataclass, field

from approvals.sample_approvals import KEY, OPENED_MS, POLICIES, ROOT, demand
from journal.kept_records import KeptRecord

from signer.approvals.hashes import request_hash
from signer.approvals.request import Demand
from signer.audit.chain import unpack
from signer.audit.entry import Entry, decode_entry
from signer.audit.verify import stored_batches
from signer.auth.approvers import Approver, Approvers
from signer.auth.principal import Action, Caller, Principal
from signer.clock import FixedClock
from signer.crypto.aead import KEY_BYTES, Sealer
from signer.crypto.ed25519 import ed25519_public_key
from signer.crypto.secret import Secret
from signer.eth2.duties import VoluntaryExitDuty
from signer.eth2.forks import ForkInfo
from signer.events import ApprovalMoved, ApprovalsCounted, Events
from signer.intent import SignDuty
from signer.operations.approve import LocalApprovalOrders
from signer.operations.held_content import encode_intent
from signer.operations.held_requests import HeldRequests, Hold
from signer.operations.review_approvals import ApprovalReview
from signer.units import Epoch, PublicKey, Root, Version

SIGNING_KEY = Secret(b"\x21" * 32)
"""Of sid, who signs what he says."""

EXIT = SignDuty(
    PublicKey(KEY),
    VoluntaryExitDuty(Epoch(300_000), 7),
    ForkInfo(Version(b"\5\0\0\0"), Version(b"\6\0\0\0"), Epoch(364_032), Root(b"\1" * 32)),
)


def person(name: str, *groups: str, **fields) -> Caller:
    actions = fields.pop("actions", frozenset({Action.APPROVALS_VOTE, Action.SIGN_DUTY}))
    return Caller(Principal(name, groups=frozenset(groups), actions=actions, **fields))


ASKS = person("validator-client", actions=frozenset({Action.SIGN_DUTY}))
ANN, BOB, CID = (person(name, "custodians") for name in ("ann", "bob", "cid"))
SID = person("sid", "custodians")
EVE = person("eve", "drivers")
WATCH = person("watch", actions=frozenset({Action.APPROVALS_READ}))
OPERATOR = person("op", actions=frozenset({Action.APPROVALS_READ, Action.APPROVALS_CANCEL}))

APPROVERS = (
    *(Approver(name, frozenset({"custodians"})) for name in ("ann", "bob", "cid")),
    Approver("sid", frozenset({"custodians"}), ed25519_public_key(SIGNING_KEY)),
    Approver("eve", frozenset({"drivers"})),
)


def hold(*demands: Demand, root: bytes = ROOT, requester: str = "validator-client", **fields) -> Hold:
    values = {
        "kind": "signature",
        "request_hash": request_hash(requester=requester, public_key=KEY, signing_root=root, subject="VOLUNTARY_EXIT"),
        "policies_hash": POLICIES,
        "revision": 0,
        "demands": tuple(sorted(demands)) or (demand(),),
        "lifetime_seconds": 3600,
        "subject": "VOLUNTARY_EXIT",
        "facts": b'{"duty":{"epoch":"300000","type":"VOLUNTARY_EXIT","validator_index":"7"}}',
        "content": encode_intent(EXIT),
        "public_key": KEY,
        "signing_root": root,
    }
    return Hold(**{**values, **fields})


@dataclass
class People:
    """Everything that people and the gate do with requests, over one record."""

    kept: KeptRecord
    clock: FixedClock = field(default_factory=lambda: FixedClock(OPENED_MS / 1000))
    most_waiting: int = 3
    key: bytes = b"\x05" * KEY_BYTES
    approvers: tuple[Approver, ...] = APPROVERS

    def __post_init__(self) -> None:
        self.events, self.steps, self.waiting = Events(), [], []
        self.events.subscribe(ApprovalMoved, lambda event: self.steps.append(event.step))
        self.events.subscribe(ApprovalsCounted, lambda event: self.waiting.append(event.waiting))
        reading, clock, known = self.kept.reading, self.clock, Approvers(self.approvers)
        self.orders = LocalApprovalOrders(
            changes=self.kept.writer,
            reading=reading,
            clock=clock,
            events=self.events,
            sealer=Sealer(Secret(self.key)),
            most_waiting=self.most_waiting,
            keep_days=90,
        )
        self.held = HeldRequests(orders=self.orders, reading=reading, clock=clock, approvers=known)
        self.review = ApprovalReview(orders=self.orders, reading=reading, clock=clock, approvers=known)

    async def vote(self, approval_id: bytes, who: Caller, decision: str = "approve", **fields):
        told = await self.review.show(approval_id, who)
        values = {"request_hash": told.request.request_hash, "signed": None, **fields}
        return await self.review.vote(approval_id, who, decision=decision, **values)

    def audit(self) -> list[Entry]:
        entries = []
        with self.kept.reading() as moment:
            for batch in stored_batches(moment, start=0):
                entries += [decode_entry(each) for each in unpack(batch.entries)]
        return entries
