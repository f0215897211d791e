-- Everything that a batch of commands changed, in one statement. Every row that existed is updated on the version it
-- was loaded with; every row that did not is inserted unless it appeared meanwhile. The counts tell whether all of
-- them were as they had been; if not, the batch is rolled back and decided again.
WITH balance_rows AS MATERIALIZED (
    SELECT * FROM unnest($1::text[], $2::text[], $3::numeric[], $4::numeric[], $5::bigint[], $6::bigint[],
                         $7::bigint[], $8::bigint[])
        AS r(owner, asset, available, held, available_seq, held_seq, version, loaded)
), balances_made AS (
    INSERT INTO balances (owner, asset, available, held, available_seq, held_seq, version)
    SELECT owner, asset, available, held, available_seq, held_seq, version FROM balance_rows WHERE loaded = 0
    ON CONFLICT DO NOTHING RETURNING 1
), balances_changed AS (
    UPDATE balances b
    SET available = r.available, held = r.held, available_seq = r.available_seq, held_seq = r.held_seq,
        version = r.version
    FROM balance_rows r
    WHERE r.loaded > 0 AND b.owner = r.owner AND b.asset = r.asset AND b.version = r.loaded
    RETURNING 1
), hold_rows AS MATERIALIZED (
    SELECT * FROM unnest($9::uuid[], $10::text[], $11::smallint[], $12::text[], $13::text[], $14::numeric[],
                         $15::numeric[], $16::numeric[], $17::numeric[], $18::numeric[], $19::integer[],
                         $20::smallint[], $21::numeric[], $22::numeric[], $23::numeric[], $24::text[],
                         $25::bigint[], $26::bigint[])
        AS r(hold_id, customer_id, side, base_asset, quote_asset, limit_price, quantity, cum_quantity, cum_notional,
             cum_fee, fee_ppm, fee_scale, placed, captured, released, status, version, loaded)
), holds_made AS (
    INSERT INTO holds (hold_id, customer_id, side, base_asset, quote_asset, limit_price, quantity, cum_quantity,
                       cum_notional, cum_fee, fee_ppm, fee_scale, placed, captured, released, status, version)
    SELECT hold_id, customer_id, side, base_asset, quote_asset, limit_price, quantity, cum_quantity, cum_notional,
           cum_fee, fee_ppm, fee_scale, placed, captured, released, status, version
    FROM hold_rows WHERE loaded = 0
    ON CONFLICT DO NOTHING RETURNING 1
), holds_changed AS (
    UPDATE holds h
    SET cum_quantity = r.cum_quantity, cum_notional = r.cum_notional, cum_fee = r.cum_fee, captured = r.captured,
        released = r.released, status = r.status, version = r.version
    FROM hold_rows r
    WHERE r.loaded > 0 AND h.hold_id = r.hold_id AND h.version = r.loaded RETURNING 1
), txs_made AS (
    INSERT INTO ledger_tx (tx_id, kind, caused_by, actor, reason, channel, external_ref, created_at)
    SELECT * FROM unnest($27::uuid[], $28::text[], $29::text[], $30::text[], $31::text[], $32::text[], $33::text[],
                         $34::timestamptz[])
    RETURNING 1
), postings_made AS (
    INSERT INTO postings (tx_id, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq)
    SELECT * FROM unnest($35::uuid[], $36::smallint[], $37::text[], $38::text[], $39::smallint[], $40::numeric[],
                         $41::bigint[], $42::numeric[], $43::bigint[])
    RETURNING 1
)
SELECT (SELECT count(*) FROM balances_made) + (SELECT count(*) FROM balances_changed) AS "balances!",
       (SELECT count(*) FROM holds_made) + (SELECT count(*) FROM holds_changed) AS "holds!",
       (SELECT count(*) FROM txs_made) AS "txs!",
       (SELECT count(*) FROM postings_made) AS "postings!"
