-- What policies have spent, by all instances: one row for each bucket of a counter's sliding window
-- (signer/policy/windows.py). A counter is read and written under its advisory lock.
CREATE TABLE holdfast.policy_counters (
    policy text NOT NULL CHECK (length(policy) BETWEEN 1 AND 128),
    counter text NOT NULL CHECK (length(counter) BETWEEN 1 AND 128),
    window_seconds bigint NOT NULL CHECK (window_seconds >= 0), -- 0: for good
    begins bigint NOT NULL CHECK (begins >= 0), -- seconds since 1970; 0 where the window is for good
    ends bigint CHECK (ends > begins), -- from then on it counts no more
    amount text NOT NULL CHECK (amount ~ '^[0-9]{1,78}$'), -- decimal, 256 bits
    PRIMARY KEY (policy, counter, window_seconds, begins)
);

CREATE INDEX policy_counters_by_end ON holdfast.policy_counters (ends) WHERE ends IS NOT NULL;
