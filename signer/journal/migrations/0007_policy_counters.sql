-- What policies have spent: one row for each bucket of a counter's sliding window (signer/policy/windows.py).
CREATE TABLE policy_counters (
    policy TEXT NOT NULL CHECK (length(policy) BETWEEN 1 AND 128),
    counter TEXT NOT NULL CHECK (length(counter) BETWEEN 1 AND 128),
    window_seconds INTEGER NOT NULL CHECK (window_seconds >= 0), -- 0: for good
    begins INTEGER NOT NULL CHECK (begins >= 0), -- seconds since 1970; 0 where the window is for good
    ends INTEGER CHECK (ends > begins), -- from then on it counts no more
    amount TEXT NOT NULL CHECK (length(amount) BETWEEN 1 AND 78 AND amount NOT GLOB '*[^0-9]*'), -- decimal, 256 bits
    PRIMARY KEY (policy, counter, window_seconds, begins)
) STRICT, WITHOUT ROWID;

CREATE INDEX policy_counters_by_end ON policy_counters (ends) WHERE ends IS NOT NULL;
