-- The two guarded accounts of a customer in an asset, cached from the journal in the same transaction. Rows are
-- updated in place milliseconds after each other, hence the room on the page.
CREATE TABLE balances (
    owner         text           NOT NULL,
    asset         text           NOT NULL,
    available     numeric(26, 8) NOT NULL,
    held          numeric(26, 8) NOT NULL,
    available_seq bigint         NOT NULL,
    held_seq      bigint         NOT NULL,
    version       bigint         NOT NULL,
    PRIMARY KEY (owner, asset),
    CONSTRAINT balances_available_not_negative CHECK (available >= 0),
    CONSTRAINT balances_held_not_negative CHECK (held >= 0),
    CONSTRAINT balances_version_counts CHECK (version >= 1),
    CONSTRAINT balances_owner_is_a_customer CHECK (owner NOT IN ('house', 'external'))
) WITH (fillfactor = 50);

-- What is kept back for one order, and the authority on what was taken from it: the cumulative fee needs the rate,
-- the quantity and the notional in one place, under one lock.
CREATE TABLE holds (
    hold_id      uuid           NOT NULL PRIMARY KEY,
    customer_id  text           NOT NULL,
    -- 1 buy, 2 sell
    side         smallint       NOT NULL,
    base_asset   text           NOT NULL,
    quote_asset  text           NOT NULL,
    limit_price  numeric(26, 8) NOT NULL,
    quantity     numeric(26, 8) NOT NULL,
    cum_quantity numeric(26, 8) NOT NULL,
    cum_notional numeric(26, 8) NOT NULL,
    cum_fee      numeric(26, 8) NOT NULL,
    -- Snapshot of the tier's rate when the hold was placed, and the decimals that fees are rounded to.
    fee_ppm      integer        NOT NULL,
    fee_scale    smallint       NOT NULL,
    placed       numeric(26, 8) NOT NULL,
    captured     numeric(26, 8) NOT NULL,
    released     numeric(26, 8) NOT NULL,
    status       text           NOT NULL,
    version      bigint         NOT NULL,
    created_at   timestamptz    NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT holds_side_known CHECK (side IN (1, 2)),
    CONSTRAINT holds_status_known CHECK (status IN ('ACTIVE', 'CLOSED')),
    CONSTRAINT holds_remaining_not_negative CHECK (placed - captured - released >= 0),
    CONSTRAINT holds_closed_is_empty CHECK (status <> 'CLOSED' OR placed - captured - released = 0),
    CONSTRAINT holds_filled_within_quantity CHECK (cum_quantity BETWEEN 0 AND quantity),
    CONSTRAINT holds_amounts_not_negative
        CHECK (limit_price > 0 AND quantity > 0 AND placed > 0 AND captured >= 0 AND released >= 0
               AND cum_notional >= 0 AND cum_fee >= 0),
    CONSTRAINT holds_fee_is_a_share CHECK (fee_ppm BETWEEN 0 AND 1000000),
    CONSTRAINT holds_version_counts CHECK (version >= 1)
) WITH (fillfactor = 50);
