-- What keeps a key from signing, judged inside every commit. A key without a row signs. Times: milliseconds since 1970.
-- The empty public key stands for every key: frozen there, nothing is signed. A deleted key's row is its tombstone.
CREATE TABLE key_states (
    public_key BLOB PRIMARY KEY CHECK (length(public_key) IN (0, 48)),
    frozen_ms INTEGER,
    disabled_ms INTEGER,
    deleted_ms INTEGER,
    quarantine_until INTEGER, -- the first epoch whose votes and blocks are signed again, minus 2^63
    CHECK (length(public_key) = 48 OR (disabled_ms IS NULL AND deleted_ms IS NULL AND quarantine_until IS NULL))
) STRICT, WITHOUT ROWID;
