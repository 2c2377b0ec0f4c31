"""What the counters' ledger says to the database: many rows go as one JSON text, amounts as decimal texts in it."""

from signer.journal.statement import NOTHING, Statement

_LOCK_CLASS = 0x484F4C44
"""`HOLD`: Web3Signer's classes are 0 and 1, which every batch takes before these."""

LOCK_COUNTERS = Statement(
    embedded=NOTHING,
    shared=f"""
SELECT pg_advisory_xact_lock({_LOCK_CLASS}, id) FROM (
    SELECT id::int FROM json_array_elements_text(?::text::json) AS asked (id) ORDER BY id::int
) AS locks
""",  # noqa: S608 - a constant number
)

READ_AMOUNTS = Statement(
    embedded="""
SELECT json_group_array(json_array(asked.n, c.begins, c.amount)) FROM (
    SELECT key AS n, value ->> 0 AS policy, value ->> 1 AS counter, value ->> 2 AS window_seconds FROM json_each(?)
) AS asked CROSS JOIN policy_counters c USING (policy, counter, window_seconds)
""",
    shared="""
SELECT coalesce(json_agg(json_build_array(asked.n - 1, c.begins, c.amount)), '[]')::text
FROM json_array_elements(?::text::json) WITH ORDINALITY AS asked (id, n)
JOIN holdfast.policy_counters c
    ON c.policy = id ->> 0 AND c.counter = id ->> 1 AND c.window_seconds = (id ->> 2)::bigint
""",
)

STORE_AMOUNTS = Statement(
    embedded="""
INSERT INTO policy_counters (policy, counter, window_seconds, begins, ends, amount)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM json_each(?) WHERE true
ON CONFLICT (policy, counter, window_seconds, begins) DO UPDATE SET amount = excluded.amount
""",
    shared="""
INSERT INTO holdfast.policy_counters (policy, counter, window_seconds, begins, ends, amount)
SELECT r ->> 0, r ->> 1, (r ->> 2)::bigint, (r ->> 3)::bigint, (r ->> 4)::bigint, r ->> 5
FROM json_array_elements(?::text::json) AS rows (r)
ON CONFLICT (policy, counter, window_seconds, begins) DO UPDATE SET amount = excluded.amount
""",
)

FORGET_AMOUNTS = Statement(
    embedded="""
DELETE FROM policy_counters WHERE (policy, counter, window_seconds, begins) IN (
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?)
)
""",
    shared="""
DELETE FROM holdfast.policy_counters WHERE (policy, counter, window_seconds, begins) IN (
    SELECT r ->> 0, r ->> 1, (r ->> 2)::bigint, (r ->> 3)::bigint FROM json_array_elements(?::text::json) AS rows (r)
)
""",
)

SWEEP = Statement(
    embedded="""
DELETE FROM policy_counters WHERE (policy, counter, window_seconds, begins) IN (
    SELECT policy, counter, window_seconds, begins FROM policy_counters WHERE ends <= ?1 ORDER BY ends LIMIT ?2
)
""",
    shared="""
DELETE FROM holdfast.policy_counters WHERE (policy, counter, window_seconds, begins) IN (
    SELECT policy, counter, window_seconds, begins FROM holdfast.policy_counters WHERE ends <= ?1
    ORDER BY ends LIMIT ?2 FOR UPDATE SKIP LOCKED
)
""",
)
"""Counters that others hold are passed over on the shared database: nobody waits for a broom."""
