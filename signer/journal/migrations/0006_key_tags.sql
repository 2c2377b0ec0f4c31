-- Names that operators give to keys. A frozen tag keeps every key that bears it from signing, judged inside every commit.
CREATE TABLE key_tags (
    public_key BLOB NOT NULL CHECK (length(public_key) = 48),
    tag TEXT NOT NULL CHECK (length(tag) BETWEEN 1 AND 64 AND tag NOT GLOB '*[^-a-z0-9_.:]*'),
    PRIMARY KEY (public_key, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_of_tag ON key_tags (tag);

CREATE TABLE frozen_tags (
    tag TEXT PRIMARY KEY CHECK (length(tag) BETWEEN 1 AND 64 AND tag NOT GLOB '*[^-a-z0-9_.:]*'),
    frozen_ms INTEGER NOT NULL -- milliseconds since 1970
) STRICT, WITHOUT ROWID;
