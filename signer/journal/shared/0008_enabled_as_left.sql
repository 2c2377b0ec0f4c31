-- Web3Signer's `enabled` is given back only where nobody else has written the row since we cleared it; and keys that may
-- not sign are entered as such, before a Web3Signer enters them as enabled ones.

-- The row's xmin as we left it: every write by anybody gives it another, also one that changes nothing. A database that
-- was restored from a dump has others everywhere: then nothing is enabled by us, which is safe.
ALTER TABLE holdfast.stopped ADD COLUMN as_left text;

UPDATE holdfast.stopped SET as_left = v.xmin::text FROM validators v
WHERE v.public_key = stopped.public_key AND NOT v.enabled;

-- Keys that the database has never seen, as far as they may not sign: sorted, as everybody enters keys, and before any
-- lock of theirs is taken.
CREATE FUNCTION holdfast.enter_stopped(wanted bytea[]) RETURNS void AS $$
    WITH entered AS (
        INSERT INTO validators (public_key, enabled)
        SELECT DISTINCT asked.key, false FROM unnest(wanted) AS asked (key)
        WHERE octet_length(asked.key) = 48 AND holdfast.is_stopped(asked.key)
            AND NOT EXISTS (SELECT 1 FROM validators known WHERE known.public_key = asked.key)
        ORDER BY asked.key
        ON CONFLICT DO NOTHING
        RETURNING public_key, xmin::text
    )
    INSERT INTO holdfast.stopped (public_key, as_left) SELECT * FROM entered
    ON CONFLICT (public_key) DO UPDATE SET as_left = excluded.as_left
$$ LANGUAGE sql VOLATILE;

CREATE FUNCTION holdfast.clear_enabled(wanted bytea[]) RETURNS void AS $$
    WITH cleared AS (
        UPDATE validators SET enabled = false WHERE enabled AND public_key = ANY (wanted)
        RETURNING public_key, xmin::text
    )
    INSERT INTO holdfast.stopped (public_key, as_left) SELECT * FROM cleared
    ON CONFLICT (public_key) DO UPDATE SET as_left = excluded.as_left
$$ LANGUAGE sql VOLATILE;

-- For these keys, or where none are named for all.
CREATE FUNCTION holdfast.give_back_enabled(wanted bytea[]) RETURNS void AS $$
    WITH free AS (
        DELETE FROM holdfast.stopped
        WHERE (wanted IS NULL OR public_key = ANY (wanted)) AND NOT holdfast.is_stopped(public_key)
        RETURNING public_key, as_left
    )
    UPDATE validators SET enabled = true FROM free
    WHERE validators.public_key = free.public_key AND validators.xmin::text = free.as_left
$$ LANGUAGE sql VOLATILE;

-- Under the locks of these validators: see where this function was first made.
CREATE OR REPLACE FUNCTION holdfast.follow_keys(wanted bytea[]) RETURNS void AS $$
DECLARE
    everybody boolean := ''::bytea = ANY (wanted);
BEGIN
    IF cardinality(wanted) = 0 THEN
        RETURN;
    END IF;
    PERFORM holdfast.enter_stopped(wanted);
    IF cardinality(wanted) <= 256 THEN
        PERFORM pg_advisory_xact_lock(class, id) FROM (
            SELECT class, v.id FROM validators v CROSS JOIN (VALUES (0), (1)) AS classes (class)
            WHERE v.public_key = ANY (wanted) ORDER BY class, v.id
        ) AS locks;
    END IF;
    PERFORM holdfast.clear_enabled(ARRAY(
        SELECT public_key FROM validators
        WHERE enabled AND (everybody OR public_key = ANY (wanted)) AND holdfast.is_stopped(public_key)
    ));
    PERFORM holdfast.give_back_enabled(CASE WHEN NOT everybody THEN wanted END);
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE OR REPLACE FUNCTION holdfast.register_validators(wanted bytea[])
RETURNS TABLE (number integer, named bytea) AS $$
BEGIN
    RETURN QUERY SELECT v_id, v_public_key FROM upsert_validators(wanted);
    PERFORM holdfast.clear_enabled(ARRAY(
        SELECT public_key FROM validators
        WHERE enabled AND public_key = ANY (wanted) AND holdfast.is_stopped(public_key)
    ));
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE OR REPLACE FUNCTION holdfast.stop_validators(wanted bytea[]) RETURNS void AS $$
BEGIN
    PERFORM holdfast.enter_stopped(wanted);
    PERFORM holdfast.clear_enabled(wanted);
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE OR REPLACE FUNCTION holdfast.follow_frozen_tag() RETURNS trigger AS $$
BEGIN
    PERFORM holdfast.one_after_the_other();
    IF TG_OP = 'INSERT' THEN
        PERFORM holdfast.stop_validators(array_agg(public_key)) FROM holdfast.key_tags WHERE tag = NEW.tag;
    ELSE
        PERFORM holdfast.give_back_enabled(NULL);
    END IF;
    RETURN NULL;
END
$$ LANGUAGE plpgsql VOLATILE;
