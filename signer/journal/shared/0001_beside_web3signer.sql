-- What Holdfast keeps beside Web3Signer's tables: in schemas of its own, so that neither is in the other's way.

CREATE TABLE holdfast.identity (
    id integer PRIMARY KEY CHECK (id = 1),
    database_id bytea NOT NULL CHECK (octet_length(database_id) = 16),
    incarnation text NOT NULL -- the last one in which every instance had confirmed its log
);

-- For every validator, known or not: nothing at or below is signed (an accepted restore).
CREATE TABLE holdfast.watermarks (
    id integer PRIMARY KEY CHECK (id = 1),
    low_epoch numeric(20),
    low_slot numeric(20)
);

INSERT INTO holdfast.watermarks (id) VALUES (1);

-- While an import is not complete: up to here no Holdfast signs what is not on record. held_by is the SHA-256 of the
-- document; only its last part lifts the hold, so that one that was stopped half-way refuses more, never less.
CREATE TABLE holdfast.held_floors (
    validator_id integer PRIMARY KEY,
    source_epoch numeric(20),
    target_epoch numeric(20),
    slot numeric(20),
    held_by bytea NOT NULL CHECK (octet_length(held_by) = 32)
);

-- Unsigned 64-bit numbers leave and enter as the embedded database stores them, minus 2^63: drivers and JSON know
-- signed ones. Plain enough to be written into the statement by the planner, so that indices serve.
CREATE FUNCTION holdfast.as_stored(number numeric) RETURNS bigint AS $$
    SELECT (number - 9223372036854775808)::bigint
$$ LANGUAGE sql IMMUTABLE;

CREATE FUNCTION holdfast.as_number(stored bigint) RETURNS numeric AS $$
    SELECT stored + 9223372036854775808
$$ LANGUAGE sql IMMUTABLE;

-- Validators as the embedded database has them in one table. No view: one would keep Web3Signer's own migrations from
-- changing what it reads.
CREATE FUNCTION holdfast.known_validators() RETURNS TABLE (
    id integer, public_key bytea, enabled boolean,
    floor_source bigint, floor_target bigint, floor_slot bigint,
    held_source bigint, held_target bigint, held_slot bigint, held_by bytea
) AS $$
    SELECT v.id, v.public_key, v.enabled,
        holdfast.as_stored(w.source_epoch), holdfast.as_stored(w.target_epoch), holdfast.as_stored(w.slot),
        holdfast.as_stored(h.source_epoch), holdfast.as_stored(h.target_epoch), holdfast.as_stored(h.slot), h.held_by
    FROM validators v
    LEFT JOIN low_watermarks w ON w.validator_id = v.id
    LEFT JOIN holdfast.held_floors h ON h.validator_id = v.id
$$ LANGUAGE sql STABLE;

-- One row for each signer process that works on this database, now or before.
CREATE TABLE holdfast.instances (
    log_id bytea PRIMARY KEY CHECK (octet_length(log_id) = 16),
    token bigint NOT NULL, -- drawn by whoever holds the lease
    expires_at timestamptz NOT NULL,
    incarnation text NOT NULL, -- the last one in which it has confirmed its log
    released boolean NOT NULL -- it stopped in order: all it had committed is in front of this
);

-- Which life of which database this is. A promoted replica has another timeline, a dump that was restored other object
-- ids, and files that were put back a server that was started anew.
CREATE FUNCTION holdfast.incarnation() RETURNS text AS $$
    SELECT system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)
        || '/' || (SELECT oid FROM pg_database WHERE datname = current_database())
        || '/' || 'holdfast.identity'::regclass::oid
        || '/' || extract(epoch FROM pg_postmaster_start_time())
    FROM pg_control_system()
$$ LANGUAGE sql VOLATILE;

CREATE FUNCTION holdfast.hold_lease(instance bytea, held bigint) RETURNS void AS $$
DECLARE
    found_token bigint;
    found_end timestamptz;
BEGIN
    SELECT token, expires_at INTO found_token, found_end FROM holdfast.instances WHERE log_id = instance FOR SHARE;
    IF found_token IS DISTINCT FROM held THEN
        RAISE EXCEPTION 'another process has taken over the lease of this instance' USING ERRCODE = 'HF001';
    END IF;
    IF found_end <= clock_timestamp() THEN
        RAISE EXCEPTION 'the lease of this instance has ended' USING ERRCODE = 'HF002';
    END IF;
    IF (SELECT incarnation FROM holdfast.identity) IS DISTINCT FROM holdfast.incarnation() THEN
        RAISE EXCEPTION 'this server took over, and not every instance has confirmed that it lost nothing'
            USING ERRCODE = 'HF003';
    END IF;
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE FUNCTION holdfast.renew_lease(instance bytea, held bigint, seconds double precision) RETURNS void AS $$
BEGIN
    UPDATE holdfast.instances SET expires_at = clock_timestamp() + make_interval(secs => seconds)
    WHERE log_id = instance AND token = held AND expires_at > clock_timestamp();
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the lease of this instance has ended' USING ERRCODE = 'HF002';
    END IF;
    -- Whoever died in this life of the database has all that it committed in front of this: nobody need wait for it
    -- later. Within the minute it may be about to come back and say so itself.
    UPDATE holdfast.instances SET released = true WHERE log_id IN (
        SELECT log_id FROM holdfast.instances
        WHERE NOT released AND expires_at < clock_timestamp() - interval '1 minute'
            AND incarnation = (SELECT incarnation FROM holdfast.identity) AND incarnation = holdfast.incarnation()
        FOR UPDATE SKIP LOCKED
    );
END
$$ LANGUAGE plpgsql VOLATILE;

CREATE FUNCTION holdfast.release_lease(instance bytea, held bigint) RETURNS void AS $$
BEGIN
    UPDATE holdfast.instances SET expires_at = clock_timestamp(), released = true
    WHERE log_id = instance AND token = held;
END
$$ LANGUAGE plpgsql VOLATILE;

-- An instance has compared its log with its head file. Once all that have not stopped in order did, signing goes on.
CREATE FUNCTION holdfast.confirm_log(instance bytea, held bigint) RETURNS boolean AS $$
DECLARE
    now_in text := holdfast.incarnation();
BEGIN
    PERFORM 1 FROM holdfast.identity FOR UPDATE;
    UPDATE holdfast.instances SET incarnation = now_in WHERE log_id = instance AND token = held;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'another process has taken over the lease of this instance' USING ERRCODE = 'HF001';
    END IF;
    IF EXISTS (SELECT 1 FROM holdfast.instances WHERE NOT released AND incarnation <> now_in) THEN
        RETURN false;
    END IF;
    UPDATE holdfast.identity SET incarnation = now_in WHERE incarnation <> now_in;
    RETURN true;
END
$$ LANGUAGE plpgsql VOLATILE;

-- An instance knows of commits that this database has not: nobody signs on it until an operator has accepted the loss.
CREATE FUNCTION holdfast.protest(instance bytea) RETURNS void AS $$
BEGIN
    PERFORM 1 FROM holdfast.identity FOR UPDATE;
    INSERT INTO holdfast.instances (log_id, token, expires_at, incarnation, released)
    VALUES (instance, 0, clock_timestamp(), 'lost', false)
    ON CONFLICT (log_id) DO UPDATE SET incarnation = 'lost', released = false;
    UPDATE holdfast.identity SET incarnation = 'lost';
END
$$ LANGUAGE plpgsql VOLATILE;

-- Make the audit log of one instance: a schema of its own, with the tables that the embedded database has too.
CREATE FUNCTION holdfast.make_log(log_schema text) RETURNS void AS $$
BEGIN
    EXECUTE format('CREATE SCHEMA %I', log_schema);
    EXECUTE format('CREATE TABLE %I.audit_start (
        id integer PRIMARY KEY CHECK (id = 1),
        size bigint NOT NULL CHECK (size >= 0),
        head bytea NOT NULL CHECK (octet_length(head) = 32))', log_schema);
    EXECUTE format('CREATE TABLE %I.audit_batches (
        first_index bigint PRIMARY KEY CHECK (first_index >= 0),
        count bigint NOT NULL CHECK (count > 0),
        head bytea NOT NULL CHECK (octet_length(head) = 32),
        entries bytea NOT NULL)', log_schema);
END
$$ LANGUAGE plpgsql VOLATILE;
