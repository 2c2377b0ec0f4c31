-- Names that operators give to keys. A frozen tag keeps every key that bears it from signing, here and by a Web3Signer
-- beside us.

CREATE TABLE holdfast.key_tags (
    public_key bytea NOT NULL CHECK (octet_length(public_key) = 48),
    tag text NOT NULL CHECK (tag ~ '^[a-z0-9_.:-]{1,64}$'),
    PRIMARY KEY (public_key, tag)
);

CREATE INDEX keys_of_tag ON holdfast.key_tags (tag);

CREATE TABLE holdfast.frozen_tags (
    tag text PRIMARY KEY CHECK (tag ~ '^[a-z0-9_.:-]{1,64}$'),
    frozen_ms bigint NOT NULL
);

-- Asked with every batch: while no tag is frozen, which is nearly always, it costs no plan of the join.
CREATE FUNCTION holdfast.frozen_tags_of(wanted bytea[]) RETURNS TABLE (bearer bytea, name text, since_ms bigint) AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM holdfast.frozen_tags) THEN
        RETURN QUERY SELECT t.public_key, f.tag, f.frozen_ms
        FROM holdfast.frozen_tags f JOIN holdfast.key_tags t ON t.tag = f.tag WHERE t.public_key = ANY (wanted);
    END IF;
END
$$ LANGUAGE plpgsql STABLE;

CREATE OR REPLACE FUNCTION holdfast.is_stopped(wanted bytea) RETURNS boolean AS $$
    SELECT EXISTS (
        SELECT 1 FROM holdfast.key_states
        WHERE public_key IN (wanted, ''::bytea) AND coalesce(frozen_ms, disabled_ms, deleted_ms) IS NOT NULL
    ) OR EXISTS (
        SELECT 1 FROM holdfast.key_tags t JOIN holdfast.frozen_tags f ON f.tag = t.tag WHERE t.public_key = wanted
    )
$$ LANGUAGE sql STABLE;

-- Giving a tag and freezing it, in two transactions at once, must find each other: one of them waits here, and each
-- statement after this reads what was committed meanwhile.
CREATE FUNCTION holdfast.one_after_the_other() RETURNS void AS $$
    SELECT pg_advisory_xact_lock('holdfast.frozen_tags'::regclass::oid::bigint)
$$ LANGUAGE sql VOLATILE;

-- `enabled` follows for many keys at once, so without their locks, as for all keys: each signer sees it with its next
-- batch.
CREATE FUNCTION holdfast.stop_validators(wanted bytea[]) RETURNS void AS $$
    WITH found AS (
        UPDATE validators SET enabled = false WHERE enabled AND public_key = ANY (wanted) RETURNING public_key
    )
    INSERT INTO holdfast.stopped SELECT public_key FROM found ON CONFLICT DO NOTHING
$$ LANGUAGE sql VOLATILE;

CREATE FUNCTION holdfast.follow_tagging() RETURNS trigger AS $$
BEGIN
    PERFORM holdfast.one_after_the_other();
    PERFORM holdfast.stop_validators(array_agg(n.public_key))
    FROM changed n JOIN holdfast.frozen_tags f ON f.tag = n.tag;
    RETURN NULL;
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE TRIGGER follow_tagging AFTER INSERT ON holdfast.key_tags
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION holdfast.follow_tagging();

-- A key never loses a frozen tag: that would thaw it without a word. Whoever asks again is told so.
CREATE FUNCTION holdfast.keep_frozen_tags() RETURNS trigger AS $$
BEGIN
    PERFORM holdfast.one_after_the_other();
    IF EXISTS (SELECT 1 FROM changed c JOIN holdfast.frozen_tags f ON f.tag = c.tag) THEN
        RAISE EXCEPTION 'the tag is frozen: thaw it before it is taken from a key' USING ERRCODE = '40001';
    END IF;
    RETURN NULL;
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE TRIGGER keep_frozen_tags AFTER DELETE ON holdfast.key_tags
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION holdfast.keep_frozen_tags();

CREATE FUNCTION holdfast.follow_frozen_tag() RETURNS trigger AS $$
BEGIN
    PERFORM holdfast.one_after_the_other();
    IF TG_OP = 'INSERT' THEN
        PERFORM holdfast.stop_validators(array_agg(public_key)) FROM holdfast.key_tags WHERE tag = NEW.tag;
        RETURN NULL;
    END IF;
    WITH free AS (
        DELETE FROM holdfast.stopped WHERE NOT holdfast.is_stopped(public_key) RETURNING public_key
    )
    UPDATE validators SET enabled = true FROM free WHERE validators.public_key = free.public_key;
    RETURN NULL;
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE TRIGGER follow_frozen_tag AFTER INSERT OR DELETE ON holdfast.frozen_tags
    FOR EACH ROW EXECUTE FUNCTION holdfast.follow_frozen_tag();
