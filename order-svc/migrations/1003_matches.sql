-- One row per match saga that reserved: RESERVED, then APPLIED (there is a trade) or RELEASED (there is none).
CREATE TABLE matches (
    trade_id      uuid          NOT NULL,
    instrument    text          NOT NULL,
    buy_order_id  uuid          NOT NULL,
    sell_order_id uuid          NOT NULL,
    quantity      numeric(26,8) NOT NULL,
    price         numeric(26,8) NOT NULL,
    state         text          NOT NULL,
    created_at    timestamptz   NOT NULL,
    updated_at    timestamptz   NOT NULL,
    CONSTRAINT matches_pkey PRIMARY KEY (trade_id),
    CONSTRAINT matches_state_known CHECK (state IN ('RESERVED', 'APPLIED', 'RELEASED')),
    CONSTRAINT matches_two_orders CHECK (buy_order_id <> sell_order_id),
    CONSTRAINT matches_amounts_positive CHECK (quantity > 0 AND price > 0)
) WITH (fillfactor = 70);

-- Trades in effect. Append-only; the tape, and the fills of both orders.
CREATE TABLE trades (
    trade_id         uuid          NOT NULL,
    instrument       text          NOT NULL,
    trade_seq        bigint        NOT NULL,
    buy_order_id     uuid          NOT NULL,
    sell_order_id    uuid          NOT NULL,
    buy_customer_id  text          NOT NULL,
    sell_customer_id text          NOT NULL,
    quantity         numeric(26,8) NOT NULL,
    price            numeric(26,8) NOT NULL,
    -- The side with the higher accept_seq.
    aggressor        text          NOT NULL,
    created_at       timestamptz   NOT NULL,
    CONSTRAINT trades_pkey PRIMARY KEY (trade_id),
    CONSTRAINT trades_seq_unique UNIQUE (instrument, trade_seq),
    CONSTRAINT trades_aggressor_known CHECK (aggressor IN ('BUY', 'SELL')),
    CONSTRAINT trades_two_owners CHECK (buy_customer_id <> sell_customer_id),
    CONSTRAINT trades_amounts_positive CHECK (quantity > 0 AND price > 0)
);

CREATE INDEX trades_created ON trades (created_at, trade_id);
CREATE INDEX trades_buy_order ON trades (buy_order_id);
CREATE INDEX trades_sell_order ON trades (sell_order_id);
CREATE INDEX trades_buy_customer ON trades (buy_customer_id, created_at);
CREATE INDEX trades_sell_customer ON trades (sell_customer_id, created_at);

CREATE FUNCTION trades_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'trades is append-only';
END $$;

CREATE TRIGGER trades_append_only BEFORE UPDATE OR DELETE ON trades
    FOR EACH ROW EXECUTE FUNCTION trades_append_only();
