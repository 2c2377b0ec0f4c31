"""What an import says to the database.

Rows come as JSON texts: `[[key, lowest source, target, slot, highest ...], ...]` for validators, and
`{key: [[target, source, root], ...]}` for their records; keys and roots in hex, numbers as stored.
"""

from signer.journal.statement import NOTHING, Statement

KEEP = Statement(
    embedded="""
INSERT INTO validators (public_key) SELECT unhex(value ->> 0) FROM json_each(?) WHERE true ON CONFLICT DO NOTHING
""",
    shared="""
SELECT FROM register_validators((SELECT array_agg(decode(m ->> 0, 'hex')) FROM json_array_elements(?::text::json) AS m))
""",
)
FIRST_VOTE_FLOORS = Statement(
    embedded="""
UPDATE validators SET floor_source = value ->> 1, floor_target = value ->> 2
FROM json_each(?) WHERE public_key = unhex(value ->> 0) AND value ->> 1 IS NOT NULL AND floor_target IS NULL
""",
    shared="""
INSERT INTO low_watermarks (validator_id, source_epoch, target_epoch)
SELECT v.id, as_number((m ->> 1)::bigint), as_number((m ->> 2)::bigint)
FROM json_array_elements(?::text::json) AS m JOIN validators v ON v.public_key = decode(m ->> 0, 'hex')
WHERE m ->> 1 IS NOT NULL ORDER BY v.id
ON CONFLICT (validator_id) DO UPDATE SET source_epoch = excluded.source_epoch, target_epoch = excluded.target_epoch
    WHERE low_watermarks.target_epoch IS NULL
""",
)
FIRST_BLOCK_FLOORS = Statement(
    embedded="""
UPDATE validators SET floor_slot = value ->> 3
FROM json_each(?) WHERE public_key = unhex(value ->> 0) AND value ->> 3 IS NOT NULL AND floor_slot IS NULL
""",
    shared="""
INSERT INTO low_watermarks (validator_id, slot)
SELECT v.id, as_number((m ->> 3)::bigint)
FROM json_array_elements(?::text::json) AS m JOIN validators v ON v.public_key = decode(m ->> 0, 'hex')
WHERE m ->> 3 IS NOT NULL ORDER BY v.id
ON CONFLICT (validator_id) DO UPDATE SET slot = excluded.slot WHERE low_watermarks.slot IS NULL
""",
)
HOLD = Statement(
    embedded="""
UPDATE validators SET
    held_source = coalesce(max(held_source, value ->> 4), held_source, value ->> 4),
    held_target = coalesce(max(held_target, value ->> 5), held_target, value ->> 5),
    held_slot = coalesce(max(held_slot, value ->> 6), held_slot, value ->> 6),
    held_by = coalesce(held_by, ?2)
FROM json_each(?1) WHERE public_key = unhex(value ->> 0)
""",
    shared="""
INSERT INTO held_floors AS held (validator_id, source_epoch, target_epoch, slot, held_by)
SELECT v.id, as_number((m ->> 4)::bigint), as_number((m ->> 5)::bigint), as_number((m ->> 6)::bigint), ?2
FROM json_array_elements(?1::text::json) AS m JOIN validators v ON v.public_key = decode(m ->> 0, 'hex')
ORDER BY v.id
ON CONFLICT (validator_id) DO UPDATE SET
    source_epoch = GREATEST(held.source_epoch, excluded.source_epoch),
    target_epoch = GREATEST(held.target_epoch, excluded.target_epoch),
    slot = GREATEST(held.slot, excluded.slot)
""",
)
LIFT = Statement(
    embedded="""
UPDATE validators SET held_source = NULL, held_target = NULL, held_slot = NULL, held_by = NULL WHERE held_by = ?
""",
    shared="DELETE FROM held_floors WHERE held_by = ?",
)
# Of a text each number and root is read once: the rows are made, and then looked at.
_SHARED_VOTES = """
WITH new AS MATERIALIZED (
    SELECT g.key, v.id, as_number((r -> 0)::bigint) AS target, as_number((r -> 1)::bigint) AS source,
        decode(r ->> 2, 'hex') AS root
    FROM jsonb_each(?::text::jsonb) AS g LEFT JOIN validators v ON v.public_key = decode(g.key, 'hex')
    CROSS JOIN jsonb_array_elements(g.value) AS r
)
"""
_SHARED_BLOCKS = """
WITH new AS MATERIALIZED (
    SELECT g.key, v.id, as_number((r -> 0)::bigint) AS slot, decode(r ->> 1, 'hex') AS root
    FROM jsonb_each(?::text::jsonb) AS g LEFT JOIN validators v ON v.public_key = decode(g.key, 'hex')
    CROSS JOIN jsonb_array_elements(g.value) AS r
)
"""
_SHARED_VOTES_MET = """
SELECT new.key,
    count(*) - count(old.target_epoch) FILTER (WHERE old.source_epoch <= new.source),
    count(*) FILTER (WHERE old.source_epoch <> new.source OR old.signing_root <> new.root),
    as_stored(max(CASE WHEN old.source_epoch <> new.source THEN GREATEST(old.source_epoch, new.source) END))
FROM new LEFT JOIN LATERAL (
    SELECT * FROM signed_attestations a WHERE a.validator_id = new.id AND a.target_epoch = new.target LIMIT 1
) AS old ON true
GROUP BY new.key
"""
_SHARED_BLOCKS_MET = """
SELECT new.key, count(*) - count(old.slot), count(*) FILTER (WHERE old.signing_root <> new.root)
FROM new LEFT JOIN LATERAL (
    SELECT * FROM signed_blocks b WHERE b.validator_id = new.id AND b.slot = new.slot LIMIT 1
) AS old ON true
GROUP BY new.key
"""
COMPARE_VOTES = Statement(
    embedded="""
SELECT g.key,
    count(*) - count(a.target_epoch) FILTER (WHERE a.source_epoch <= r.value ->> 1),
    count(*) FILTER (WHERE a.source_epoch <> r.value ->> 1 OR a.signing_root <> unhex(r.value ->> 2)),
    max(CASE WHEN a.source_epoch <> r.value ->> 1 THEN max(a.source_epoch, r.value ->> 1) END)
FROM json_each(?) g LEFT JOIN validators v ON v.public_key = unhex(g.key) CROSS JOIN json_each(g.value) r
LEFT JOIN signed_attestations a ON a.validator_id = v.id AND a.target_epoch = r.value ->> 0
GROUP BY g.key
""",
    shared=f"{_SHARED_VOTES} {_SHARED_VOTES_MET}",
)
COMPARE_BLOCKS = Statement(
    embedded="""
SELECT g.key, count(*) - count(b.slot), count(*) FILTER (WHERE b.signing_root <> unhex(r.value ->> 1))
FROM json_each(?) g LEFT JOIN validators v ON v.public_key = unhex(g.key) CROSS JOIN json_each(g.value) r
LEFT JOIN signed_blocks b ON b.validator_id = v.id AND b.slot = r.value ->> 0
GROUP BY g.key
""",
    shared=f"{_SHARED_BLOCKS} {_SHARED_BLOCKS_MET}",
)
TAKE_VOTES = Statement(
    embedded=COMPARE_VOTES.embedded,
    shared=f"""
{_SHARED_VOTES}, added AS (
    INSERT INTO signed_attestations (validator_id, target_epoch, source_epoch, signing_root)
    SELECT id, target, source, root FROM new WHERE id IS NOT NULL
    ON CONFLICT (validator_id, target_epoch) DO UPDATE SET source_epoch = excluded.source_epoch, signing_root = NULL
        WHERE excluded.source_epoch < signed_attestations.source_epoch
)
{_SHARED_VOTES_MET}""",  # noqa: S608 - constant terms
)
"""Tells what COMPARE_VOTES tells. A shared database adds the votes in the same breath (all of a statement sees what was
there before it), an embedded one with the next statement, ADD_VOTES."""

ADD_VOTES = Statement(
    embedded="""
INSERT INTO signed_attestations (validator_id, target_epoch, source_epoch, signing_root)
SELECT v.id, r.value ->> 0, r.value ->> 1, unhex(r.value ->> 2)
FROM json_each(?) g CROSS JOIN validators v ON v.public_key = unhex(g.key)
CROSS JOIN json_each(g.value) r WHERE true
ON CONFLICT DO UPDATE SET source_epoch = excluded.source_epoch, signing_root = NULL
    WHERE excluded.source_epoch < source_epoch
""",
    shared=NOTHING,
)
TAKE_BLOCKS = Statement(
    embedded=COMPARE_BLOCKS.embedded,
    shared=f"""
{_SHARED_BLOCKS}, added AS (
    INSERT INTO signed_blocks (validator_id, slot, signing_root) SELECT id, slot, root FROM new WHERE id IS NOT NULL
    ON CONFLICT (validator_id, slot) DO NOTHING
)
{_SHARED_BLOCKS_MET}""",  # noqa: S608 - constant terms
)
"""The same with COMPARE_BLOCKS and ADD_BLOCKS."""

ADD_BLOCKS = Statement(
    embedded="""
INSERT INTO signed_blocks (validator_id, slot, signing_root)
SELECT v.id, r.value ->> 0, unhex(r.value ->> 1)
FROM json_each(?) g CROSS JOIN validators v ON v.public_key = unhex(g.key)
CROSS JOIN json_each(g.value) r WHERE true
ON CONFLICT DO NOTHING
""",
    shared=NOTHING,
)
RAISE_SOURCES = Statement(
    embedded="""
UPDATE validators SET floor_source = max(floor_source, value ->> 1)
FROM json_each(?) WHERE public_key = unhex(value ->> 0)
""",
    shared="""
UPDATE low_watermarks w SET source_epoch = GREATEST(w.source_epoch, as_number((m ->> 1)::bigint))
FROM json_array_elements(?::text::json) AS m JOIN validators v ON v.public_key = decode(m ->> 0, 'hex')
WHERE w.validator_id = v.id
""",
)
FLOORS = Statement(
    embedded="""
SELECT hex(public_key), floor_slot, floor_source, floor_target, held_by IS NOT NULL
FROM json_each(?) CROSS JOIN validators v ON v.public_key = unhex(value)
""",
    shared="""
SELECT encode(v.public_key, 'hex'), v.floor_slot, v.floor_source, v.floor_target, v.held_by IS NOT NULL
FROM json_array_elements_text(?::text::json) AS asked (key)
JOIN known_validators() v ON v.public_key = decode(asked.key, 'hex')
""",
)
