"""What `holdfast approvals` asks of a server, and how it makes sure of what it is about to sign."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from signer.approvals.hashes import facts_hash, request_hash
from signer.approvals.request import Request, SignedStatement
from signer.approvals.signed_statement import Decision, sign_statement, statement_of
from signer.cli.connection import Connection
from signer.crypto.secret import Secret
from signer.errors import StatementError

Shown = Mapping[str, Any]
"""A request as the server tells it (`api/approvals.py`)."""


@dataclass(frozen=True, slots=True)
class ApprovalClient:
    """Owned by one command. Every call blocks and raises SignerError."""

    connection: Connection

    def list_requests(self, *, ended_too: bool) -> list[Shown]:
        """Those that wait, or all, the newest first."""
        found: list[Shown] = []
        query = "?state=all" if ended_too else "?state=open"
        before: str | None = None
        while True:
            page = self.connection.get("/v1/approvals" + query + ("" if before is None else f"&before={before}"))
            found += page["approvals"]
            before = page["next_before"]
            if before is None:
                return found

    def show(self, approval_id: str) -> Shown:
        """One request."""
        shown: Shown = self.connection.get(f"/v1/approvals/{approval_id}")
        return shown

    def vote(self, shown: Shown, decision: Decision, signed: SignedStatement | None) -> Shown:
        """Say yes or no to what was shown."""
        body = {"request_hash": shown["request_hash"], "signed": signed}
        return self._post(shown["approval"], decision, msgspec.json.encode(body))

    def cancel(self, approval_id: str) -> Shown:
        """Take it back."""
        return self._post(approval_id, "cancel", b"")

    def collect(self, approval_id: str) -> Shown:
        """Have it done, if enough have approved."""
        return self._post(approval_id, "collect", b"")

    def _post(self, approval_id: str, what: str, body: bytes) -> Shown:
        answer: Shown = self.connection.post(f"/v1/approvals/{approval_id}/{what}", body)
        return answer


def sign_shown(shown: Shown, decision: Decision, *, approver: str, time: int, key: Secret) -> SignedStatement:
    """The approver's statement about what they were shown, and nothing else: its hashes are computed here.

    Raises:
        StatementError: what the server shows does not hang together.
    """
    facts = msgspec.json.encode(shown["facts"], order="sorted")
    if "0x" + facts_hash(facts).hex() != shown["facts_hash"]:
        raise StatementError("the facts that the server shows are not those whose hash it names; nothing was signed")
    hashed = bytes.fromhex(str(shown["request_hash"]).removeprefix("0x"))
    if shown["kind"] == "signature":
        _check_request(shown, hashed)
    request = Request(
        approval_id=bytes.fromhex(shown["approval"]),
        kind=shown["kind"],
        request_hash=hashed,
        policies_hash=bytes.fromhex(str(shown["policies_hash"]).removeprefix("0x")),
        requester=shown["requester"],
        demands=(),
        opened_ms=0,
        expires_ms=1,
        facts=facts,
    )
    return sign_statement(statement_of(request, approver=approver, decision=decision, time=time), key)


def _check_request(shown: Shown, hashed: bytes) -> None:
    computed = request_hash(
        requester=shown["requester"],
        public_key=bytes.fromhex(str(shown["public_key"]).removeprefix("0x")),
        signing_root=bytes.fromhex(str(shown["signing_root"]).removeprefix("0x")),
        subject=shown["type"],
    )
    if computed != hashed or shown["facts"].get("payload_hash") != shown["signing_root"]:
        raise StatementError("the request that the server shows is not the one whose hash it names; nothing was signed")
