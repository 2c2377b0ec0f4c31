-- Policies that were published, each by the hash of its pack; never changed, and kept for as long as a set names one.
CREATE TABLE holdfast.policy_packs (
    version text PRIMARY KEY CHECK (version ~ '^[0-9a-f]{64}$'), -- SHA-256 of `pack`
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    pack bytea NOT NULL, -- signer/policy/pack.py
    signature bytea CHECK (octet_length(signature) = 64), -- Ed25519
    signed_by bytea CHECK (octet_length(signed_by) = 32),
    published_ms bigint NOT NULL,
    published_by text NOT NULL,
    CHECK ((signature IS NULL) = (signed_by IS NULL))
);

CREATE INDEX policy_packs_by_name ON holdfast.policy_packs (name, published_ms);

-- Which policies hold, where, and who may change them: each change is another row, and the newest row holds, for every
-- instance. A row is added under the lock below.
CREATE TABLE holdfast.policy_sets (
    revision bigint PRIMARY KEY CHECK (revision > 0),
    document text NOT NULL, -- signer/policy/policy_set.py
    changed_ms bigint NOT NULL,
    changed_by text NOT NULL,
    change text NOT NULL -- what was ordered
);

-- Raises HF010 unless `judged_by` is the newest revision. Every commit that policies had a say in calls it last, and
-- holds the lock until it has ended: whoever changes the policies takes the same lock alone, and so waits for those
-- commits, and those that come later see the change. One statement for the lock and one for the look: a statement that
-- did both would look at what was there before it had waited.
CREATE FUNCTION holdfast.check_policy_revision(judged_by bigint) RETURNS void AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1213222732, 0);
    IF judged_by <> coalesce((SELECT max(revision) FROM holdfast.policy_sets), 0) THEN
        RAISE EXCEPTION 'the policies have changed since revision %', judged_by USING ERRCODE = 'HF010';
    END IF;
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE FUNCTION holdfast.lock_policies() RETURNS void AS $$
    SELECT pg_advisory_xact_lock(1213222732, 0)
$$ LANGUAGE sql VOLATILE;
