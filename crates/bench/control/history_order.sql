-- Orders that came to market and are still there, their events, and the verdicts on both steps.
INSERT INTO orders (order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty, inflight_qty,
                    canceled_qty, cum_notional, accept_seq, status, version, created_by, created_at, updated_at)
SELECT id, customer, id::text, 'BENCH', 'BUY', 100, 1, 0, 0, 0, 0,
       (SELECT accept_seq FROM instruments WHERE symbol = 'BENCH') + n - :first + 1,
       'PENDING', 2, 'admin', at, at + interval '10 ms'
FROM pg_temp.sagas(:first, :count);

INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq, created_at, traceparent)
SELECT pg_temp.number(at, 'created ' || n), 'order', id::text, 'OrderCreated',
       jsonb_build_object('type', 'OrderCreated', 'order_id', id, 'version', 1, 'status', 'INIT', 'at', pg_temp.said(at),
                          'terms', jsonb_build_object('order_id', id, 'customer', customer, 'client_order_id', id,
                                                      'instrument', 'BENCH', 'side', 'BUY', 'limit_price', '100',
                                                      'qty', '1', 'created_by', 'admin')),
       1, at, '00-' || md5(n::text) || '-' || left(md5(n::text), 16) || '-01'
FROM pg_temp.sagas(:first, :count)
UNION ALL
SELECT pg_temp.number(at, 'validated ' || n), 'order', id::text, 'OrderValidated',
       jsonb_build_object('type', 'OrderValidated', 'order_id', id, 'version', 2, 'status', 'PENDING',
                          'at', pg_temp.said(at + interval '10 ms'),
                          'accept_seq', (SELECT accept_seq FROM instruments WHERE symbol = 'BENCH') + n - :first + 1),
       2, at + interval '10 ms', '00-' || md5(n::text) || '-' || left(md5(n::text), 16) || '-01'
FROM pg_temp.sagas(:first, :count);

INSERT INTO inbox (saga_id, step, verdict, request_hash, epoch, command, intent, decided_at)
SELECT id, 0, 1, sha256((n || ' draft')::bytea), 1, 'Draft', pg_temp.intent(n), at FROM pg_temp.sagas(:first, :count)
UNION ALL
SELECT id, 2, 1, sha256((n || ' open')::bytea), 1, 'Open', NULL, at + interval '10 ms'
FROM pg_temp.sagas(:first, :count);

UPDATE instruments SET accept_seq = accept_seq + :count WHERE symbol = 'BENCH';
