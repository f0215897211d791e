//! A8 between services: the trades of order-svc and the settlements of asset-svc are the same, trade by trade.
//!
//! A settlement without its trade is a match between its second and third step. Only a match saga in flight, with the
//! same numbers as its reservation, explains one; holds are then ahead of their orders by exactly that trade.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, anyhow};
use brokerage_types::{Amount, MoneyError, Price, Quantity, notional};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Decimal;
use uuid::Uuid;

use super::PAGE;
use super::cut::{Cut, Flights};
use super::findings::{Claim, Findings, Money};

/// The event has the numbers, the postings are the money.
const SETTLEMENTS: &str = "
    SELECT t.tx_id, t.caused_by, t.created_at,
           (e.payload ->> 'buy_hold_id')::uuid AS buy, (e.payload ->> 'sell_hold_id')::uuid AS sell,
           e.payload ->> 'buyer_id' AS buyer, e.payload ->> 'seller_id' AS seller,
           e.payload ->> 'base_asset' AS base, e.payload ->> 'quote_asset' AS quote,
           (e.payload ->> 'quantity')::numeric AS quantity, (e.payload ->> 'price')::numeric AS price,
           (e.payload ->> 'buyer_fee')::numeric AS buyer_fee, (e.payload ->> 'seller_fee')::numeric AS seller_fee,
           (e.payload ->> 'improvement')::numeric AS improvement
    FROM ledger_tx t LEFT JOIN outbox e
         ON e.aggregatetype = 'ledger_tx' AND e.aggregateid = t.tx_id::text AND e.type = 'TradeSettled'
    WHERE t.kind = 'SETTLE' AND t.tx_id > $1 ORDER BY t.tx_id LIMIT $2";

const LINES: &str = "
    SELECT tx_id, owner, asset, kind, sum(amount) AS amount FROM postings
    WHERE tx_id = ANY($1) GROUP BY tx_id, owner, asset, kind";

const TRADES: &str = "
    SELECT t.trade_id, t.buy_order_id AS buy, t.sell_order_id AS sell,
           t.buy_customer_id AS buyer, t.sell_customer_id AS seller,
           i.definition ->> 'base' AS base, i.definition ->> 'quote' AS quote, t.quantity, t.price
    FROM trades t LEFT JOIN instruments i ON i.symbol = t.instrument WHERE t.trade_id = ANY($1)";

const RESERVED: &str = "
    SELECT trade_id, buy_order_id AS buy, sell_order_id AS sell, quantity, price
    FROM matches WHERE trade_id = ANY($1) AND state = 'RESERVED'";

const TRADE_IDS: &str =
    "SELECT trade_id, created_at FROM trades WHERE trade_id > $1 ORDER BY trade_id LIMIT $2";
const SETTLED_IDS: &str = "SELECT tx_id FROM ledger_tx WHERE tx_id = ANY($1) AND kind = 'SETTLE'";

#[derive(sqlx::FromRow)]
struct Settlement {
    tx_id: Uuid,
    caused_by: String,
    created_at: DateTime<Utc>,
    buy: Option<Uuid>,
    sell: Option<Uuid>,
    buyer: Option<String>,
    seller: Option<String>,
    base: Option<String>,
    quote: Option<String>,
    quantity: Option<Decimal>,
    price: Option<Decimal>,
    buyer_fee: Option<Decimal>,
    seller_fee: Option<Decimal>,
    improvement: Option<Decimal>,
}

#[derive(sqlx::FromRow)]
struct Line {
    tx_id: Uuid,
    owner: String,
    asset: String,
    kind: i16,
    amount: Decimal,
}

#[derive(sqlx::FromRow)]
struct Trade {
    trade_id: Uuid,
    buy: Uuid,
    sell: Uuid,
    buyer: String,
    seller: String,
    base: Option<String>,
    quote: Option<String>,
    quantity: Decimal,
    price: Decimal,
}

#[derive(sqlx::FromRow)]
struct Reservation {
    trade_id: Uuid,
    buy: Uuid,
    sell: Uuid,
    quantity: Decimal,
    price: Decimal,
}

/// What settled trades have added to a hold that its order does not know of yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ahead {
    /// Base units.
    pub quantity: Quantity,
    /// Price × quantity.
    pub notional: Amount,
}

/// By order.
pub type Unapplied = HashMap<Uuid, Ahead>;

/// What was settled, as its event says, in the types of money.
struct Deal<'a> {
    buyer: &'a str,
    seller: &'a str,
    base: &'a str,
    quote: &'a str,
    orders: [Uuid; 2],
    quantity: Quantity,
    notional: Amount,
    buyer_fee: Amount,
    seller_fee: Amount,
    improvement: Amount,
}

/// Sums of postings by (owner, asset, kind of account).
type Legs = HashMap<(String, String, i16), Amount>;

/// Compares every settlement with its trade, and finds trades that were never settled.
pub async fn compare(cut: &mut Cut, findings: &mut Findings) -> Result<Unapplied> {
    let mut unapplied = Unapplied::new();
    let mut applied: u64 = 0;
    let mut after = Uuid::nil();
    loop {
        let page: Vec<Settlement> = sqlx::query_as(SETTLEMENTS)
            .bind(after)
            .bind(PAGE)
            .fetch_all(&mut cut.asset)
            .await
            .context("A8")?;
        let Some(last) = page.last() else { break };
        after = last.tx_id;
        findings.examined(Claim::A8, page.len() as u64);
        let ids: Vec<Uuid> = page.iter().map(|settlement| settlement.tx_id).collect();
        let mut legs = legs_of(&mut cut.asset, &ids).await.context("A8")?;
        let seen = Seen::by_orders(&mut cut.order, &ids).await.context("A8")?;
        for settlement in &page {
            let legs = legs.remove(&settlement.tx_id).unwrap_or_default();
            applied += u64::from(seen.trades.contains_key(&settlement.tx_id));
            match one(settlement, &legs, &seen, &cut.flights) {
                Ok(None) => {}
                Ok(Some(deal)) => note(&mut unapplied, &deal)?,
                Err(what) => findings.differs(Claim::A8, volume(settlement), what),
            }
        }
    }
    let trades: i64 =
        sqlx::query_scalar("SELECT count(*) FROM trades").fetch_one(&mut cut.order).await.context("A8")?;
    if trades.unsigned_abs() != applied {
        unsettled(cut, findings).await.context("A8")?;
    }
    Ok(unapplied)
}

/// What order-svc knows of some trades.
struct Seen {
    trades: HashMap<Uuid, Trade>,
    reserved: HashMap<Uuid, Reservation>,
}

impl Seen {
    async fn by_orders(order: &mut PgConnection, ids: &[Uuid]) -> Result<Self, sqlx::Error> {
        let trades: Vec<Trade> = sqlx::query_as(TRADES).bind(ids).fetch_all(&mut *order).await?;
        let reserved: Vec<Reservation> = sqlx::query_as(RESERVED).bind(ids).fetch_all(order).await?;
        Ok(Self {
            trades: trades.into_iter().map(|trade| (trade.trade_id, trade)).collect(),
            reserved: reserved.into_iter().map(|match_| (match_.trade_id, match_)).collect(),
        })
    }
}

async fn legs_of(asset: &mut PgConnection, ids: &[Uuid]) -> Result<HashMap<Uuid, Legs>> {
    let lines: Vec<Line> = sqlx::query_as(LINES).bind(ids).fetch_all(asset).await?;
    let mut legs: HashMap<Uuid, Legs> = HashMap::with_capacity(ids.len());
    for line in lines {
        let amount =
            Amount::from_decimal(line.amount).with_context(|| format!("postings of {}", line.tx_id))?;
        if !amount.is_zero() {
            legs.entry(line.tx_id).or_default().insert((line.owner, line.asset, line.kind), amount);
        }
    }
    Ok(legs)
}

/// One settlement: `None` if its trade is applied, the deal if it is not applied yet, or what is wrong.
fn one<'a>(
    settlement: &'a Settlement,
    legs: &Legs,
    seen: &Seen,
    flights: &Flights,
) -> Result<Option<Deal<'a>>, String> {
    let id = settlement.tx_id;
    let deal = settlement
        .deal()
        .ok_or_else(|| format!("settlement {id} has no event TradeSettled to explain it"))?;
    if settlement.caused_by != format!("trade:{id}") {
        return Err(format!("settlement {id} says that it was caused by {}", settlement.caused_by));
    }
    let expected = deal.legs().map_err(|error| format!("settlement {id}: its legs: {error}"))?;
    if *legs != expected {
        return Err(format!(
            "settlement {id}: its postings are not the legs of its trade: {}",
            off(legs, &expected)
        ));
    }
    if let Some(trade) = seen.trades.get(&id) {
        return if trade.is(settlement) {
            Ok(None)
        } else {
            Err(format!("trade {id} was settled with other numbers"))
        };
    }
    let reserved = seen.reserved.get(&id).is_some_and(|reserved| reserved.is(settlement));
    if flights.matching(id).is_some() && reserved {
        return Ok(Some(deal));
    }
    let saga = if flights.matching(id).is_some() { "not reserved" } else { "no running saga explains it" };
    Err(format!("settlement {id} has no fill on its orders, and {saga}"))
}

/// The part that differs, for the message.
fn off(found: &Legs, expected: &Legs) -> String {
    let keys: HashSet<_> = found.keys().chain(expected.keys()).collect();
    let mut parts: Vec<String> = keys
        .into_iter()
        .filter(|key| found.get(*key) != expected.get(*key))
        .map(|key| {
            let shown = |legs: &Legs| legs.get(key).copied().unwrap_or_default();
            format!("{} of {} (account {}): {} for {}", key.1, key.0, key.2, shown(found), shown(expected))
        })
        .collect();
    parts.sort();
    parts.join(", ")
}

fn note(unapplied: &mut Unapplied, deal: &Deal<'_>) -> Result<()> {
    for order in deal.orders {
        let ahead = unapplied.entry(order).or_default();
        ahead.quantity = ahead.quantity.checked_add(deal.quantity)?;
        ahead.notional = ahead.notional.checked_add(deal.notional)?;
    }
    Ok(())
}

fn volume(settlement: &Settlement) -> Money {
    let asset = settlement.quote.clone().unwrap_or_else(|| "?".to_owned());
    let amount = settlement.deal().map(|deal| deal.notional).unwrap_or_default();
    Money { asset, amount, since: Some(settlement.created_at) }
}

async fn unsettled(cut: &mut Cut, findings: &mut Findings) -> Result<()> {
    let mut after = Uuid::nil();
    loop {
        let page: Vec<(Uuid, DateTime<Utc>)> =
            sqlx::query_as(TRADE_IDS).bind(after).bind(PAGE).fetch_all(&mut cut.order).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        let ids: Vec<Uuid> = page.iter().map(|(id, _)| *id).collect();
        let settled: Vec<Uuid> = sqlx::query_scalar(SETTLED_IDS).bind(&ids).fetch_all(&mut cut.asset).await?;
        let settled: HashSet<Uuid> = settled.into_iter().collect();
        let lost: Vec<Uuid> = ids.into_iter().filter(|id| !settled.contains(id)).collect();
        let seen = Seen::by_orders(&mut cut.order, &lost).await?;
        for (id, since) in page.into_iter().filter(|(id, _)| !settled.contains(id)) {
            let trade = seen.trades.get(&id).ok_or_else(|| anyhow!("trade {id} went away in a snapshot"))?;
            let asset = trade.quote.clone().unwrap_or_else(|| "?".to_owned());
            let amount = trade.notional().unwrap_or_default();
            let money = Money { asset, amount, since: Some(since) };
            findings.differs(
                Claim::A8,
                money,
                format!("trade {id} is filled on its orders and was never settled"),
            );
        }
    }
}

impl Settlement {
    /// `None` without an event, or with one whose numbers are none.
    fn deal(&self) -> Option<Deal<'_>> {
        let quantity = Quantity::from_decimal(self.quantity?).ok()?;
        let price = Price::from_decimal(self.price?).ok()?;
        let amount = |decimal: Option<Decimal>| Amount::from_decimal(decimal?).ok();
        Some(Deal {
            buyer: self.buyer.as_deref()?,
            seller: self.seller.as_deref()?,
            base: self.base.as_deref()?,
            quote: self.quote.as_deref()?,
            orders: [self.buy?, self.sell?],
            quantity,
            notional: notional(price, quantity).ok()?,
            buyer_fee: amount(self.buyer_fee)?,
            seller_fee: amount(self.seller_fee)?,
            improvement: amount(self.improvement)?,
        })
    }
}

impl Deal<'_> {
    /// Domain rule 6.5: who gives and who gets what. 1 is available, 2 held, 3 the house's fees.
    fn legs(&self) -> Result<Legs, MoneyError> {
        let from_hold = self.notional.checked_add(self.buyer_fee)?.checked_add(self.improvement)?;
        let legs = [
            (self.buyer, self.quote, 2, from_hold.neg()),
            (self.buyer, self.quote, 1, self.improvement),
            (self.buyer, self.base, 1, self.quantity.amount()),
            (self.seller, self.base, 2, self.quantity.amount().neg()),
            (self.seller, self.quote, 1, self.notional.checked_sub(self.seller_fee)?),
            ("house", self.quote, 3, self.buyer_fee.checked_add(self.seller_fee)?),
        ];
        let moving = legs.into_iter().filter(|(.., amount)| !amount.is_zero());
        Ok(moving
            .map(|(owner, asset, kind, amount)| ((owner.to_owned(), asset.to_owned(), kind), amount))
            .collect())
    }
}

impl Trade {
    fn is(&self, settled: &Settlement) -> bool {
        (Some(self.buy), Some(self.sell)) == (settled.buy, settled.sell)
            && (Some(&self.buyer), Some(&self.seller)) == (settled.buyer.as_ref(), settled.seller.as_ref())
            && (&self.base, &self.quote) == (&settled.base, &settled.quote)
            && (Some(self.quantity), Some(self.price)) == (settled.quantity, settled.price)
    }

    fn notional(&self) -> Option<Amount> {
        notional(Price::from_decimal(self.price).ok()?, Quantity::from_decimal(self.quantity).ok()?).ok()
    }
}

impl Reservation {
    fn is(&self, settled: &Settlement) -> bool {
        (Some(self.buy), Some(self.sell)) == (settled.buy, settled.sell)
            && (Some(self.quantity), Some(self.price)) == (settled.quantity, settled.price)
    }
}
