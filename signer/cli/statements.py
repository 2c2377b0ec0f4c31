"""Find approvers' signed statements in documents, and verify them without any signer."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from signer.approvals.request import SignedStatement
from signer.approvals.signed_statement import Statement, check_signature
from signer.errors import StatementError

_MEMBERS = frozenset({"algorithm", "statement", "public_key", "signature"})


@dataclass(frozen=True, slots=True)
class Verified:
    """One statement, and what is wrong with it, if anything."""

    said: Statement | None
    fault: str
    """Empty where it verifies."""

    approval: str = ""
    """That it says it is about; empty where it cannot be read."""


def find_statements(text: str) -> list[SignedStatement]:
    """Every signed statement in a document: of `audit show --json` or `approvals show --json`, or one a line.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        documents = [json.loads(text)]
    except ValueError:
        documents = [json.loads(line) for line in text.splitlines() if line.strip()]
    found = [msgspec.convert(each, SignedStatement) for each in _statements(documents)]
    return list(dict.fromkeys(found))


def verify_statement(signed: SignedStatement, keys: Mapping[str, bytes]) -> Verified:
    """`keys`: each approver's public key, from a source that the verifier trusts."""
    try:
        claimed = msgspec.json.decode(signed.statement, type=Statement)
    except msgspec.MsgspecError as error:
        return Verified(None, str(error))
    key = keys.get(claimed.approver)
    if key is None:
        fault = f"no key of {claimed.approver} is known: give --key {claimed.approver}=HEX"
        return Verified(claimed, fault, claimed.approval)
    try:
        return Verified(check_signature(signed, public_key=key), "", claimed.approval)
    except StatementError as error:
        return Verified(None, error.sentence, claimed.approval)


def _statements(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        if set(value) == _MEMBERS:
            yield value
            return
        for each in value.values():
            yield from _statements(each)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _statements(each)
    elif isinstance(value, str) and value.startswith("{") and '"signed"' in value:
        try:
            yield from _statements(json.loads(value))
        except ValueError:
            return
