"""An approver's statement verifies without the signer, and nothing else does."""

import msgspec
import pytest
from approvals.sample_approvals import OPENED_MS, request, with_fields

from signer.approvals.request import SignedStatement
from signer.approvals.signed_statement import (
    CLOCK_SECONDS,
    check_signature,
    check_statement,
    decode_statement,
    sign_statement,
    statement_of,
)
from signer.crypto.ed25519 import ed25519_public_key, ed25519_sign
from signer.crypto.secret import Secret
from signer.errors import StatementError

ANN, EVE = Secret(b"\x01" * 32), Secret(b"\x02" * 32)
ANNS = ed25519_public_key(ANN)
NOW = OPENED_MS // 1000
ASKED = request()


def signed(decision: str = "approve", key: Secret = ANN, time: int = NOW) -> SignedStatement:
    return sign_statement(statement_of(ASKED, approver="ann", decision=decision, time=time), key)


def check(
    one: SignedStatement, asked=ASKED, *, approver: str = "ann", decision: str = "approve", now: int = NOW
) -> None:
    check_statement(one, asked, approver=approver, decision=decision, public_key=ANNS, now_ms=now * 1000)


def test_what_the_approver_has_signed_about_this_request_is_taken() -> None:
    check(signed())
    check(signed("deny"), decision="deny")
    said = check_signature(signed(), public_key=ANNS)
    assert (said.approval, said.approver, said.decision) == (ASKED.approval_id.hex(), "ann", "approve")


FORGERIES = {
    "another key under her name": lambda: signed(key=EVE),
    "her key's name over another key's signature": lambda: msgspec.structs.replace(
        signed(key=EVE), public_key="0x" + ANNS.hex()
    ),
    "a denial turned into an approval": lambda: msgspec.structs.replace(signed("deny"), statement=signed().statement),
    "a changed bit of the signature": lambda: msgspec.structs.replace(
        signed(), signature=signed().signature[:-1] + ("0" if signed().signature[-1] != "0" else "1")
    ),
    "a signature of the bare text": lambda: msgspec.structs.replace(
        signed(), signature="0x" + ed25519_sign(ANN, signed().statement.encode()).hex()
    ),
    "another spelling of the same": lambda: msgspec.structs.replace(
        signed(), statement=signed().statement.replace(":", ": ", 1)
    ),
    "capital digits": lambda: msgspec.structs.replace(signed(), public_key="0x" + ANNS.hex().upper()),
    "no JSON": lambda: msgspec.structs.replace(signed(), statement="approve"),
}


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
def test_a_forgery_does_not_verify(forged) -> None:
    with pytest.raises(StatementError):
        check_signature(forged(), public_key=ANNS)


OTHERS = {
    "another request": with_fields(ASKED, request_hash=b"\x01" * 32),
    "another approval of the same request": with_fields(ASKED, approval_id=b"\x01" * 16),
    "other policies": with_fields(ASKED, policies_hash=b"\x01" * 32),
    "other facts": with_fields(ASKED, facts=b'{"duty":{"type":"ATTESTATION"}}'),
}


@pytest.mark.parametrize("asked", OTHERS.values(), ids=OTHERS)
def test_a_statement_about_something_else_is_refused_and_told_what_is_to_be_signed(asked) -> None:
    with pytest.raises(StatementError, match=r'what is to be signed: \{"approval":'):
        check(signed(), asked)


def test_a_statement_is_its_own_approvers_about_its_own_decision_and_of_today() -> None:
    with pytest.raises(StatementError):
        check(signed(), approver="bob")
    with pytest.raises(StatementError):
        check(signed(), decision="deny")
    check(signed(), now=NOW + CLOCK_SECONDS)
    with pytest.raises(StatementError, match="clock"):
        check(signed(), now=NOW + CLOCK_SECONDS + 1)


def test_nothing_but_a_statement_is_signed() -> None:
    with pytest.raises(StatementError):
        sign_statement("pay eve", ANN)
    with pytest.raises(StatementError, match="at most"):
        decode_statement(signed().statement + " " * 1024)
