-- Naive floor: create-order as five short transactions, one after another, as five calls to a database would be, with
-- the effects that the mesh has: the saga, the order, the hold, the journal, and an event for each change.
\set n :n + 1
\set customer random(:first, :last)
\set id :run * 1000000000000 + :client_id * 1000000000 + :n
INSERT INTO sagas (saga_id, kind, version, caller, request_id, request_hash, input, owner) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'create_order', 1, 'admin', lpad(to_hex(:id::bigint), 32, '0')::uuid, sha256(:id::text::bytea), jsonb_build_object('order_id', lpad(to_hex(:id::bigint), 32, '0')::uuid, 'customer_id', 'bench-' || :customer, 'client_order_id', :id::text, 'instrument', 'BENCH', 'base_asset', 'BENCH', 'quote_asset', 'BTRY', 'side', 'BUY', 'limit_price', '100', 'quantity', '1', 'created_by', 'admin'), lpad(to_hex(:id::bigint), 32, '0')::uuid);
BEGIN;
INSERT INTO orders (order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty, inflight_qty, canceled_qty, cum_notional, status, version, created_by, created_at, updated_at) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'bench-' || :customer, :id::text, 'BENCH', 'BUY', 100, 1, 0, 0, 0, 0, 'INIT', 1, 'admin', clock_timestamp(), clock_timestamp());
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq) VALUES (gen_random_uuid(), 'order', (lpad(to_hex(:id::bigint), 32, '0')::uuid)::text, 'OrderCreated', jsonb_build_object('type', 'OrderCreated', 'order_id', lpad(to_hex(:id::bigint), 32, '0')::uuid, 'version', 1, 'status', 'INIT', 'at', clock_timestamp(), 'terms', jsonb_build_object('order_id', lpad(to_hex(:id::bigint), 32, '0')::uuid, 'customer', 'bench-' || :customer, 'client_order_id', :id::text, 'instrument', 'BENCH', 'side', 'BUY', 'limit_price', '100', 'qty', '1', 'created_by', 'admin')), 1);
COMMIT;
BEGIN;
UPDATE balances SET available = available - 100, held = held + 100, available_seq = available_seq + 1, held_seq = held_seq + 1, version = version + 1 WHERE owner = 'bench-' || :customer AND asset = 'BTRY' AND available >= 100 RETURNING available, held, available_seq, held_seq \gset
INSERT INTO holds (hold_id, customer_id, side, base_asset, quote_asset, limit_price, quantity, cum_quantity, cum_notional, cum_fee, fee_ppm, fee_scale, placed, captured, released, status, version) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'bench-' || :customer, 1, 'BENCH', 'BTRY', 100, 1, 0, 0, 0, 0, 2, 100, 0, 0, 'ACTIVE', 1);
INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'HOLD', 'saga:' || lpad(to_hex(:id::bigint), 32, '0')::uuid, clock_timestamp());
INSERT INTO postings (tx_id, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 1, 'bench-' || :customer, 'BTRY', 1, -100, :available_seq, :available::numeric, :available_seq::bigint + :held_seq::bigint - 1), (lpad(to_hex(:id::bigint), 32, '0')::uuid, 2, 'bench-' || :customer, 'BTRY', 2, 100, :held_seq, :held::numeric, :available_seq::bigint + :held_seq::bigint);
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq) VALUES (gen_random_uuid(), 'hold', (lpad(to_hex(:id::bigint), 32, '0')::uuid)::text, 'HoldPlaced', jsonb_build_object('side', 'BUY', 'placed', '100', 'fee_ppm', 0, 'quantity', '1', 'fee_scale', 2, 'base_asset', 'BENCH', 'customer_id', 'bench-' || :customer, 'limit_price', '100', 'quote_asset', 'BTRY'), 1);
COMMIT;
BEGIN;
UPDATE orders SET status = 'PENDING', accept_seq = nextval('accept_seq'), version = version + 1, updated_at = clock_timestamp() WHERE order_id = lpad(to_hex(:id::bigint), 32, '0')::uuid AND status = 'INIT';
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq) VALUES (gen_random_uuid(), 'order', (lpad(to_hex(:id::bigint), 32, '0')::uuid)::text, 'OrderValidated', jsonb_build_object('type', 'OrderValidated', 'order_id', lpad(to_hex(:id::bigint), 32, '0')::uuid, 'version', 2, 'status', 'PENDING', 'at', clock_timestamp(), 'accept_seq', currval('accept_seq')), 2);
COMMIT;
UPDATE sagas SET status = 3, updated_at = clock_timestamp(), ended_at = clock_timestamp() WHERE saga_id = lpad(to_hex(:id::bigint), 32, '0')::uuid AND ended_at IS NULL;
