-- How often each key has moved between signers, as far as this record knows. Every move out counts one up, and a move in
-- must bring a higher number than the one here: so no receipt is used twice, and none that was overtaken by a later move.
CREATE TABLE key_moves (
    public_key BLOB PRIMARY KEY CHECK (length(public_key) = 48),
    moves INTEGER NOT NULL CHECK (moves > 0),
    is_here INTEGER NOT NULL CHECK (is_here IN (0, 1)) -- 1 where the last of them brought the key here
) STRICT, WITHOUT ROWID;
