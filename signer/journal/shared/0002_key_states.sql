-- What keeps keys from signing, for every instance; and Web3Signer's `enabled` follows it, so that a Web3Signer beside
-- us stops too.

CREATE TABLE holdfast.key_states (
    public_key bytea PRIMARY KEY CHECK (octet_length(public_key) IN (0, 48)), -- empty: all keys
    frozen_ms bigint,
    disabled_ms bigint,
    deleted_ms bigint,
    quarantine_until bigint, -- the first epoch whose votes and blocks are signed again, minus 2^63
    CHECK (
        octet_length(public_key) = 48
        OR (disabled_ms IS NULL AND deleted_ms IS NULL AND quarantine_until IS NULL)
    )
);

-- Validators whose `enabled` was cleared by us: these alone are enabled again.
CREATE TABLE holdfast.stopped (public_key bytea PRIMARY KEY);

CREATE FUNCTION holdfast.is_stopped(wanted bytea) RETURNS boolean AS $$
    SELECT EXISTS (
        SELECT 1 FROM holdfast.key_states
        WHERE public_key IN (wanted, ''::bytea) AND coalesce(frozen_ms, disabled_ms, deleted_ms) IS NOT NULL
    )
$$ LANGUAGE sql STABLE;

-- Under the locks of these validators, as Web3Signer does it: whoever is about to sign with one has ended, or waits and
-- reads `enabled` afterwards. All keys, and very many, are too many locks: each signer sees it with its next batch, and
-- whoever must know that all have ended waits for that itself (`slashing/locking.py`).
CREATE FUNCTION holdfast.follow_keys(wanted bytea[]) RETURNS void AS $$
DECLARE
    everybody boolean := ''::bytea = ANY (wanted);
BEGIN
    IF cardinality(wanted) = 0 THEN
        RETURN;
    END IF;
    IF cardinality(wanted) <= 256 THEN
        PERFORM pg_advisory_xact_lock(class, id) FROM (
            SELECT class, v.id FROM validators v CROSS JOIN (VALUES (0), (1)) AS classes (class)
            WHERE v.public_key = ANY (wanted) ORDER BY class, v.id
        ) AS locks;
    END IF;
    WITH found AS (
        UPDATE validators SET enabled = false
        WHERE enabled AND (everybody OR public_key = ANY (wanted)) AND holdfast.is_stopped(public_key)
        RETURNING public_key
    )
    INSERT INTO holdfast.stopped SELECT public_key FROM found ON CONFLICT DO NOTHING;
    WITH free AS (
        DELETE FROM holdfast.stopped
        WHERE (everybody OR public_key = ANY (wanted)) AND NOT holdfast.is_stopped(public_key)
        RETURNING public_key
    )
    UPDATE validators SET enabled = true FROM free WHERE validators.public_key = free.public_key;
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE FUNCTION holdfast.follow_new_states() RETURNS trigger AS $$
BEGIN
    PERFORM holdfast.follow_keys(ARRAY(
        SELECT public_key FROM now_there WHERE coalesce(frozen_ms, disabled_ms, deleted_ms) IS NOT NULL
    ));
    RETURN NULL;
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE FUNCTION holdfast.follow_changed_states() RETURNS trigger AS $$
BEGIN
    PERFORM holdfast.follow_keys(ARRAY(
        SELECT public_key FROM now_there n JOIN was_there w USING (public_key)
        WHERE (n.frozen_ms, n.disabled_ms, n.deleted_ms) IS DISTINCT FROM (w.frozen_ms, w.disabled_ms, w.deleted_ms)
    ));
    RETURN NULL;
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE FUNCTION holdfast.follow_ended_states() RETURNS trigger AS $$
BEGIN
    PERFORM holdfast.follow_keys(ARRAY(
        SELECT public_key FROM was_there WHERE coalesce(frozen_ms, disabled_ms, deleted_ms) IS NOT NULL
    ));
    RETURN NULL;
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE TRIGGER follow_new_states AFTER INSERT ON holdfast.key_states
    REFERENCING NEW TABLE AS now_there FOR EACH STATEMENT EXECUTE FUNCTION holdfast.follow_new_states();
CREATE TRIGGER follow_changed_states AFTER UPDATE ON holdfast.key_states
    REFERENCING OLD TABLE AS was_there NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION holdfast.follow_changed_states();
CREATE TRIGGER follow_ended_states AFTER DELETE ON holdfast.key_states
    REFERENCING OLD TABLE AS was_there FOR EACH STATEMENT EXECUTE FUNCTION holdfast.follow_ended_states();

-- How often each key has moved between signers, and which way it went last.
CREATE TABLE holdfast.key_moves (
    public_key bytea PRIMARY KEY CHECK (octet_length(public_key) = 48),
    moves bigint NOT NULL CHECK (moves > 0),
    is_here integer NOT NULL CHECK (is_here IN (0, 1)) -- 1 where the last of them brought the key here
);

-- Web3Signer's own function, for keys that it has never seen; those that may not sign are entered as such.
CREATE FUNCTION holdfast.register_validators(wanted bytea[]) RETURNS TABLE (number integer, named bytea) AS $$
BEGIN
    RETURN QUERY SELECT v_id, v_public_key FROM upsert_validators(wanted);
    WITH found AS (
        UPDATE validators SET enabled = false
        WHERE enabled AND public_key = ANY (wanted) AND holdfast.is_stopped(public_key)
        RETURNING public_key
    )
    INSERT INTO holdfast.stopped SELECT public_key FROM found ON CONFLICT DO NOTHING;
END
$$ LANGUAGE plpgsql VOLATILE;
