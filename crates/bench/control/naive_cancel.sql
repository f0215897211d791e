-- Naive floor: cancel-order as five short transactions and a read, with the effects that the mesh has: the saga and its
-- request, the order, the hold, the balance, the journal, and an event for each change. The order is `:order` of
-- `:customer`.
BEGIN;
INSERT INTO sagas (saga_id, kind, version, caller, request_id, request_hash, input, owner, order_id, conflict_key) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'cancel_order', 1, 'admin', lpad(to_hex(:id::bigint), 32, '0')::uuid, sha256(:id::text::bytea), jsonb_build_object('order_id', lpad(to_hex(:order::bigint), 32, '0')::uuid, 'requested_by', 'admin'), lpad(to_hex(:id::bigint), 32, '0')::uuid, lpad(to_hex(:order::bigint), 32, '0')::uuid, 'cancel:' || lpad(to_hex(:order::bigint), 32, '0')::uuid);
INSERT INTO saga_requests (caller, kind, request_id, request_hash, saga_id) VALUES ('admin', 'cancel_order', lpad(to_hex(:id::bigint), 32, '0')::uuid, sha256(:id::text::bytea), lpad(to_hex(:id::bigint), 32, '0')::uuid);
COMMIT;
BEGIN;
UPDATE orders SET status = 'CANCEL_REQUESTED', cancel_saga = lpad(to_hex(:id::bigint), 32, '0')::uuid, cancel_found = 'PENDING', version = version + 1, updated_at = clock_timestamp() WHERE order_id = lpad(to_hex(:order::bigint), 32, '0')::uuid AND status = 'PENDING';
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq) VALUES (gen_random_uuid(), 'order', (lpad(to_hex(:order::bigint), 32, '0')::uuid)::text, 'OrderCancelRequested', jsonb_build_object('type', 'OrderCancelRequested', 'order_id', lpad(to_hex(:order::bigint), 32, '0')::uuid, 'version', 3, 'status', 'CANCEL_REQUESTED', 'at', clock_timestamp(), 'saga_id', lpad(to_hex(:id::bigint), 32, '0')::uuid, 'found', 'PENDING', 'requested_by', 'admin'), 3);
COMMIT;
SELECT status, inflight_qty FROM orders WHERE order_id = lpad(to_hex(:order::bigint), 32, '0')::uuid;
BEGIN;
UPDATE holds SET released = placed - captured, status = 'CLOSED', version = version + 1 WHERE hold_id = lpad(to_hex(:order::bigint), 32, '0')::uuid AND status = 'ACTIVE';
UPDATE balances SET available = available + 100, held = held - 100, available_seq = available_seq + 1, held_seq = held_seq + 1, version = version + 1 WHERE owner = 'bench-' || :customer AND asset = 'BTRY' AND held >= 100 RETURNING available, held, available_seq, held_seq \gset
INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 'RELEASE', 'saga:' || lpad(to_hex(:id::bigint), 32, '0')::uuid, clock_timestamp());
INSERT INTO postings (tx_id, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq) VALUES (lpad(to_hex(:id::bigint), 32, '0')::uuid, 1, 'bench-' || :customer, 'BTRY', 2, -100, :held_seq, :held::numeric, :available_seq::bigint + :held_seq::bigint - 1), (lpad(to_hex(:id::bigint), 32, '0')::uuid, 2, 'bench-' || :customer, 'BTRY', 1, 100, :available_seq, :available::numeric, :available_seq::bigint + :held_seq::bigint);
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq) VALUES (gen_random_uuid(), 'hold', (lpad(to_hex(:order::bigint), 32, '0')::uuid)::text, 'HoldReleased', jsonb_build_object('released', '100', 'reason', NULL), 2);
COMMIT;
BEGIN;
UPDATE orders SET status = 'CANCELED', canceled_qty = qty - cum_qty, reason = 'CANCEL_ASKED', version = version + 1, updated_at = clock_timestamp() WHERE order_id = lpad(to_hex(:order::bigint), 32, '0')::uuid AND status = 'CANCEL_REQUESTED' AND inflight_qty = 0;
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq) VALUES (gen_random_uuid(), 'order', (lpad(to_hex(:order::bigint), 32, '0')::uuid)::text, 'OrderCanceled', jsonb_build_object('type', 'OrderCanceled', 'order_id', lpad(to_hex(:order::bigint), 32, '0')::uuid, 'version', 4, 'status', 'CANCELED', 'at', clock_timestamp(), 'reason', 'CANCEL_ASKED'), 4);
COMMIT;
UPDATE sagas SET status = 3, updated_at = clock_timestamp(), ended_at = clock_timestamp() WHERE saga_id = lpad(to_hex(:id::bigint), 32, '0')::uuid AND ended_at IS NULL;
