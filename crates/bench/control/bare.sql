-- Bare floor: the naive floor without events, journal heads, histories and lists.
\set n :n + 1
\set customer random(:first, :last)
\set id :run * 1000000000000 + :client_id * 1000000000 + :n
INSERT INTO bare.saga (saga_id, caller, request_id, kind, input, status) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'admin', lpad(to_hex(:id::bigint), 32, '0')::uuid, 'create_order', jsonb_build_object('customer', :customer::bigint, 'instrument', 'BENCH', 'limit_price', '100', 'quantity', '1'), 1);
INSERT INTO bare.orders (order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty, status, version) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'bench-' || :customer, :id::text, 'BENCH', 'BUY', 100, 1, 0, 'INIT', 1);
BEGIN;
UPDATE bare.balances SET available = available - 100, held = held + 100, version = version + 1 WHERE owner = 'bench-' || :customer AND asset = 'BTRY' AND available >= 100;
INSERT INTO bare.holds (hold_id, customer_id, asset, placed, captured, released, status) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'bench-' || :customer, 'BTRY', 100, 0, 0, 'ACTIVE');
INSERT INTO bare.postings (tx_id, line, owner, asset, kind, amount, balance_after) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 1, 'bench-' || :customer, 'BTRY', 1, -100, 0), (lpad(to_hex(:id::bigint), 32, '0')::uuid, 2, 'bench-' || :customer, 'BTRY', 2, 100, 0);
COMMIT;
UPDATE bare.orders SET status = 'PENDING', version = version + 1, updated_at = clock_timestamp() WHERE order_id = lpad(to_hex(:id::bigint), 32, '0')::uuid AND status = 'INIT';
UPDATE bare.saga SET status = 3, ended_at = clock_timestamp() WHERE saga_id = lpad(to_hex(:id::bigint), 32, '0')::uuid AND status = 1;
