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

-- Under the locks of this one validator, as Web3Signer does it: whoever is about to sign with it has ended, or waits and
-- reads `enabled` afterwards. All keys at once are too many locks; each signer sees it with its next batch.
CREATE FUNCTION holdfast.follow_key_states() RETURNS trigger AS $$
DECLARE
    wanted bytea := CASE WHEN TG_OP = 'DELETE' THEN OLD.public_key ELSE NEW.public_key END;
    everybody boolean := octet_length(wanted) = 0;
BEGIN
    PERFORM pg_advisory_xact_lock(0, id) FROM validators WHERE public_key = wanted;
    PERFORM pg_advisory_xact_lock(1, id) FROM validators WHERE public_key = wanted;
    WITH found AS (
        UPDATE validators SET enabled = false
        WHERE enabled AND (everybody OR public_key = wanted) AND holdfast.is_stopped(public_key)
        RETURNING public_key
    )
    INSERT INTO holdfast.stopped SELECT public_key FROM found ON CONFLICT DO NOTHING;
    WITH free AS (
        DELETE FROM holdfast.stopped
        WHERE (everybody OR public_key = wanted) AND NOT holdfast.is_stopped(public_key)
        RETURNING public_key
    )
    UPDATE validators SET enabled = true FROM free WHERE validators.public_key = free.public_key;
    RETURN NULL;
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE TRIGGER follow_key_states AFTER INSERT OR UPDATE OR DELETE ON holdfast.key_states
    FOR EACH ROW EXECUTE FUNCTION holdfast.follow_key_states();

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
