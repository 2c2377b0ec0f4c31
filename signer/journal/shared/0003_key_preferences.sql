-- What operators have set for single keys, for every instance. NULL: the configuration's default holds for this one.
CREATE TABLE holdfast.key_preferences (
    public_key bytea PRIMARY KEY CHECK (octet_length(public_key) = 48),
    fee_recipient bytea CHECK (octet_length(fee_recipient) = 20),
    gas_limit bigint, -- minus 2^63
    graffiti bytea CHECK (octet_length(graffiti) <= 32) -- UTF-8
);
