-- Requests that wait for people (signer/approvals/), and what they said. Times: milliseconds since 1970.
CREATE TABLE approvals (
    approval_id BLOB NOT NULL PRIMARY KEY CHECK (length(approval_id) = 16),
    kind TEXT NOT NULL CHECK (kind IN ('signature', 'policy_change')),
    request_hash BLOB NOT NULL CHECK (length(request_hash) = 32),
    policies_hash BLOB NOT NULL CHECK (length(policies_hash) = 32),
    requester TEXT NOT NULL,
    demands TEXT NOT NULL, -- JSON
    opened_ms INTEGER NOT NULL CHECK (opened_ms >= 0),
    expires_ms INTEGER NOT NULL CHECK (expires_ms > opened_ms),
    subject TEXT NOT NULL,
    public_key BLOB NOT NULL,
    signing_root BLOB NOT NULL,
    facts BLOB NOT NULL, -- JSON: what approvers are shown
    sealed BLOB NOT NULL, -- the request, under the vault's data key
    ending TEXT CHECK (ending IN ('spent', 'denied', 'cancelled', 'expired', 'void')),
    ended_ms INTEGER,
    ended_by TEXT NOT NULL DEFAULT '',
    collections INTEGER NOT NULL DEFAULT 0 CHECK (collections BETWEEN 0 AND 2),
    CHECK ((ending IS NULL) = (ended_ms IS NULL)),
    CHECK ((collections > 0) = coalesce(ending = 'spent', false))
) STRICT;

CREATE UNIQUE INDEX approvals_open ON approvals (request_hash) WHERE ending IS NULL;
CREATE INDEX approvals_by_hash ON approvals (request_hash, opened_ms);
CREATE INDEX approvals_waiting ON approvals (requester) WHERE ending IS NULL;
CREATE INDEX approvals_by_time ON approvals (opened_ms);
CREATE INDEX approvals_by_expiry ON approvals (expires_ms) WHERE ending IS NULL;
CREATE INDEX approvals_by_end ON approvals (ended_ms) WHERE ended_ms IS NOT NULL;

CREATE TABLE approval_votes (
    approval_id BLOB NOT NULL REFERENCES approvals (approval_id),
    approver TEXT NOT NULL,
    groups BLOB NOT NULL, -- JSON
    approves INTEGER NOT NULL CHECK (approves IN (0, 1)),
    cast_ms INTEGER NOT NULL CHECK (cast_ms >= 0),
    signed BLOB NOT NULL, -- JSON: the approver's own signature; empty where there is none
    PRIMARY KEY (approval_id, approver)
) STRICT, WITHOUT ROWID;
