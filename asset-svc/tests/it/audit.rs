//! What must be true of the ledger's tables at any time (A1 to A5, A9, A10), proved by SQL alone.

use sqlx::PgPool;

/// (claim, a query that finds what breaks it)
const CLAIMS: &[(&str, &str)] = &[
    (
        "every journal transaction sums to zero per asset",
        "SELECT tx_id::text FROM postings GROUP BY tx_id, asset HAVING sum(amount) <> 0",
    ),
    ("every asset sums to zero over all accounts", "SELECT asset FROM postings GROUP BY asset HAVING sum(amount) <> 0"),
    (
        "what came from outside is deposits less withdrawals",
        "SELECT p.asset FROM postings p JOIN ledger_tx t USING (tx_id)
         WHERE p.kind = 7 AND t.kind NOT IN ('DEPOSIT', 'WITHDRAW')",
    ),
    (
        "every balance is the sum of its postings and its last running balance",
        "SELECT b.owner || ' ' || b.asset FROM balances b
         LEFT JOIN LATERAL (
             SELECT coalesce(sum(amount) FILTER (WHERE kind = 1), 0) AS a, coalesce(sum(amount) FILTER (WHERE kind = 2), 0) AS h
             FROM postings p WHERE p.owner = b.owner AND p.asset = b.asset) s ON true
         LEFT JOIN LATERAL (SELECT balance_after FROM postings p
             WHERE p.owner = b.owner AND p.asset = b.asset AND p.kind = 1 ORDER BY account_seq DESC LIMIT 1) la ON true
         LEFT JOIN LATERAL (SELECT balance_after FROM postings p
             WHERE p.owner = b.owner AND p.asset = b.asset AND p.kind = 2 ORDER BY account_seq DESC LIMIT 1) lh ON true
         WHERE b.available <> s.a OR b.held <> s.h OR b.available <> coalesce(la.balance_after, 0)
            OR b.held <> coalesce(lh.balance_after, 0)",
    ),
    (
        "every running balance follows from the one before, without gaps",
        "SELECT owner || ' ' || asset || ' ' || account_seq FROM (
             SELECT *, row_number() OVER w AS nth, sum(amount) OVER w AS running FROM postings WHERE kind IN (1, 2)
             WINDOW w AS (PARTITION BY owner, asset, kind ORDER BY account_seq)) p
         WHERE nth <> account_seq OR running <> balance_after",
    ),
    (
        "a statement has a place for every posting",
        "SELECT owner || ' ' || asset FROM postings WHERE kind IN (1, 2)
         GROUP BY owner, asset HAVING count(*) <> max(statement_seq) OR count(*) <> count(DISTINCT statement_seq)",
    ),
    ("nothing is negative", "SELECT owner FROM balances WHERE available < 0 OR held < 0"),
    (
        "what is held is what active holds have left",
        "SELECT coalesce(b.owner, h.customer_id) FROM (
             SELECT customer_id, CASE side WHEN 1 THEN quote_asset ELSE base_asset END AS asset,
                    sum(placed - captured - released) AS remaining FROM holds GROUP BY 1, 2) h
         FULL JOIN balances b ON b.owner = h.customer_id AND b.asset = h.asset
         WHERE coalesce(h.remaining, 0) <> coalesce(b.held, 0)",
    ),
    (
        "fees charged are fees posted",
        "SELECT f.asset FROM (
             SELECT quote_asset AS asset, sum(cum_fee) AS charged FROM holds GROUP BY 1) f
         LEFT JOIN (SELECT asset, sum(amount) AS posted FROM postings p JOIN ledger_tx t USING (tx_id)
                    WHERE p.kind = 3 AND t.kind = 'SETTLE' GROUP BY 1) p USING (asset)
         WHERE f.charged <> coalesce(p.posted, 0)",
    ),
    (
        "every change of a hold has one event",
        "SELECT h.hold_id::text FROM holds h
         WHERE h.version <> (SELECT count(*) FROM outbox o
             WHERE o.aggregatetype = 'hold' AND o.aggregateid = h.hold_id::text)",
    ),
];

/// Proves every claim, or names the first that does not hold and whom it fails for.
pub async fn audit(pool: &PgPool) {
    for (claim, query) in CLAIMS {
        let broken: Vec<String> = sqlx::query_scalar(*query).fetch_all(pool).await.unwrap();
        assert!(broken.is_empty(), "not true that {claim}: {broken:?}");
    }
}
