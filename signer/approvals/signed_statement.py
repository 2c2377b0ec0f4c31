"""What an approver signs, so that anybody can check years later who approved what, without this signer.

The text is JSON with its members in alphabetical order and without spaces: it names the approval, the request, the
policies and the facts by their hashes, the decision, who says it and when.

Rule 1: one spelling. A text that is not exactly what its members would be written as is refused.
Rule 2: the signature is over a label and the text, so that it is good for nothing else.
"""

from typing import Literal

import msgspec
from msgspec import Struct

from signer.approvals.hashes import facts_hash
from signer.approvals.request import Request, SignedStatement
from signer.crypto.ed25519 import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, ed25519_public_key, ed25519_sign, ed25519_verifies
from signer.crypto.secret import Secret
from signer.errors import StatementError

MAX_STATEMENT_CHARACTERS = 1024
"""Of the text: names have at most 64 characters, and everything else has a fixed length."""

CLOCK_SECONDS = 300
"""So far the time in a statement may be from the signer's clock."""

_LABEL = b"holdfast-approval-statement-1\n"

Decision = Literal["approve", "deny"]


class Statement(Struct, frozen=True, forbid_unknown_fields=True):
    """The members of the text."""

    approval: str
    approver: str
    decision: Decision
    facts_hash: str
    format: Literal["holdfast-approval-statement-1"]
    policies_hash: str
    request_hash: str
    time: int
    """Seconds since the Unix epoch, by the approver's clock."""


def statement_of(request: Request, *, approver: str, decision: Decision, time: int) -> str:
    """The text that this approver signs."""
    return encode_statement(
        Statement(
            approval=request.approval_id.hex(),
            approver=approver,
            decision=decision,
            facts_hash=_hex(facts_hash(request.facts)),
            format="holdfast-approval-statement-1",
            policies_hash=_hex(request.policies_hash),
            request_hash=_hex(request.request_hash),
            time=time,
        )
    )


def encode_statement(statement: Statement) -> str:
    """The one text of these members."""
    return msgspec.json.encode(statement, order="sorted").decode()


def decode_statement(text: str) -> Statement:
    """The members of a text. Raises StatementError."""
    if len(text) > MAX_STATEMENT_CHARACTERS:
        raise StatementError(f"a statement has at most {MAX_STATEMENT_CHARACTERS} characters")
    try:
        statement = msgspec.json.decode(text, type=Statement)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise StatementError(f"this is no statement of an approver: {error}") from None
    if encode_statement(statement) != text:
        raise StatementError("the statement is not written in its one spelling: members sorted, no spaces")
    return statement


def sign_statement(text: str, private_key: Secret) -> SignedStatement:
    """The text with its signature. Raises StatementError: it is none."""
    decode_statement(text)
    signature = ed25519_sign(private_key, _LABEL + text.encode())
    return SignedStatement("ed25519", text, _hex(ed25519_public_key(private_key)), _hex(signature))


def check_signature(signed: SignedStatement, *, public_key: bytes) -> Statement:
    """The members of what this key has signed. Raises StatementError: it has not."""
    statement = decode_statement(signed.statement)
    if _bytes(signed.public_key, PUBLIC_KEY_BYTES) != public_key:
        raise StatementError(f"the statement of {statement.approver} is signed with another key than theirs")
    signature = _bytes(signed.signature, SIGNATURE_BYTES)
    if not ed25519_verifies(public_key, _LABEL + signed.statement.encode(), signature):
        raise StatementError(f"the signature of {statement.approver} does not fit the statement")
    return statement


def check_statement(
    signed: SignedStatement, request: Request, *, approver: str, decision: Decision, public_key: bytes, now_ms: int
) -> None:
    """Raises StatementError: it is not this approver's own word about this request, or not of today."""
    said = check_signature(signed, public_key=public_key)
    wanted = statement_of(request, approver=approver, decision=decision, time=said.time)
    if signed.statement != wanted:
        raise StatementError(f"the statement is about something else; what is to be signed: {wanted}")
    if abs(said.time * 1000 - now_ms) > CLOCK_SECONDS * 1000:
        raise StatementError(f"the statement's time is more than {CLOCK_SECONDS} s from this signer's clock")


def _hex(value: bytes) -> str:
    return "0x" + value.hex()


def _bytes(text: str, length: int) -> bytes:
    """Lower-case hexadecimal of one length. Raises StatementError."""
    try:
        value = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != length or _hex(value) != text:
        raise StatementError(
            f"a statement's key and signature are 0x and lower-case hexadecimal; this is to be {length} bytes"
        )
    return value
