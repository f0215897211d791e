//! Rows of asset-svc: a journal that keeps its balances, and holds with hand-computed numbers.

use std::collections::BTreeMap;

use brokerage_types::{Amount, Side};
use serde_json::json;
use sqlx::PgConnection;
use sqlx::types::Decimal;
use uuid::Uuid;

use super::world::id;

/// Owner, asset, kind of account, amount.
type Line<'a> = (&'a str, &'a str, i16, &'a str);

/// A new hold.
pub struct Placed {
    pub order: u128,
    pub customer: &'static str,
    pub side: Side,
    pub limit: &'static str,
    pub quantity: &'static str,
    pub placed: &'static str,
}

/// A trade between alice, who buys, and bob.
pub struct Deal {
    pub trade: u128,
    pub orders: (u128, u128),
    pub quantity: &'static str,
    pub notional: &'static str,
    /// Of buyer and seller.
    pub fees: (&'static str, &'static str),
}

/// What changes a hold.
#[derive(Clone, Copy)]
struct Fill<'a> {
    quantity: &'a str,
    notional: &'a str,
    fee: &'a str,
    released: &'a str,
}

/// Running balances of (owner, asset, kind), and how many postings made each.
pub struct Book {
    db: PgConnection,
    accounts: BTreeMap<(String, String, i16), (Amount, i64)>,
}

impl Book {
    pub async fn open(mut db: PgConnection) -> Self {
        sqlx::raw_sql(
            "INSERT INTO assets (asset, ledger_scale, transfer_scale) VALUES ('TRY', 6, 2), ('XYZ', 0, 0);
             INSERT INTO customers (customer_id, name, tier, state, version)
             VALUES ('alice', 'Alice', 'STANDARD', 'ACTIVE', 1), ('bob', 'Bob', 'STANDARD', 'ACTIVE', 1)",
        )
        .execute(&mut db)
        .await
        .unwrap();
        Self { db, accounts: BTreeMap::new() }
    }

    pub async fn post(&mut self, tx: u128, kind: &str, lines: &[Line<'_>]) {
        self.record(id(tx), kind, format!("saga:{}", id(tx)), lines).await;
    }

    pub async fn place(&mut self, hold: Placed) {
        let asset = if hold.side == Side::Buy { "TRY" } else { "XYZ" };
        let taken = format!("-{}", hold.placed);
        let lines = [(hold.customer, asset, 1, taken.as_str()), (hold.customer, asset, 2, hold.placed)];
        self.post(hold.order, "HOLD", &lines).await;
        sqlx::query(
            "INSERT INTO holds (hold_id, customer_id, side, base_asset, quote_asset, limit_price, quantity, cum_quantity,
                 cum_notional, cum_fee, fee_ppm, fee_scale, placed, captured, released, status, version)
             VALUES ($1, $2, $3, 'XYZ', 'TRY', $4::text::numeric, $5::text::numeric, 0, 0, 0, 1500, 2, $6::text::numeric,
                 0, 0, 'ACTIVE', 1)",
        )
        .bind(id(hold.order))
        .bind(hold.customer)
        .bind(hold.side.code())
        .bind(hold.limit)
        .bind(hold.quantity)
        .bind(hold.placed)
        .execute(&mut self.db)
        .await
        .unwrap();
    }

    pub async fn release(&mut self, order: u128, amount: &str) {
        let taken = format!("-{amount}");
        let lines = [("alice", "TRY", 2, taken.as_str()), ("alice", "TRY", 1, amount)];
        self.post(order + 1_000, "RELEASE", &lines).await;
        let nothing = Fill { quantity: "0", notional: "0", fee: "0", released: amount };
        self.update_hold(order, nothing).await;
    }

    /// All legs of a trade at 99, with what goes back to the buyer.
    pub async fn settle(&mut self, deal: Deal, improvement: &str) {
        let (notional, (buyer_fee, seller_fee)) = (deal.notional, deal.fees);
        let minus = |amount: &str| format!("-{amount}");
        let lines = [
            ("alice", "TRY", 2, minus(notional)),
            ("bob", "TRY", 1, notional.to_owned()),
            ("bob", "XYZ", 2, minus(deal.quantity)),
            ("alice", "XYZ", 1, deal.quantity.to_owned()),
            ("alice", "TRY", 2, minus(buyer_fee)),
            ("house", "TRY", 3, buyer_fee.to_owned()),
            ("bob", "TRY", 1, minus(seller_fee)),
            ("house", "TRY", 3, seller_fee.to_owned()),
            ("alice", "TRY", 2, minus(improvement)),
            ("alice", "TRY", 1, improvement.to_owned()),
        ];
        let lines: Vec<Line<'_>> = lines
            .iter()
            .map(|(owner, asset, kind, amount)| (*owner, *asset, *kind, amount.as_str()))
            .collect();
        let trade = id(deal.trade);
        self.record(trade, "SETTLE", format!("trade:{trade}"), &lines).await;
        let payload = json!({
            "trade_id": trade, "buy_hold_id": id(deal.orders.0), "sell_hold_id": id(deal.orders.1),
            "buyer_id": "alice", "seller_id": "bob", "base_asset": "XYZ", "quote_asset": "TRY",
            "quantity": deal.quantity, "price": "99", "notional": notional,
            "buyer_fee": buyer_fee, "seller_fee": seller_fee, "improvement": improvement,
        });
        sqlx::query(
            "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq)
             VALUES ($1, 'ledger_tx', $2, 'TradeSettled', $3, 1)",
        )
        .bind(Uuid::now_v7())
        .bind(trade.to_string())
        .bind(payload)
        .execute(&mut self.db)
        .await
        .unwrap();
        let bought = Fill { quantity: deal.quantity, notional, fee: buyer_fee, released: improvement };
        self.update_hold(deal.orders.0, bought).await;
        self.update_hold(deal.orders.1, Fill { fee: seller_fee, released: "0", ..bought }).await;
    }

    async fn update_hold(&mut self, order: u128, fill: Fill<'_>) {
        sqlx::query(
            "UPDATE holds SET
                 cum_quantity = cum_quantity + $2::text::numeric, cum_notional = cum_notional + $3::text::numeric,
                 cum_fee = cum_fee + $4::text::numeric, released = released + $5::text::numeric,
                 captured = captured
                     + CASE side WHEN 1 THEN $3::text::numeric + $4::text::numeric ELSE $2::text::numeric END,
                 status = CASE WHEN placed - captured - released - $5::text::numeric
                     - CASE side WHEN 1 THEN $3::text::numeric + $4::text::numeric ELSE $2::text::numeric END = 0
                     THEN 'CLOSED' ELSE 'ACTIVE' END,
                 version = version + 1
             WHERE hold_id = $1",
        )
        .bind(id(order))
        .bind(fill.quantity)
        .bind(fill.notional)
        .bind(fill.fee)
        .bind(fill.released)
        .execute(&mut self.db)
        .await
        .unwrap();
    }

    async fn record(&mut self, tx: Uuid, kind: &str, caused_by: String, lines: &[Line<'_>]) {
        sqlx::query("INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at) VALUES ($1, $2, $3, clock_timestamp())")
            .bind(tx)
            .bind(kind)
            .bind(caused_by)
            .execute(&mut self.db)
            .await
            .unwrap();
        let (mut owners, mut assets, mut kinds, mut amounts) = (vec![], vec![], vec![], vec![]);
        let (mut numbers, mut balances, mut places) = (vec![], vec![], vec![]);
        for (owner, asset, kind, amount) in lines {
            let amount = Amount::parse(amount).unwrap();
            let running = matches!(kind, 1 | 2).then(|| self.after(owner, asset, *kind, amount));
            owners.push((*owner).to_owned());
            assets.push((*asset).to_owned());
            kinds.push(*kind);
            amounts.push(amount.to_decimal());
            balances.push(running.map(|(balance, ..)| balance.to_decimal()));
            numbers.push(running.map(|(_, number, _)| number));
            places.push(running.map(|(.., place)| place));
        }
        // One statement: the trigger wants the movement as a whole.
        sqlx::query(
            "INSERT INTO postings (tx_id, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq)
             SELECT $1, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq
             FROM unnest($2::text[], $3::text[], $4::smallint[], $5::numeric[], $6::bigint[], $7::numeric[], $8::bigint[])
                  WITH ORDINALITY AS u(owner, asset, kind, amount, account_seq, balance_after, statement_seq, line)",
        )
        .bind(tx)
        .bind(owners)
        .bind(assets)
        .bind(kinds)
        .bind(amounts)
        .bind(numbers)
        .bind(balances)
        .bind(places)
        .execute(&mut self.db)
        .await
        .unwrap();
        self.write_balances().await;
    }

    fn after(&mut self, owner: &str, asset: &str, kind: i16, amount: Amount) -> (Amount, i64, i64) {
        let of = |kind: i16| (owner.to_owned(), asset.to_owned(), kind);
        let account = self.accounts.entry(of(kind)).or_default();
        *account = (account.0.checked_add(amount).unwrap(), account.1 + 1);
        let (balance, number) = *account;
        let other = self.accounts.get(&of(3 - kind)).map_or(0, |(_, number)| *number);
        (balance, number, number + other)
    }

    async fn write_balances(&mut self) {
        for ((owner, asset, kind), (balance, number)) in &self.accounts {
            let zero = (Decimal::ZERO, 0);
            let ((available, available_seq), (held, held_seq)) = if *kind == 1 {
                ((balance.to_decimal(), *number), zero)
            } else {
                (zero, (balance.to_decimal(), *number))
            };
            sqlx::query(
                "INSERT INTO balances (owner, asset, available, held, available_seq, held_seq, version)
                 VALUES ($1, $2, $3, $4, $5, $6, 1)
                 ON CONFLICT (owner, asset) DO UPDATE SET
                     available = CASE WHEN $7 = 1 THEN EXCLUDED.available ELSE balances.available END,
                     held = CASE WHEN $7 = 2 THEN EXCLUDED.held ELSE balances.held END,
                     available_seq = CASE WHEN $7 = 1 THEN EXCLUDED.available_seq ELSE balances.available_seq END,
                     held_seq = CASE WHEN $7 = 2 THEN EXCLUDED.held_seq ELSE balances.held_seq END,
                     version = balances.version + 1",
            )
            .bind(owner)
            .bind(asset)
            .bind(available)
            .bind(held)
            .bind(available_seq)
            .bind(held_seq)
            .bind(*kind)
            .execute(&mut self.db)
            .await
            .unwrap();
        }
    }
}
