-- Finished create sagas, and what their drivers noted.
INSERT INTO sagas (saga_id, kind, version, status, caller, request_id, request_hash, input, owner, created_at, updated_at,
                   ended_at)
SELECT id, 'create_order', 1, 3, 'admin', pg_temp.number(at, 'request ' || n), sha256(n::text::bytea),
       jsonb_build_object('order_id', id, 'customer_id', customer, 'client_order_id', id, 'instrument', 'BENCH',
                          'base_asset', 'BENCH', 'quote_asset', 'BTRY', 'side', 'BUY', 'limit_price', '100',
                          'quantity', '1', 'created_by', 'admin'),
       (SELECT owner FROM owners ORDER BY started_at DESC LIMIT 1), at, at + interval '30 ms', at + interval '30 ms'
FROM pg_temp.sagas(:first, :count);

INSERT INTO saga_log (saga_id, epoch, seq, entries)
SELECT id, 1, 1, jsonb_build_array(
           jsonb_build_object('at', pg_temp.said(at + interval '9 ms'), 'step', 0, 'reply', 'DONE'),
           jsonb_build_object('at', pg_temp.said(at + interval '9 ms'), 'step', 1, 'reply', 'DONE'),
           jsonb_build_object('at', pg_temp.said(at + interval '14 ms'), 'step', 2, 'reply', 'DONE'))
FROM pg_temp.sagas(:first, :count);
