"""The tables of a shared record as they stand: nothing between us and them, and the columns that our statements name.

Rule 1: a rule, a trigger or a row policy that is neither Web3Signer's nor ours can drop a row that the server then
reports as committed: a vote would be signed and not be on record. None is told from a harmless one; each refuses.
Rule 2: a trigger on a table of ours whose function is ours is one of ours, or of a newer release that upgraded the
database; on Web3Signer's tables its version 12 has the two that are named here.
"""

from signer.errors import ForeignDatabaseError, StartupError
from signer.journal.postgres_session import Session

COLUMNS = {
    "validators": {"id": "integer", "public_key": "bytea", "enabled": "boolean"},
    "signed_blocks": {"validator_id": "integer", "slot": "numeric(20,0)", "signing_root": "bytea", "id": "bigint"},
    "signed_attestations": {
        "validator_id": "integer",
        "source_epoch": "numeric(20,0)",
        "target_epoch": "numeric(20,0)",
        "signing_root": "bytea",
        "id": "bigint",
    },
    "low_watermarks": {
        "validator_id": "integer",
        "slot": "numeric(20,0)",
        "target_epoch": "numeric(20,0)",
        "source_epoch": "numeric(20,0)",
    },
    "metadata": {
        "id": "integer",
        "genesis_validators_root": "bytea",
        "high_watermark_epoch": "numeric(20,0)",
        "high_watermark_slot": "numeric(20,0)",
    },
}
"""Columns and types of Web3Signer's tables after its migrations 1 to 12."""

RECORD_TABLES = """
SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'f') AND (
    n.nspname = 'holdfast' OR starts_with(n.nspname, 'holdfast_log_')
    OR c.oid IN (SELECT to_regclass(name) FROM unnest(?1::text::text[]) AS t (name))
)
"""
"""The oids of all tables of the record; its value is Web3Signer's tables, as an array's text."""

MEDDLING = f"""
SELECT min(found) FROM (
    SELECT format('RULE %I ON %s', r.rulename, r.ev_class::regclass) AS found FROM pg_rewrite r
    WHERE r.ev_enabled <> 'D' AND r.ev_class IN ({RECORD_TABLES})
    UNION ALL
    SELECT format('TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass) FROM pg_trigger t
    JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
    WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgrelid IN ({RECORD_TABLES})
        AND NOT (c.relnamespace = p.pronamespace AND (
            c.relnamespace = to_regnamespace('holdfast') OR (t.tgname, c.relname, p.proname) IN (
                ('check_before_insert_or_update_high_watermarks', 'metadata', 'check_high_watermarks'),
                ('check_before_insert_or_update_low_watermarks', 'low_watermarks', 'check_low_watermarks')
            )
        ))
    UNION ALL
    SELECT format('POLICY ON %s', c.oid::regclass) FROM pg_class c
    WHERE c.relrowsecurity AND c.oid IN ({RECORD_TABLES}) AND row_security_active(c.oid)
) AS all_of_them
"""  # noqa: S608 - put together from constants
"""The first of what stands between us and a table of the record."""


def check_meddling(found: str | None, *, role: str) -> None:
    """Nothing but Web3Signer's own triggers and ours works on the record, and these do work.

    `found` is what `MEDDLING` answers, `role` the server's `session_replication_role`.

    Raises:
        StartupError: something does, or they do not.
    """
    if role != "origin":
        raise StartupError(
            f"PostgreSQL runs with session_replication_role={role}: triggers that guard the record do not work",
            remedy="set session_replication_role=origin for this server, user and database",
        )
    if found is None:
        return
    kind, _, table = found.rpartition(" ON ")
    if kind == "POLICY":
        raise StartupError(
            f"row security on the table {table} hides rows from this user: a vote on record could be overlooked",
            remedy=f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY; or connect as the tables' owner",
        )
    raise StartupError(
        f"the {kind.partition(' ')[0].lower()} {kind.partition(' ')[2]} on the table {table} is neither Web3Signer's"
        " nor ours: it can drop or change a vote that is signed",
        remedy=f"remove it: DROP {found}; then compare the record with each client's own before signing goes on",
    )


def check_columns(session: Session, *, seconds: float) -> None:
    """Web3Signer's tables have the columns of version 12. One statement; the tables are there.

    Raises:
        ForeignDatabaseError: they have not. asyncpg.PostgresError. LostConnectionError.
    """
    rows = session.rows(
        "SELECT asked.name, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull AND NOT a.atthasdef"
        " AND a.attidentity = '' FROM unnest(?::text::text[]) AS asked (name)"
        " JOIN pg_attribute a ON a.attrelid = to_regclass(asked.name) AND a.attnum > 0 AND NOT a.attisdropped",
        ("{" + ",".join(COLUMNS) + "}",),
        seconds=seconds,
    )
    there = {(table, column): (kind, needed) for table, column, kind, needed in rows}
    for table, columns in COLUMNS.items():
        for column, kind in columns.items():
            if (table, column) not in there:
                raise _other_columns(table, column, "is missing")
            if there[table, column][0] != kind:
                raise _other_columns(table, column, f"is {there[table, column][0]}, and should be {kind}")
    for (table, column), (_, needed) in there.items():
        if needed and column not in COLUMNS[table]:
            raise _other_columns(table, column, "is not known, and must be filled in")


def _other_columns(table: str, column: str, fault: str) -> ForeignDatabaseError:
    return ForeignDatabaseError(
        f"the table {table} has not the columns of version 12 of Web3Signer's schema: column {column} {fault}",
        remedy="run Web3Signer's own migrations up to version 12 on a database of its own, or restore this one from a"
        " backup; nothing was changed",
        evidence={"table": table, "column": column},
    )
