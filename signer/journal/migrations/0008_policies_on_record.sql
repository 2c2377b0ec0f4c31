-- Policies that were published, each by the hash of its pack; never changed, and kept for as long as a set names one.
CREATE TABLE policy_packs (
    version TEXT PRIMARY KEY CHECK (length(version) = 64 AND version NOT GLOB '*[^0-9a-f]*'), -- SHA-256 of `pack`
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    pack BLOB NOT NULL, -- signer/policy/pack.py
    signature BLOB CHECK (length(signature) = 64), -- Ed25519
    signed_by BLOB CHECK (length(signed_by) = 32),
    published_ms INTEGER NOT NULL,
    published_by TEXT NOT NULL,
    CHECK ((signature IS NULL) = (signed_by IS NULL))
) STRICT;

CREATE INDEX policy_packs_by_name ON policy_packs (name, published_ms);

-- Which policies hold, where, and who may change them: each change is another row, and the newest row holds.
CREATE TABLE policy_sets (
    revision INTEGER PRIMARY KEY CHECK (revision > 0),
    document TEXT NOT NULL, -- signer/policy/policy_set.py
    changed_ms INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    change TEXT NOT NULL -- what was ordered
) STRICT;
