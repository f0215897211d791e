-- What takes a draft and a hold back. No measured saga needs them; those that are refused before each measurement do.
BEGIN;
UPDATE orders SET status = 'REJECTED', reason = 'INSUFFICIENT_USABLE', canceled_qty = qty - cum_qty, version = version + 1, updated_at = clock_timestamp() WHERE order_id = lpad(to_hex(:id::bigint), 32, '0')::uuid AND status = 'INIT';
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq) VALUES (gen_random_uuid(), 'order', (lpad(to_hex(:id::bigint), 32, '0')::uuid)::text, 'OrderRejected', jsonb_build_object('type', 'OrderRejected', 'order_id', lpad(to_hex(:id::bigint), 32, '0')::uuid, 'version', 2, 'status', 'REJECTED', 'at', clock_timestamp(), 'reason', 'INSUFFICIENT_USABLE'), 2);
COMMIT;
BEGIN;
UPDATE holds SET status = 'CLOSED', released = placed, version = version + 1 WHERE hold_id = lpad(to_hex(:id::bigint), 32, '0')::uuid AND status = 'ACTIVE';
UPDATE balances SET available = available + 100, held = held - 100, available_seq = available_seq + 1, held_seq = held_seq + 1, version = version + 1 WHERE owner = 'bench-' || :customer AND asset = 'BTRY' RETURNING available, held, available_seq, held_seq \gset
INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at) VALUES (md5('release' || :id)::uuid, 'RELEASE', 'saga:' || lpad(to_hex(:id::bigint), 32, '0')::uuid, clock_timestamp());
INSERT INTO postings (tx_id, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq) VALUES (md5('release' || :id)::uuid, 1, 'bench-' || :customer, 'BTRY', 1, 100, :available_seq, :available::numeric, :available_seq::bigint + :held_seq::bigint - 1), (md5('release' || :id)::uuid, 2, 'bench-' || :customer, 'BTRY', 2, -100, :held_seq, :held::numeric, :available_seq::bigint + :held_seq::bigint);
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq) VALUES (gen_random_uuid(), 'hold', (lpad(to_hex(:id::bigint), 32, '0')::uuid)::text, 'HoldReleased', jsonb_build_object('released', '100'), 2);
COMMIT;
