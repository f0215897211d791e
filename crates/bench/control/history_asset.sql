-- The holds of those orders, as the ledger has them: every account's history goes on where it was, without a gap. A
-- customer has several sagas in one script if `:count` is more than there are customers; `nth` counts them.
CREATE TEMP TABLE placed AS
SELECT s.*, row_number() OVER (PARTITION BY s.customer ORDER BY s.n) AS nth,
       b.available, b.held, b.available_seq, b.held_seq
FROM pg_temp.sagas(:first, :count) s JOIN balances b ON b.owner = s.customer AND b.asset = 'BTRY';

INSERT INTO holds (hold_id, customer_id, side, base_asset, quote_asset, limit_price, quantity, cum_quantity, cum_notional,
                   cum_fee, fee_ppm, fee_scale, placed, captured, released, status, version, created_at)
SELECT id, customer, 1, 'BENCH', 'BTRY', 100, 1, 0, 0, 0, 0, 2, 100, 0, 0, 'ACTIVE', 1, at FROM placed ORDER BY n;

INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at)
SELECT id, 'HOLD', 'saga:' || id, at FROM placed ORDER BY n;

INSERT INTO postings (tx_id, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq)
SELECT id, line, customer, 'BTRY', line, CASE line WHEN 1 THEN -100 ELSE 100 END,
       CASE line WHEN 1 THEN available_seq ELSE held_seq END + nth,
       CASE line WHEN 1 THEN available - 100 * nth ELSE held + 100 * nth END,
       available_seq + held_seq + 2 * nth - 2 + line
FROM placed, generate_series(1, 2) line ORDER BY n, line;

INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq, created_at, traceparent)
SELECT pg_temp.number(at, 'placed ' || n), 'hold', id::text, 'HoldPlaced',
       jsonb_build_object('side', 'BUY', 'placed', '100', 'fee_ppm', 0, 'quantity', '1', 'fee_scale', 2,
                          'base_asset', 'BENCH', 'customer_id', customer, 'limit_price', '100', 'quote_asset', 'BTRY'),
       1, at, '00-' || md5(n::text) || '-' || left(md5(n::text), 16) || '-01'
FROM placed ORDER BY n;

INSERT INTO inbox (saga_id, step, verdict, request_hash, epoch, command, effect, intent, decided_at)
SELECT id, 1, 1, sha256((n || ' hold')::bytea), 1, 'PlaceHold', jsonb_build_object('hold_id', id), pg_temp.intent(n), at
FROM placed ORDER BY n;

UPDATE balances b
SET available = b.available - 100 * p.count, held = b.held + 100 * p.count, available_seq = b.available_seq + p.count,
    held_seq = b.held_seq + p.count, version = b.version + p.count
FROM (SELECT customer, count(*) FROM placed GROUP BY customer) p
WHERE b.owner = p.customer AND b.asset = 'BTRY';

DROP TABLE placed;
