-- Requests that wait for people (signer/approvals/), and what they said. Times: milliseconds since 1970.
-- A request is changed under its row's lock.
CREATE TABLE holdfast.approvals (
    approval_id bytea PRIMARY KEY CHECK (length(approval_id) = 16),
    kind text NOT NULL CHECK (kind IN ('signature', 'policy_change')),
    request_hash bytea NOT NULL CHECK (length(request_hash) = 32),
    policies_hash bytea NOT NULL CHECK (length(policies_hash) = 32),
    requester text NOT NULL,
    demands text NOT NULL, -- JSON
    opened_ms bigint NOT NULL CHECK (opened_ms >= 0),
    expires_ms bigint NOT NULL CHECK (expires_ms > opened_ms),
    subject text NOT NULL,
    public_key bytea NOT NULL,
    signing_root bytea NOT NULL,
    facts bytea NOT NULL, -- JSON: what approvers are shown
    sealed bytea NOT NULL, -- the request, under the data key of the vault of the signer that was asked
    ending text CHECK (ending IN ('spent', 'denied', 'cancelled', 'expired', 'void')),
    ended_ms bigint,
    ended_by text NOT NULL DEFAULT '',
    collections integer NOT NULL DEFAULT 0 CHECK (collections BETWEEN 0 AND 2),
    CHECK ((ending IS NULL) = (ended_ms IS NULL)),
    CHECK ((collections > 0) = coalesce(ending = 'spent', false))
);

CREATE UNIQUE INDEX approvals_open ON holdfast.approvals (request_hash) WHERE ending IS NULL;
CREATE INDEX approvals_by_hash ON holdfast.approvals (request_hash, opened_ms);
CREATE INDEX approvals_waiting ON holdfast.approvals (requester) WHERE ending IS NULL;
CREATE INDEX approvals_by_time ON holdfast.approvals (opened_ms);
CREATE INDEX approvals_by_expiry ON holdfast.approvals (expires_ms) WHERE ending IS NULL;
CREATE INDEX approvals_by_end ON holdfast.approvals (ended_ms) WHERE ended_ms IS NOT NULL;

CREATE TABLE holdfast.approval_votes (
    approval_id bytea NOT NULL REFERENCES holdfast.approvals (approval_id),
    approver text NOT NULL,
    groups bytea NOT NULL, -- JSON
    approves integer NOT NULL CHECK (approves IN (0, 1)),
    cast_ms bigint NOT NULL CHECK (cast_ms >= 0),
    signed bytea NOT NULL, -- JSON: the approver's own signature; empty where there is none
    PRIMARY KEY (approval_id, approver)
);
