-- Plain ordered SQL: every effect of placing an order in one transaction, whose one row lock is the hot account's. pgbench
-- runs it; `:run` and `:client_id` make ids that nobody else has.
\set n :n + 1
\set id :run * 1000000000000 + :client_id * 1000000000 + :n
BEGIN;
INSERT INTO saga (saga_id, caller, request_id, kind, input, status) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'admin', lpad(to_hex(:id::bigint), 32, '0')::uuid, 'create_order', jsonb_build_object('customer', 0, 'instrument', 'SHARE', 'limit_price', '100', 'quantity', '1'), 1);
INSERT INTO orders (order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty, status, version) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'hot', :id::text, 'SHARE', 'BUY', 100, 1, 0, 'INIT', 1);
UPDATE balances SET available = available - 100, held = held + 100, version = version + 1 WHERE owner = 'hot' AND asset = 'MONEY' AND available >= 100;
INSERT INTO holds (hold_id, customer_id, asset, placed, captured, released, status) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'hot', 'MONEY', 100, 0, 0, 'ACTIVE');
INSERT INTO postings (tx_id, line, owner, asset, kind, amount, balance_after) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 1, 'hot', 'MONEY', 1, -100, 0), (lpad(to_hex(:id::bigint), 32, '0')::uuid, 2, 'hot', 'MONEY', 2, 100, 0);
UPDATE orders SET status = 'PENDING', version = version + 1, updated_at = clock_timestamp() WHERE order_id = lpad(to_hex(:id::bigint), 32, '0')::uuid AND status = 'INIT';
UPDATE saga SET status = 3, ended_at = clock_timestamp() WHERE saga_id = lpad(to_hex(:id::bigint), 32, '0')::uuid AND status = 1;
COMMIT;
