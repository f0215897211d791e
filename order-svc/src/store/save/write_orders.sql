-- New orders are inserted, changed ones updated (O-4: only if they are as they were read), and the counters of their
-- instruments set, in one statement. Gives how many rows were written; fewer than asked: somebody was faster.
WITH changed AS (
  SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::numeric[],
      $7::numeric[], $8::numeric[], $9::numeric[], $10::numeric[], $11::numeric[], $12::bigint[],
      $13::uuid[], $14::text[], $15::text[], $16::text[], $17::bigint[], $18::text[],
      $19::timestamptz[], $20::timestamptz[], $21::bigint[])
  AS u (order_id, customer_id, client_order_id, instrument, side, limit_price, qty, cum_qty,
      inflight_qty, canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status, reason,
      version, created_by, created_at, updated_at, stored_version)),
inserted AS (
  INSERT INTO orders (order_id, customer_id, client_order_id, instrument, side, limit_price, qty,
      cum_qty, inflight_qty, canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status,
      reason, version, created_by, created_at, updated_at)
  SELECT order_id, customer_id, client_order_id, instrument, side, limit_price, qty,
      cum_qty, inflight_qty, canceled_qty, cum_notional, accept_seq, cancel_saga, cancel_found, status,
      reason, version, created_by, created_at, updated_at
  FROM changed WHERE stored_version = 0
  ON CONFLICT DO NOTHING RETURNING 1),
updated AS (
  UPDATE orders o SET cum_qty = u.cum_qty, inflight_qty = u.inflight_qty,
      canceled_qty = u.canceled_qty, cum_notional = u.cum_notional, accept_seq = u.accept_seq,
      cancel_saga = u.cancel_saga, cancel_found = u.cancel_found, status = u.status,
      reason = u.reason, version = u.version, updated_at = u.updated_at
  FROM changed u
  WHERE u.stored_version > 0 AND o.order_id = u.order_id AND o.version = u.stored_version
  RETURNING 1),
counted AS (
  UPDATE instruments i SET accept_seq = u.accept_seq, trade_seq = u.trade_seq
  FROM UNNEST($22::text[], $23::bigint[], $24::bigint[]) AS u (symbol, accept_seq, trade_seq)
  WHERE i.symbol = ANY($22) AND i.symbol = u.symbol AND i.accept_seq <= u.accept_seq AND i.trade_seq <= u.trade_seq
  RETURNING 1)
SELECT (SELECT count(*) FROM inserted) + (SELECT count(*) FROM updated)
     + (SELECT count(*) FROM counted) AS "written!"
