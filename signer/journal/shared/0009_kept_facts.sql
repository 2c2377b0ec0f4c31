-- What decisions were made of, where a namespace keeps it (signer/policy/kept_facts.py): one row beside an entry of an
-- instance's audit log, which has the SHA-256 of the body. The log is named by its schema.
CREATE TABLE holdfast.policy_facts (
    log text NOT NULL DEFAULT current_schema(),
    audit_index bigint NOT NULL CHECK (audit_index >= 0),
    time_ms bigint NOT NULL CHECK (time_ms >= 0), -- milliseconds since 1970, as the entry has it
    public_key bytea NOT NULL,
    code text NOT NULL, -- why it was not signed; empty where it was
    body bytea NOT NULL,
    PRIMARY KEY (log, audit_index)
);

CREATE INDEX policy_facts_by_time ON holdfast.policy_facts (time_ms, log, audit_index);
