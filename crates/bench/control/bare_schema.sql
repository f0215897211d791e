-- The tables of the bare floor: the least that five short transactions could do. No outbox, no journal head, no history,
-- no lists: it does much less than the mesh.
CREATE SCHEMA bare;
SET search_path = bare;
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

-- As many rows as the mesh has before its first measurement.
INSERT INTO balances
SELECT 'bench-' || n, 'BTRY', 1000000000000, 0, 1 FROM generate_series(0, :customers - 1) n;

INSERT INTO orders
SELECT gen_random_uuid(), 'bench-' || n, 'preload', 'BENCH', 'BUY', 100, 1, 0, 'PENDING', 2
FROM generate_series(0, :customers - 1) n;

INSERT INTO saga
SELECT order_id, 'preload', gen_random_uuid(), 'create_order', '{}', 3, clock_timestamp(), clock_timestamp() FROM orders;

INSERT INTO holds SELECT order_id, customer_id, 'BTRY', 100, 0, 0, 'ACTIVE' FROM orders;

INSERT INTO postings
SELECT order_id, line, customer_id, 'BTRY', line, CASE line WHEN 1 THEN -100 ELSE 100 END, 100
FROM orders, generate_series(1, 2) line;

SET search_path = public;
