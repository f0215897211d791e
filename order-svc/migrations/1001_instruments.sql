-- What can be traded, as data, and the two counters that the instrument's row lock protects.
CREATE TABLE instruments (
    symbol     text        NOT NULL,
    -- brokerage_types::Instrument; amounts are canonical decimal strings.
    definition jsonb       NOT NULL,
    -- Grows with every change of the definition.
    version    bigint      NOT NULL,
    -- The last priority given out.
    accept_seq bigint      NOT NULL DEFAULT 0,
    -- The last trade's number.
    trade_seq  bigint      NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT instruments_pkey PRIMARY KEY (symbol),
    CONSTRAINT instruments_definition_has_its_symbol CHECK (definition ->> 'symbol' = symbol),
    CONSTRAINT instruments_version_positive CHECK (version > 0),
    CONSTRAINT instruments_counters_not_negative CHECK (accept_seq >= 0 AND trade_seq >= 0)
) WITH (fillfactor = 50);
