"""Millions of votes written beneath a signer, as fast as the database takes them."""

from collections.abc import Sequence
from pathlib import Path

import apsw
from postgres_server import PostgresServer

from signer.slashing.records import ordered

BATCH_VALIDATORS = 50

_VALIDATOR = """
INSERT INTO validators (public_key, floor_source, floor_target) VALUES (?1, ?2, ?3)
ON CONFLICT (public_key) DO UPDATE SET floor_source = ?2, floor_target = ?3 RETURNING id
"""
_VOTES = """
WITH RECURSIVE vote (target) AS (SELECT ?2 UNION ALL SELECT target + 1 FROM vote LIMIT ?3)
INSERT INTO signed_attestations (validator_id, target_epoch, source_epoch, signing_root)
SELECT ?1, target, target - 1, randomblob(32) FROM vote
"""

_SHARED_VOTES = """
SET session_replication_role = replica;
INSERT INTO signed_attestations (validator_id, source_epoch, target_epoch, signing_root)
SELECT id, target - 1, target, sha256(int8send(target * 1000000 + id))
FROM validators CROSS JOIN generate_series({first}::bigint, {last}) AS target;
UPDATE low_watermarks SET source_epoch = {first} - 1, target_epoch = {first};
ANALYZE
"""  # the first line: no look at `validators` for each row, which is known to be there


def write_history(database: Path, public_keys: Sequence[str], *, votes: int, before_epoch: int) -> int:
    """Give every validator its share of so many votes, all before an epoch; the number of rows written.

    No server may hold the journal.
    """
    each = -(-votes // len(public_keys))
    first = ordered(before_epoch - each)
    connection = apsw.Connection(str(database))
    connection.execute("PRAGMA synchronous = OFF")
    try:
        for start in range(0, len(public_keys), BATCH_VALIDATORS):
            with connection:
                for key in public_keys[start : start + BATCH_VALIDATORS]:
                    values = (bytes.fromhex(key.removeprefix("0x")), first - 1, first)
                    ((validator_id,),) = connection.execute(_VALIDATOR, values).fetchall()
                    connection.execute(_VOTES, (validator_id, first, each))
    finally:
        connection.close()
    return each * len(public_keys)


def write_shared_history(server: PostgresServer, *, votes: int, before_epoch: int) -> int:
    """The same on PostgreSQL, for every validator that has signed there; a signer may be at work."""
    validators = int(server.psql("SELECT count(*) FROM validators"))
    each = -(-votes // validators)
    server.psql(_SHARED_VOTES.format(first=before_epoch - each, last=before_epoch - 1))
    return each * validators
