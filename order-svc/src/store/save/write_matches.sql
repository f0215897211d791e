-- New matches are inserted, known ones moved to their next state. Gives how many rows were written.
WITH changed AS (
  SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::numeric[], $6::numeric[],
      $7::text[], $8::timestamptz[], $9::timestamptz[], $10::text[])
  AS u (trade_id, instrument, buy_order_id, sell_order_id, quantity, price, state, created_at,
      updated_at, stored_state)),
inserted AS (
  INSERT INTO matches (trade_id, instrument, buy_order_id, sell_order_id, quantity, price, state,
      created_at, updated_at)
  SELECT trade_id, instrument, buy_order_id, sell_order_id, quantity, price, state, created_at,
      updated_at
  FROM changed WHERE stored_state = ''
  ON CONFLICT DO NOTHING RETURNING 1),
moved AS (
  UPDATE matches m SET state = u.state, updated_at = u.updated_at
  FROM changed u
  WHERE m.trade_id = ANY($1) AND u.stored_state <> '' AND m.trade_id = u.trade_id AND m.state = u.stored_state
  RETURNING 1)
SELECT (SELECT count(*) FROM inserted) + (SELECT count(*) FROM moved) AS "written!"
