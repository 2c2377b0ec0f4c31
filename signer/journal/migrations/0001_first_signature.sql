-- The record of everything decided. Unsigned 64-bit slots and epochs are stored minus 2^63, which keeps their order.

CREATE TABLE identity (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    database_id BLOB NOT NULL CHECK (length(database_id) = 16),
    file_mark BLOB NOT NULL CHECK (length(file_mark) = 16) -- changes with every checkpoint: tells the file from older copies
) STRICT;

CREATE TABLE network (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    genesis_validators_root BLOB NOT NULL CHECK (length(genesis_validators_root) = 32)
) STRICT;

-- For every validator, known or not. Low: nothing at or below is signed (an accepted restore). High: nothing at or above.
CREATE TABLE watermarks (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    low_epoch INTEGER,
    low_slot INTEGER,
    high_epoch INTEGER,
    high_slot INTEGER
) STRICT;

INSERT INTO watermarks (id) VALUES (1);

-- A floor is the least vote or block still on record; below it nothing is signed (EIP-3076, conditions 2, 4, 5).
CREATE TABLE validators (
    id INTEGER PRIMARY KEY,
    public_key BLOB NOT NULL UNIQUE CHECK (length(public_key) = 48),
    floor_source INTEGER,
    floor_target INTEGER,
    floor_slot INTEGER,
    CHECK ((floor_source IS NULL) = (floor_target IS NULL))
) STRICT;

CREATE TABLE signed_attestations (
    validator_id INTEGER NOT NULL REFERENCES validators (id),
    target_epoch INTEGER NOT NULL,
    source_epoch INTEGER NOT NULL,
    signing_root BLOB CHECK (signing_root IS NULL OR length(signing_root) = 32),
    PRIMARY KEY (validator_id, target_epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE signed_blocks (
    validator_id INTEGER NOT NULL REFERENCES validators (id),
    slot INTEGER NOT NULL,
    signing_root BLOB CHECK (signing_root IS NULL OR length(signing_root) = 32),
    PRIMARY KEY (validator_id, slot)
) STRICT, WITHOUT ROWID;

-- Where the audit log in this database begins: entries before it were archived.
CREATE TABLE audit_start (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    size INTEGER NOT NULL CHECK (size >= 0),
    head BLOB NOT NULL CHECK (length(head) = 32)
) STRICT;

-- One row for each commit: its entries back to back, each behind a two-byte length, and the chain's head after them.
CREATE TABLE audit_batches (
    first_index INTEGER PRIMARY KEY CHECK (first_index >= 0),
    count INTEGER NOT NULL CHECK (count > 0),
    head BLOB NOT NULL CHECK (length(head) = 32),
    entries BLOB NOT NULL
) STRICT;
