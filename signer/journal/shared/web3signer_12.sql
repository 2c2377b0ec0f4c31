-- The tables of Web3Signer's slashing protection as its migrations 1 to 12 leave them: the same names, types,
-- constraints and meanings, so that a Web3Signer can work on a database that Holdfast has set up.

CREATE TABLE validators (
    id serial PRIMARY KEY,
    public_key bytea NOT NULL UNIQUE,
    enabled boolean NOT NULL DEFAULT true
);

CREATE TABLE signed_blocks (
    validator_id integer NOT NULL REFERENCES validators (id),
    slot numeric(20) NOT NULL,
    signing_root bytea,
    id bigserial PRIMARY KEY,
    CONSTRAINT unique_signed_block UNIQUE (validator_id, slot)
);
CREATE INDEX signed_blocks_validator_id_slot_idx ON signed_blocks (validator_id, slot);

CREATE TABLE signed_attestations (
    validator_id integer REFERENCES validators (id),
    source_epoch numeric(20) NOT NULL,
    target_epoch numeric(20) NOT NULL,
    signing_root bytea,
    id bigserial PRIMARY KEY,
    CONSTRAINT unique_signed_attestation UNIQUE (validator_id, target_epoch)
);
CREATE INDEX signed_attestations_validator_id_target_epoch_idx ON signed_attestations (validator_id, target_epoch);

CREATE TABLE low_watermarks (
    validator_id integer NOT NULL UNIQUE REFERENCES validators (id),
    slot numeric(20),
    target_epoch numeric(20),
    source_epoch numeric(20),
    CONSTRAINT both_epochs_set_or_null CHECK ((target_epoch IS NULL) = (source_epoch IS NULL))
);

CREATE TABLE metadata (
    id integer PRIMARY KEY,
    genesis_validators_root bytea NOT NULL,
    high_watermark_epoch numeric(20),
    high_watermark_slot numeric(20)
);

CREATE TABLE database_version (
    id integer PRIMARY KEY,
    version integer NOT NULL
);
INSERT INTO database_version (id, version) VALUES (1, 12);

-- Ids of public keys, in the order asked; those never seen before are entered. Two callers at once get the same ids.
CREATE FUNCTION upsert_validators(_vals bytea[]) RETURNS TABLE (v_id integer, v_public_key bytea) AS $$
BEGIN
    INSERT INTO validators (public_key)
    SELECT DISTINCT asked.wanted FROM unnest(_vals) AS asked (wanted)
    WHERE NOT EXISTS (SELECT 1 FROM validators known WHERE known.public_key = asked.wanted)
    ORDER BY asked.wanted
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    SELECT known.id, known.public_key
    FROM unnest(_vals) WITH ORDINALITY AS asked (wanted, place)
    JOIN validators known ON known.public_key = asked.wanted
    ORDER BY asked.place;
END
$$ LANGUAGE plpgsql;

-- A high watermark stands above every low one.
CREATE FUNCTION check_high_watermarks() RETURNS trigger AS $$
DECLARE
    low_slot numeric(20);
    low_epoch numeric(20);
BEGIN
    SELECT max(slot), greatest(max(target_epoch), max(source_epoch)) INTO low_slot, low_epoch FROM low_watermarks;
    IF NEW.high_watermark_slot <= low_slot THEN
        RAISE EXCEPTION 'high_watermark_slot % is not above the low watermark %', NEW.high_watermark_slot, low_slot;
    END IF;
    IF NEW.high_watermark_epoch <= low_epoch THEN
        RAISE EXCEPTION 'high_watermark_epoch % is not above the low watermark %', NEW.high_watermark_epoch, low_epoch;
    END IF;
    RETURN NEW;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER check_before_insert_or_update_high_watermarks BEFORE INSERT OR UPDATE ON metadata
    FOR EACH ROW EXECUTE FUNCTION check_high_watermarks();

-- A low watermark stands at or below the high one.
CREATE FUNCTION check_low_watermarks() RETURNS trigger AS $$
DECLARE
    high_slot numeric(20);
    high_epoch numeric(20);
BEGIN
    SELECT min(high_watermark_slot), min(high_watermark_epoch) INTO high_slot, high_epoch FROM metadata;
    IF NEW.slot > high_slot THEN
        RAISE EXCEPTION 'the low watermark of slot % is above the high watermark %', NEW.slot, high_slot;
    END IF;
    IF NEW.source_epoch > high_epoch OR NEW.target_epoch > high_epoch THEN
        RAISE EXCEPTION 'the low watermark of epochs % and % is above the high watermark %',
            NEW.source_epoch, NEW.target_epoch, high_epoch;
    END IF;
    RETURN NEW;
END
$$ LANGUAGE plpgsql;
CREATE TRIGGER check_before_insert_or_update_low_watermarks BEFORE INSERT OR UPDATE ON low_watermarks
    FOR EACH ROW EXECUTE FUNCTION check_low_watermarks();
