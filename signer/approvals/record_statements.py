"""What the record of approvals says to the database."""

from signer.journal.statement import NOTHING, Statement

_COLUMNS = (
    "approval_id, kind, request_hash, policies_hash, requester, demands, opened_ms, expires_ms, subject, public_key,"
    " signing_root, facts, ending, ended_ms, ended_by, collections"
)

_EMBEDDED_VOTES = """
(SELECT json_group_array(json_array(approver, hex(groups), approves, cast_ms, hex(signed))) FROM approval_votes v
WHERE v.approval_id = a.approval_id)
"""

_SHARED_VOTES = """
(SELECT coalesce(json_agg(json_build_array(approver, encode(groups, 'hex'), approves, cast_ms,
    encode(signed, 'hex'))), '[]')::text
FROM holdfast.approval_votes v WHERE v.approval_id = a.approval_id)
"""


def _reading(embedded_where: str, shared_where: str | None = None) -> Statement:
    shared = embedded_where if shared_where is None else shared_where
    return Statement(
        embedded=f"SELECT {_COLUMNS}, {_EMBEDDED_VOTES} FROM approvals a {embedded_where}",  # noqa: S608 - constants
        shared=f"SELECT {_COLUMNS}, {_SHARED_VOTES} FROM holdfast.approvals a {shared}",  # noqa: S608 - constants
    )


READ_BY_ID = _reading(
    "WHERE approval_id IN (SELECT unhex(value) FROM json_each(?))",
    "WHERE approval_id IN (SELECT decode(id, 'hex') FROM json_array_elements_text(?::text::json) AS asked (id))",
)

READ_BY_HASH = _reading("WHERE request_hash = ? ORDER BY ending IS NULL DESC, opened_ms DESC, approval_id LIMIT 4")
"""The request of this hash that is open, and how the last ones ended."""

READ_PAGE = _reading(
    "WHERE (opened_ms < ? OR (opened_ms = ? AND approval_id > ?)) AND (ending IS NULL OR ? = 1)"
    " ORDER BY opened_ms DESC, approval_id LIMIT ?"
)

READ_OVERDUE = _reading("WHERE ending IS NULL AND expires_ms <= ? ORDER BY expires_ms LIMIT ?")

LOCK = Statement(
    embedded=NOTHING,
    shared="""
SELECT 1 FROM holdfast.approvals
WHERE approval_id IN (SELECT decode(id, 'hex') FROM json_array_elements_text(?::text::json) AS asked (id))
ORDER BY approval_id FOR UPDATE
""",
)

COUNT_OPEN = "SELECT count(*) FROM approvals WHERE requester = ? AND ending IS NULL AND expires_ms > ?"

COUNT_WAITING = "SELECT count(*) FROM approvals WHERE ending IS NULL AND expires_ms > ?"

OPEN = Statement(
    embedded="""
INSERT INTO approvals (approval_id, kind, request_hash, policies_hash, requester, demands, opened_ms, expires_ms,
    subject, public_key, signing_root, facts, sealed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (request_hash) WHERE ending IS NULL DO NOTHING
""",
    shared="""
INSERT INTO holdfast.approvals (approval_id, kind, request_hash, policies_hash, requester, demands, opened_ms,
    expires_ms, subject, public_key, signing_root, facts, sealed)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (request_hash) WHERE ending IS NULL DO NOTHING
""",
)

READ_SEALED = "SELECT sealed FROM approvals WHERE approval_id = ?"

VOTE = Statement(
    embedded="""
INSERT INTO approval_votes (approval_id, approver, groups, approves, cast_ms, signed) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (approval_id, approver) DO UPDATE SET groups = excluded.groups, approves = excluded.approves,
    cast_ms = excluded.cast_ms, signed = excluded.signed
""",
    shared="""
INSERT INTO holdfast.approval_votes (approval_id, approver, groups, approves, cast_ms, signed)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (approval_id, approver) DO UPDATE SET groups = excluded.groups, approves = excluded.approves,
    cast_ms = excluded.cast_ms, signed = excluded.signed
""",
)

END = "UPDATE approvals SET ending = ?, ended_ms = ?, ended_by = ?, collections = ? WHERE approval_id = ?"

REMOVE_VOTES = """
DELETE FROM approval_votes WHERE approval_id IN (SELECT approval_id FROM approvals WHERE ended_ms <= ?)
"""

COUNT_OLD = "SELECT count(*) FROM approvals WHERE ended_ms <= ?"

REMOVE = "DELETE FROM approvals WHERE ended_ms <= ?"
