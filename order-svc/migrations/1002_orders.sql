-- One row per order. Rules O-1 and O-2 as far as SQL can say them. No foreign keys: instruments are never deleted,
-- and the order store must be able to spread over several machines.
CREATE TABLE orders (
    order_id        uuid          NOT NULL,
    customer_id     text          NOT NULL,
    client_order_id text          NOT NULL,
    instrument      text          NOT NULL,
    side            text          NOT NULL,
    limit_price     numeric(26,8) NOT NULL,
    qty             numeric(26,8) NOT NULL,
    cum_qty         numeric(26,8) NOT NULL,
    inflight_qty    numeric(26,8) NOT NULL,
    canceled_qty    numeric(26,8) NOT NULL,
    cum_notional    numeric(26,8) NOT NULL,
    -- Priority within the instrument; null while it was never open.
    accept_seq      bigint,
    -- The cancel saga that asked last, and the status it found.
    cancel_saga     uuid,
    cancel_found    text,
    status          text          NOT NULL,
    reason          text,
    -- Also the seq of the order's last event.
    version         bigint        NOT NULL,
    created_by      text          NOT NULL,
    created_at      timestamptz   NOT NULL,
    updated_at      timestamptz   NOT NULL,
    CONSTRAINT orders_pkey PRIMARY KEY (order_id),
    CONSTRAINT orders_client_order_id_unique UNIQUE (customer_id, client_order_id),
    CONSTRAINT orders_side_known CHECK (side IN ('BUY', 'SELL')),
    CONSTRAINT orders_status_known CHECK (status IN ('INIT', 'PENDING', 'PARTIALLY_MATCHED', 'CANCEL_REQUESTED',
        'MATCHED', 'CANCELED', 'REJECTED', 'SUSPENDED')),
    CONSTRAINT orders_price_positive CHECK (limit_price > 0),
    CONSTRAINT orders_qty_positive CHECK (qty > 0),
    CONSTRAINT orders_parts_not_negative CHECK (cum_qty >= 0 AND inflight_qty >= 0 AND canceled_qty >= 0
        AND cum_notional >= 0),
    -- O-1: leaves = qty − cum − canceled is never less than what is in flight, so never negative.
    CONSTRAINT orders_inflight_within_leaves CHECK (inflight_qty <= qty - cum_qty - canceled_qty),
    -- O-2
    CONSTRAINT orders_terminal_has_no_leaves CHECK (status NOT IN ('MATCHED', 'CANCELED', 'REJECTED')
        OR (qty = cum_qty + canceled_qty AND inflight_qty = 0)),
    CONSTRAINT orders_matched_is_filled CHECK ((status = 'MATCHED') = (cum_qty = qty)),
    CONSTRAINT orders_final_refusal_has_reason CHECK (status NOT IN ('CANCELED', 'REJECTED') OR reason IS NOT NULL),
    CONSTRAINT orders_cancel_whole CHECK ((cancel_saga IS NULL) = (cancel_found IS NULL)),
    CONSTRAINT orders_cancel_requested_by_saga CHECK (status <> 'CANCEL_REQUESTED' OR cancel_saga IS NOT NULL),
    CONSTRAINT orders_live_has_priority CHECK (accept_seq IS NOT NULL OR status IN ('INIT', 'REJECTED', 'CANCELED')),
    CONSTRAINT orders_version_positive CHECK (version > 0)
) WITH (fillfactor = 50);

-- ListOrders pages by these. Neither holds a column that changes, so updates stay heap-only. The other collation keeps
-- the first one from being chosen, while the table is still empty, for the lookup of a customer's label: that plan
-- is pinned on lane connections, and would read every order of a busy customer.
CREATE INDEX orders_customer_created ON orders (customer_id COLLATE "C", created_at, order_id);
CREATE INDEX orders_created ON orders (created_at, order_id);
