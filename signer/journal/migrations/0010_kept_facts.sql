-- What decisions were made of, where a namespace keeps it (signer/policy/kept_facts.py): one row beside an audit entry,
-- which has the SHA-256 of the body.
CREATE TABLE policy_facts (
    log TEXT NOT NULL DEFAULT '', -- of a shared database: whose audit log
    audit_index INTEGER NOT NULL CHECK (audit_index >= 0),
    time_ms INTEGER NOT NULL CHECK (time_ms >= 0), -- milliseconds since 1970, as the entry has it
    public_key BLOB NOT NULL,
    code TEXT NOT NULL, -- why it was not signed; empty where it was
    body BLOB NOT NULL,
    PRIMARY KEY (log, audit_index)
) STRICT;

CREATE INDEX policy_facts_by_time ON policy_facts (time_ms, log, audit_index);
