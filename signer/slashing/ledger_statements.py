"""What the slashing ledgers say to the database: claims come as one JSON text, and facts go as one.

On the shared database this is how questions are answered beside the writer; signing has statements of its own there
(`web3signer_tables.py`), for the locks that it holds.
"""

from signer.journal.statement import Statement
from signer.slashing.watermarks import WATERMARKS_JSON

_VOTE = "json_build_array(as_stored(a.source_epoch), as_stored(a.target_epoch), encode(a.signing_root, 'hex'))"

LOAD_VOTES = Statement(
    embedded=f"""
WITH claim (n, public_key, s, t) AS (
    SELECT key, unhex(value ->> 0), value ->> 1, value ->> 2 FROM json_each(?)
)
SELECT {WATERMARKS_JSON.embedded}, json_group_array(json_array(
    n, max(v.floor_source, ifnull(v.held_source, v.floor_source)),
    max(v.floor_target, ifnull(v.held_target, v.floor_target)),
    json((SELECT json_array(a.source_epoch, a.target_epoch, hex(a.signing_root)) FROM signed_attestations a
      WHERE a.validator_id = v.id AND a.target_epoch = t)),
    json((SELECT json_array(a.source_epoch, a.target_epoch, hex(a.signing_root)) FROM signed_attestations a
      WHERE a.validator_id = v.id AND a.target_epoch > t AND a.source_epoch < s ORDER BY a.target_epoch DESC LIMIT 1)),
    json((SELECT json_array(a.source_epoch, a.target_epoch, hex(a.signing_root)) FROM signed_attestations a
      WHERE a.validator_id = v.id AND a.target_epoch > s AND a.target_epoch < t AND a.source_epoch > s
      ORDER BY a.target_epoch DESC LIMIT 1)),
    0
)) FROM claim CROSS JOIN validators v USING (public_key)
""",  # noqa: S608 - a constant term
    shared=f"""
WITH claim AS (
    SELECT n - 1 AS n, decode(c ->> 0, 'hex') AS public_key,
        as_number((c ->> 1)::bigint) AS s, as_number((c ->> 2)::bigint) AS t
    FROM json_array_elements(?::text::json) WITH ORDINALITY AS claims (c, n)
)
SELECT {WATERMARKS_JSON.shared}, coalesce(json_agg(json_build_array(
    n, GREATEST(v.floor_source, v.held_source), GREATEST(v.floor_target, v.held_target),
    (SELECT {_VOTE} FROM signed_attestations a WHERE a.validator_id = v.id AND a.target_epoch = t),
    (SELECT {_VOTE} FROM signed_attestations a
      WHERE a.validator_id = v.id AND a.target_epoch > t AND a.source_epoch < s ORDER BY a.target_epoch DESC LIMIT 1),
    (SELECT {_VOTE} FROM signed_attestations a
      WHERE a.validator_id = v.id AND a.target_epoch > s AND a.target_epoch < t AND a.source_epoch > s
      ORDER BY a.target_epoch DESC LIMIT 1),
    NOT v.enabled
)), '[]')::text
FROM claim JOIN known_validators() v USING (public_key)
""",  # noqa: S608 - constant terms
)
"""The last fact of each claim: whether Web3Signer's `enabled` is off. On our own tables nobody else can do that."""

LOAD_PROPOSALS = Statement(
    embedded=f"""
WITH claim (n, public_key, slot) AS (SELECT key, unhex(value ->> 0), value ->> 1 FROM json_each(?))
SELECT {WATERMARKS_JSON.embedded}, json_group_array(json_array(
    n, max(v.floor_slot, ifnull(v.held_slot, v.floor_slot)),
    json((SELECT json_array(b.slot, hex(b.signing_root)) FROM signed_blocks b
      WHERE b.validator_id = v.id AND b.slot = claim.slot)),
    0
)) FROM claim CROSS JOIN validators v USING (public_key)
""",  # noqa: S608 - a constant term
    shared=f"""
WITH claim AS (
    SELECT n - 1 AS n, decode(c ->> 0, 'hex') AS public_key, as_number((c ->> 1)::bigint) AS slot
    FROM json_array_elements(?::text::json) WITH ORDINALITY AS claims (c, n)
)
SELECT {WATERMARKS_JSON.shared}, coalesce(json_agg(json_build_array(
    n, GREATEST(v.floor_slot, v.held_slot),
    (SELECT json_build_array(as_stored(b.slot), encode(b.signing_root, 'hex')) FROM signed_blocks b
      WHERE b.validator_id = v.id AND b.slot = claim.slot),
    NOT v.enabled
)), '[]')::text
FROM claim JOIN known_validators() v USING (public_key)
""",  # noqa: S608 - a constant term
)
KEEP_VALIDATORS = """
INSERT INTO validators (public_key) SELECT unhex(value) FROM json_each(?) WHERE true ON CONFLICT DO NOTHING
"""
STORE_VOTES = """
INSERT INTO signed_attestations (validator_id, target_epoch, source_epoch, signing_root)
SELECT v.id, value ->> 2, value ->> 1, unhex(value ->> 3)
FROM json_each(?) CROSS JOIN validators v ON v.public_key = unhex(value ->> 0)
"""
FIRST_VOTE_FLOORS = """
UPDATE validators SET floor_source = value ->> 1, floor_target = value ->> 2
FROM json_each(?) WHERE public_key = unhex(value ->> 0) AND floor_target IS NULL
"""
STORE_PROPOSALS = """
INSERT INTO signed_blocks (validator_id, slot, signing_root)
SELECT v.id, value ->> 1, unhex(value ->> 2)
FROM json_each(?) CROSS JOIN validators v ON v.public_key = unhex(value ->> 0)
"""
FIRST_PROPOSAL_FLOORS = """
UPDATE validators SET floor_slot = value ->> 1
FROM json_each(?) WHERE public_key = unhex(value ->> 0) AND floor_slot IS NULL
"""
