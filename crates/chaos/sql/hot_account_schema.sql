-- What one transaction with the effects of placing an order needs. No inbox, no outbox, no history: it does less than the
-- mesh, so the ratio is on the safe side.
CREATE TABLE saga (
    saga_id    uuid        NOT NULL PRIMARY KEY,
    caller     text        NOT NULL,
    request_id uuid        NOT NULL,
    kind       text        NOT NULL,
    input      jsonb       NOT NULL,
    status     smallint    NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at   timestamptz,
    UNIQUE (caller, kind, request_id)
) WITH (fillfactor = 50);

CREATE TABLE orders (
    order_id        uuid           NOT NULL PRIMARY KEY,
    customer_id     text           NOT NULL,
    client_order_id text           NOT NULL,
    instrument      text           NOT NULL,
    side            text           NOT NULL,
    limit_price     numeric(26, 8) NOT NULL,
    qty             numeric(26, 8) NOT NULL,
    cum_qty         numeric(26, 8) NOT NULL,
    status          text           NOT NULL,
    version         bigint         NOT NULL,
    created_at      timestamptz    NOT NULL DEFAULT clock_timestamp(),
    updated_at      timestamptz    NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (customer_id, client_order_id)
) WITH (fillfactor = 50);

CREATE TABLE balances (
    owner     text           NOT NULL,
    asset     text           NOT NULL,
    available numeric(26, 8) NOT NULL CHECK (available >= 0),
    held      numeric(26, 8) NOT NULL CHECK (held >= 0),
    version   bigint         NOT NULL,
    PRIMARY KEY (owner, asset)
) WITH (fillfactor = 50);

CREATE TABLE holds (
    hold_id     uuid           NOT NULL PRIMARY KEY,
    customer_id text           NOT NULL,
    asset       text           NOT NULL,
    placed      numeric(26, 8) NOT NULL,
    captured    numeric(26, 8) NOT NULL,
    released    numeric(26, 8) NOT NULL,
    status      text           NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE postings (
    tx_id   uuid           NOT NULL,
    line    smallint       NOT NULL,
    owner   text           NOT NULL,
    asset   text           NOT NULL,
    kind    smallint       NOT NULL,
    amount  numeric(26, 8) NOT NULL,
    balance_after numeric(26, 8) NOT NULL,
    PRIMARY KEY (tx_id, line)
);

-- The one account.
INSERT INTO balances VALUES ('hot', 'MONEY', 1000000000000, 0, 1);
