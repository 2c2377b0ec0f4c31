-- While an import is not complete: up to here nothing is signed that is not on record. held_by is the SHA-256 of the
-- document; only its last part lifts the hold, so that one that was stopped half-way refuses more, never less.
ALTER TABLE validators ADD COLUMN held_source INTEGER;
ALTER TABLE validators ADD COLUMN held_target INTEGER;
ALTER TABLE validators ADD COLUMN held_slot INTEGER;
ALTER TABLE validators ADD COLUMN held_by BLOB CHECK (held_by IS NULL OR length(held_by) = 32);
