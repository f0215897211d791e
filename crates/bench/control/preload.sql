-- As many rows in the floors' tables as the mesh has before its first measurement. The tables are the mesh's own: the
-- migrations of all three services in one database. What the floors leave out: the inbox, the saga log, the check that
-- the customer is not frozen, and authorisation. Sequences number the accepted orders and the trades, because
-- counters in the instrument's row would make the transactions of all clients wait for each other.
CREATE SEQUENCE accept_seq;
CREATE SEQUENCE trade_seq;

INSERT INTO customers (customer_id, name, tier, state, version)
SELECT 'bench-' || n, 'bench-' || n, 'STANDARD', 'ACTIVE', 1 FROM generate_series(0, :customers - 1) n;

INSERT INTO balances (owner, asset, available, held, available_seq, held_seq, version)
SELECT 'bench-' || n, asset, 1000000000, 0, 1, 1, 1
FROM generate_series(0, :customers - 1) n, unnest(ARRAY['BTRY', 'BENCH']) asset;

INSERT INTO orders (order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty, inflight_qty,
                    canceled_qty, cum_notional, accept_seq, status, version, created_by, created_at, updated_at)
SELECT gen_random_uuid(), 'bench-' || n, 'preload', 'BENCH', 'BUY', 100, 1, 0, 0, 0, 0, nextval('accept_seq'),
       'PENDING', 2, 'admin', clock_timestamp(), clock_timestamp()
FROM generate_series(0, :customers - 1) n;

INSERT INTO sagas (saga_id, kind, version, status, caller, request_id, request_hash, input, owner, ended_at)
SELECT order_id, 'create_order', 1, 3, 'preload', order_id, '', '{}', order_id, clock_timestamp() FROM orders;

INSERT INTO holds (hold_id, customer_id, side, base_asset, quote_asset, limit_price, quantity, cum_quantity,
                   cum_notional, cum_fee, fee_ppm, fee_scale, placed, captured, released, status, version)
SELECT order_id, customer_id, 1, 'BENCH', 'BTRY', 100, 1, 0, 0, 0, 0, 2, 100, 0, 0, 'ACTIVE', 1 FROM orders;

INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at)
SELECT order_id, 'HOLD', 'saga:' || order_id, clock_timestamp() FROM orders;

INSERT INTO postings (tx_id, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq)
SELECT order_id, line, customer_id, 'BTRY', line, CASE line WHEN 1 THEN -100 ELSE 100 END, 1, 100, line
FROM orders, generate_series(1, 2) line;

INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq)
SELECT gen_random_uuid(), 'order', order_id::text, 'OrderCreated', '{}', seq FROM orders, generate_series(1, 2) seq;
