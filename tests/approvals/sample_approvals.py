"""Requests for approval as tests need them."""

import secrets

import msgspec

from signer.approvals.hashes import policies_hash, request_hash
from signer.approvals.record import write_request
from signer.approvals.request import Demand, Request, Vote
from signer.journal.ledger import Transaction

OPENED_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
KEY = b"\xaa" * 48
ROOT = b"\x07" * 32
POLICIES = policies_hash([("exits", "11" * 32)], since=1)


def demand(quorum: int = 2, *groups: str, delay_seconds: int = 0, policy: str = "exits") -> Demand:
    return Demand(policy, quorum, tuple(sorted(groups)) or ("custodians",), delay_seconds)


def request(
    *demands: Demand, requester: str = "validator-client", lifetime_ms: int = HOUR_MS, root: bytes = ROOT, **fields
) -> Request:
    values = {
        "approval_id": secrets.token_bytes(16),
        "kind": "signature",
        "request_hash": request_hash(requester=requester, public_key=KEY, signing_root=root, subject="VOLUNTARY_EXIT"),
        "policies_hash": POLICIES,
        "requester": requester,
        "demands": tuple(sorted(demands)) or (demand(),),
        "opened_ms": OPENED_MS,
        "expires_ms": OPENED_MS + lifetime_ms,
        "subject": "VOLUNTARY_EXIT",
        "public_key": KEY,
        "signing_root": root,
        "facts": b'{"duty":{"type":"VOLUNTARY_EXIT"}}',
    }
    return Request(**{**values, **fields})


def vote(approver: str, *groups: str, at: int = OPENED_MS, approves: bool = True) -> Vote:
    return Vote(approver, tuple(sorted(groups)) or ("custodians",), approves, at)


def opened(transaction: Transaction, wanted: Request) -> Request:
    return write_request(transaction, wanted, sealed=b"sealed")


def with_fields(wanted: Request, **fields) -> Request:
    return msgspec.structs.replace(wanted, **fields)
