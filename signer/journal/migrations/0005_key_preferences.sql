-- What operators have set for single keys (the key manager API). NULL: the configuration's default holds for this one.
CREATE TABLE key_preferences (
    public_key BLOB PRIMARY KEY CHECK (length(public_key) = 48),
    fee_recipient BLOB CHECK (fee_recipient IS NULL OR length(fee_recipient) = 20),
    gas_limit INTEGER, -- minus 2^63
    graffiti BLOB CHECK (graffiti IS NULL OR length(graffiti) <= 32) -- UTF-8
) STRICT, WITHOUT ROWID;
