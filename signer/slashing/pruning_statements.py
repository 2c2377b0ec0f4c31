"""What pruning says to the database. Cuts come as one JSON text, `[[validator, below], ...]`, numbers as stored."""

from signer.journal.statement import Statement


def _delete_below(table: str, column: str) -> Statement:
    """Delete each validator's rows below its cut."""
    return Statement(
        embedded=f"""
DELETE FROM {table} WHERE (validator_id, {column}) IN (
    SELECT a.validator_id, a.{column} FROM json_each(?) CROSS JOIN {table} a
        ON a.validator_id = value ->> 0 AND a.{column} < value ->> 1
)
""",  # noqa: S608 - names of ours
        shared=f"""
DELETE FROM {table} a USING json_array_elements(?::text::json) AS cut
WHERE a.validator_id = (cut ->> 0)::int AND a.{column} < as_number((cut ->> 1)::bigint)
""",  # noqa: S608 - as above
    )


ENDS = Statement(
    embedded="""
SELECT id,
    (SELECT min(target_epoch) FROM signed_attestations WHERE validator_id = v.id),
    (SELECT max(target_epoch) FROM signed_attestations WHERE validator_id = v.id),
    (SELECT min(slot) FROM signed_blocks WHERE validator_id = v.id),
    (SELECT max(slot) FROM signed_blocks WHERE validator_id = v.id)
FROM validators v WHERE id > ?1 AND (?2 IS NULL OR public_key = ?2) ORDER BY id LIMIT ?3
""",
    shared="""
SELECT id,
    (SELECT as_stored(min(target_epoch)) FROM signed_attestations WHERE validator_id = v.id),
    (SELECT as_stored(max(target_epoch)) FROM signed_attestations WHERE validator_id = v.id),
    (SELECT as_stored(min(slot)) FROM signed_blocks WHERE validator_id = v.id),
    (SELECT as_stored(max(slot)) FROM signed_blocks WHERE validator_id = v.id)
FROM validators v WHERE id > ?1::int AND (?2::bytea IS NULL OR public_key = ?2::bytea) ORDER BY id LIMIT ?3::bigint
""",
)
OLD_VOTES = Statement(
    embedded="""
SELECT value ->> 0,
    (SELECT target_epoch FROM signed_attestations
     WHERE validator_id = value ->> 0 AND target_epoch >= value ->> 1 ORDER BY target_epoch LIMIT 1),
    (SELECT target_epoch FROM signed_attestations
     WHERE validator_id = value ->> 0 ORDER BY target_epoch LIMIT 1 OFFSET ?2),
    (SELECT count(*) FROM (SELECT 1 FROM signed_attestations
     WHERE validator_id = value ->> 0 AND target_epoch < value ->> 1 LIMIT ?2))
FROM json_each(?1)
""",
    shared="""
SELECT (old ->> 0)::int,
    (SELECT as_stored(target_epoch) FROM signed_attestations
     WHERE validator_id = (old ->> 0)::int AND target_epoch >= as_number((old ->> 1)::bigint)
     ORDER BY target_epoch LIMIT 1),
    (SELECT as_stored(target_epoch) FROM signed_attestations
     WHERE validator_id = (old ->> 0)::int ORDER BY target_epoch LIMIT 1 OFFSET ?2::bigint),
    (SELECT count(*) FROM (SELECT FROM signed_attestations
     WHERE validator_id = (old ->> 0)::int AND target_epoch < as_number((old ->> 1)::bigint) LIMIT ?2::bigint) AS few)
FROM json_array_elements(?1::text::json) AS old
""",
)
OLD_BLOCKS = Statement(
    embedded="""
SELECT value ->> 0,
    (SELECT slot FROM signed_blocks
     WHERE validator_id = value ->> 0 AND slot >= value ->> 1 ORDER BY slot LIMIT 1),
    (SELECT slot FROM signed_blocks WHERE validator_id = value ->> 0 ORDER BY slot LIMIT 1 OFFSET ?2),
    (SELECT count(*) FROM (SELECT 1 FROM signed_blocks
     WHERE validator_id = value ->> 0 AND slot < value ->> 1 LIMIT ?2))
FROM json_each(?1)
""",
    shared="""
SELECT (old ->> 0)::int,
    (SELECT as_stored(slot) FROM signed_blocks
     WHERE validator_id = (old ->> 0)::int AND slot >= as_number((old ->> 1)::bigint) ORDER BY slot LIMIT 1),
    (SELECT as_stored(slot) FROM signed_blocks
     WHERE validator_id = (old ->> 0)::int ORDER BY slot LIMIT 1 OFFSET ?2::bigint),
    (SELECT count(*) FROM (SELECT FROM signed_blocks
     WHERE validator_id = (old ->> 0)::int AND slot < as_number((old ->> 1)::bigint) LIMIT ?2::bigint) AS few)
FROM json_array_elements(?1::text::json) AS old
""",
)
LEAST_KEPT_VOTE = Statement(
    embedded="""
SELECT target_epoch FROM signed_attestations
WHERE validator_id = ?1
  AND target_epoch >= min(?2, (SELECT max(target_epoch) FROM signed_attestations WHERE validator_id = ?1))
ORDER BY target_epoch LIMIT 1
""",
    shared="""
SELECT as_stored(target_epoch) FROM signed_attestations
WHERE validator_id = ?1::int AND target_epoch >= LEAST(
    as_number(?2::bigint), (SELECT max(target_epoch) FROM signed_attestations WHERE validator_id = ?1::int)
)
ORDER BY target_epoch LIMIT 1
""",
)
LEAST_KEPT_BLOCK = Statement(
    embedded="""
SELECT slot FROM signed_blocks
WHERE validator_id = ?1 AND slot >= min(?2, (SELECT max(slot) FROM signed_blocks WHERE validator_id = ?1))
ORDER BY slot LIMIT 1
""",
    shared="""
SELECT as_stored(slot) FROM signed_blocks
WHERE validator_id = ?1::int
  AND slot >= LEAST(as_number(?2::bigint), (SELECT max(slot) FROM signed_blocks WHERE validator_id = ?1::int))
ORDER BY slot LIMIT 1
""",
)
RAISE_VOTE_FLOORS = Statement(
    embedded="""
UPDATE validators SET
    floor_source = max(coalesce(floor_source, cut.source), cut.source),
    floor_target = max(coalesce(floor_target, cut.below), cut.below)
FROM (
    SELECT value ->> 0 AS validator_id, value ->> 1 AS below,
        (SELECT max(source_epoch) FROM signed_attestations
         WHERE validator_id = value ->> 0 AND target_epoch <= value ->> 1) AS source
    FROM json_each(?)
) AS cut
WHERE validators.id = cut.validator_id AND cut.source IS NOT NULL
""",
    shared="""
INSERT INTO low_watermarks AS w (validator_id, source_epoch, target_epoch)
SELECT validator_id, source, below FROM (
    SELECT (cut ->> 0)::int AS validator_id, as_number((cut ->> 1)::bigint) AS below,
        (SELECT max(source_epoch) FROM signed_attestations
         WHERE validator_id = (cut ->> 0)::int AND target_epoch <= as_number((cut ->> 1)::bigint)) AS source
    FROM json_array_elements(?::text::json) AS cut
) AS cuts
WHERE source IS NOT NULL ORDER BY validator_id
ON CONFLICT (validator_id) DO UPDATE SET
    source_epoch = GREATEST(w.source_epoch, excluded.source_epoch),
    target_epoch = GREATEST(w.target_epoch, excluded.target_epoch)
""",
)
DELETE_VOTES = _delete_below("signed_attestations", "target_epoch")
RAISE_BLOCK_FLOORS = Statement(
    embedded="""
UPDATE validators SET floor_slot = max(coalesce(floor_slot, value ->> 1), value ->> 1)
FROM json_each(?) WHERE validators.id = value ->> 0
""",
    shared="""
INSERT INTO low_watermarks AS w (validator_id, slot)
SELECT (cut ->> 0)::int, as_number((cut ->> 1)::bigint) FROM json_array_elements(?::text::json) AS cut ORDER BY 1
ON CONFLICT (validator_id) DO UPDATE SET slot = GREATEST(w.slot, excluded.slot)
""",
)
DELETE_BLOCKS = _delete_below("signed_blocks", "slot")
