"""What a shared record leans on in Web3Signer's schema: its unique columns, its triggers, and what its functions do.

`postgres_tables.py` refuses what was added; here is refused what was taken away or emptied. Behind its advisory locks,
Web3Signer's guard against a double vote is a unique column, and its triggers alone keep its watermarks in order.

Rule 1: a function is known by its whole text, whatever its line breaks and capitals: what another text does, nobody
here can say, so it refuses.
Rule 2: nothing is repaired: a record whose guards are gone may hold what they would have kept out.
"""

import hashlib

from signer.errors import ForeignDatabaseError
from signer.journal.postgres_session import Session

UNIQUE = (
    ("validators", ("id",)),
    ("validators", ("public_key",)),
    ("signed_blocks", ("validator_id", "slot")),
    ("signed_attestations", ("validator_id", "target_epoch")),
    ("low_watermarks", ("validator_id",)),
    ("metadata", ("id",)),
)
"""Tables and columns of which each value is there once (Web3Signer's migrations 1, 3, 4 and 8). The numbers of votes
and blocks (migration 2) are not among them: nothing rests on these."""

TRIGGERS = {
    "check_before_insert_or_update_high_watermarks": ("metadata", "check_high_watermarks"),
    "check_before_insert_or_update_low_watermarks": ("low_watermarks", "check_low_watermarks"),
}
"""By name, the table of each, and its function (Web3Signer's migration 12)."""

FUNCTIONS = {
    "check_high_watermarks": (
        "2466f15d48447ecfbe37da33785d3793cbb9455f9e7b575d60bc7b03c31fa32a",
        "48509fd63d7e943746cba3d1107a7a1022ef8a881832717f671b985f3c08ae8a",
    ),
    "check_low_watermarks": (
        "87c1d17872a9189e7cf085cc1b20126db42844c59520cf5b3b83b7d13a01f7ca",
        "97234ae7d9155968e16cf496870d8ae6a8e559f594feb9e3b697cc890ce0cc66",
    ),
    "upsert_validators": (
        "c19bf3b49a91ef38d47c3d7a9cb6a878c08c06eb5e9cf93c8743b554315ac12e",
        "57c7b6feedf0e109e9948d3250add73d4e1f0054fb87d536d7c8cba296522f0e",
    ),
}
"""By name, `digest_of` the texts that are known: of Web3Signer's migrations 9 and 12, then of `web3signer_12.sql`."""

_BEFORE_INSERT_OR_UPDATE = 0b10111
"""`pg_trigger.tgtype`: for each row, before, insert, update; and neither delete nor truncate."""

_NOT_UNIQUE = """
SELECT asked.name, asked.columns FROM unnest(?::text::text[], ?::text::text[]) AS asked (name, columns)
WHERE NOT EXISTS (
    SELECT 1 FROM pg_index i
    WHERE i.indrelid = to_regclass(asked.name) AND i.indisunique AND i.indisvalid AND i.indimmediate
        AND i.indpred IS NULL AND i.indexprs IS NULL AND asked.columns = (
            SELECT string_agg(a.attname, ',' ORDER BY a.attname COLLATE "C")
            FROM unnest(i.indkey::int[]) WITH ORDINALITY AS k (number, place)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE k.place <= i.indnkeyatts
        )
)
"""

_TRIGGERS_THERE = f"""
SELECT t.tgname, t.tgrelid::regclass::text, p.proname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
WHERE NOT t.tgisinternal AND t.tgrelid IN (to_regclass('metadata'), to_regclass('low_watermarks'))
    AND t.tgenabled IN ('O', 'A') AND t.tgtype = {_BEFORE_INSERT_OR_UPDATE} AND t.tgqual IS NULL AND t.tgattr = ''
"""  # noqa: S608 - put together from a constant

_UPSERT = "SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure('upsert_validators(bytea[])')"


def check_guards(session: Session, *, seconds: float) -> None:
    """What keeps rows apart and watermarks in order is there, as Web3Signer's version 12 has it. Three statements.

    Raises:
        ForeignDatabaseError: it is not; nothing was changed. asyncpg.PostgresError. LostConnectionError.
    """
    names = "{" + ",".join(table for table, _ in UNIQUE) + "}"
    columns = "{" + ",".join(f'"{",".join(sorted(which))}"' for _, which in UNIQUE) + "}"
    for table, which in session.rows(_NOT_UNIQUE, (names, columns), seconds=seconds):
        raise _missing_unique(table, which)
    there = {
        name: (table, function, text) for name, table, function, text in session.rows(_TRIGGERS_THERE, seconds=seconds)
    }
    for name, (table, function) in TRIGGERS.items():
        _, called, text = there.get(name, ("", "", ""))
        if called != function:
            raise _missing_trigger(name, table)
        _check_text(function, text)
    found = session.rows(_UPSERT, seconds=seconds)
    _check_text("upsert_validators", found[0][0] if found else "")


def digest_of(text: str) -> str:
    """What a function's text is known by: line breaks, indentation and capitals do not count."""
    return hashlib.sha256(" ".join(text.lower().split()).encode()).hexdigest()


def _check_text(function: str, text: str) -> None:
    if digest_of(text) in FUNCTIONS[function]:
        return
    raise ForeignDatabaseError(
        f"the function {function} of this database is {'another than' if text else 'not there, which is one of'}"
        " Web3Signer's: nobody can say what it lets into the record",
        remedy=f"compare the record with each client's own; then create {function} anew with CREATE OR REPLACE FUNCTION"
        " as Web3Signer's own migrations (9 and 12) have it; nothing was changed",
        evidence={"function": function},
    )


def _missing_unique(table: str, columns: str) -> ForeignDatabaseError:
    told = columns.replace(",", ", ")
    return ForeignDatabaseError(
        f"no UNIQUE constraint on {table} ({told}) is in force: this database would take two records where Web3Signer's"
        " schema allows one",
        remedy=f"look first for rows of {table} with the same {told}: they tell of two signers at work; then ALTER"
        f" TABLE {table} ADD UNIQUE ({told}), by the constraint's name in Web3Signer's migrations, or restore a backup;"
        " nothing was changed",
        evidence={"table": table, "columns": columns},
    )


def _missing_trigger(name: str, table: str) -> ForeignDatabaseError:
    return ForeignDatabaseError(
        f"the trigger {name} on the table {table} is missing, switched off or another than Web3Signer's: its watermarks"
        " are not kept in order",
        remedy=f"ALTER TABLE {table} ENABLE TRIGGER {name}; or create it anew as Web3Signer's migration 12 has it;"
        " nothing was changed",
        evidence={"table": table, "trigger": name},
    )
