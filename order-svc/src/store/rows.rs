//! Rows as SQL gives them, and the domain values they are. A row that is neither is a fault, never a refusal.

use brokerage_types::{Amount, OrderId, Price, Quantity, SagaId, TradeId};
use chrono::{DateTime, Utc};
use sqlx::types::Decimal;
use uuid::Uuid;

use crate::domain::matching::{Deal, Match, MatchState};
use crate::domain::{Cancel, Order, Terms};

/// A row of `orders`.
#[derive(Debug)]
pub struct OrderRow {
    pub order_id: Uuid,
    pub customer_id: String,
    pub client_order_id: String,
    pub instrument: String,
    pub side: String,
    pub limit_price: Decimal,
    pub qty: Decimal,
    pub cum_qty: Decimal,
    pub inflight_qty: Decimal,
    pub canceled_qty: Decimal,
    pub cum_notional: Decimal,
    pub accept_seq: Option<i64>,
    pub cancel_saga: Option<Uuid>,
    pub cancel_found: Option<String>,
    pub status: String,
    pub reason: Option<String>,
    pub version: i64,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A row of `matches`.
#[derive(Debug)]
pub struct MatchRow {
    pub trade_id: Uuid,
    pub instrument: String,
    pub buy_order_id: Uuid,
    pub sell_order_id: Uuid,
    pub quantity: Decimal,
    pub price: Decimal,
    pub state: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What a column holds that no value of ours can be.
#[derive(Debug, thiserror::Error)]
#[error("column {column}")]
pub struct BrokenColumn {
    column: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl From<BrokenColumn> for sqlx::Error {
    fn from(broken: BrokenColumn) -> Self {
        sqlx::Error::Decode(Box::new(broken))
    }
}

/// Reads a column, saying which one if it cannot be read.
pub fn read<T, E>(column: &'static str, value: Result<T, E>) -> Result<T, BrokenColumn>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    value.map_err(|source| BrokenColumn { column, source: source.into() })
}

impl OrderRow {
    /// The order that the row is.
    pub fn into_order(self) -> Result<Order, BrokenColumn> {
        let cancel = match (self.cancel_saga, self.cancel_found) {
            (Some(saga), Some(found)) => {
                Some(Cancel { saga: SagaId::from(saga), found: read("cancel_found", found.parse())? })
            }
            (None | Some(_), None) | (None, Some(_)) => None,
        };
        let terms = Terms {
            order_id: OrderId::from(self.order_id),
            customer: read("customer_id", self.customer_id.parse())?,
            client_order_id: read("client_order_id", self.client_order_id.parse())?,
            instrument: read("instrument", self.instrument.parse())?,
            side: read("side", self.side.parse())?,
            limit_price: read("limit_price", Price::from_decimal(self.limit_price))?,
            qty: read("qty", Quantity::from_decimal(self.qty))?,
            created_by: read("created_by", self.created_by.parse())?,
        };
        Ok(Order {
            terms,
            cum_qty: read("cum_qty", Quantity::from_decimal(self.cum_qty))?,
            inflight_qty: read("inflight_qty", Quantity::from_decimal(self.inflight_qty))?,
            canceled_qty: read("canceled_qty", Quantity::from_decimal(self.canceled_qty))?,
            cum_notional: read("cum_notional", Amount::from_decimal(self.cum_notional))?,
            accept_seq: self.accept_seq,
            cancel,
            status: read("status", self.status.parse())?,
            reason: read("reason", self.reason.map(|r| r.parse()).transpose())?,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

impl MatchRow {
    /// The match that the row is.
    pub fn into_match(self) -> Result<Match, BrokenColumn> {
        let deal = Deal {
            trade_id: TradeId::from(self.trade_id),
            instrument: read("instrument", self.instrument.parse())?,
            buy_order_id: OrderId::from(self.buy_order_id),
            sell_order_id: OrderId::from(self.sell_order_id),
            quantity: read("quantity", Quantity::from_decimal(self.quantity))?,
            price: read("price", Price::from_decimal(self.price))?,
        };
        let state = MatchState::ALL.into_iter().find(|state| state.as_str() == self.state);
        let state = read("state", state.ok_or(format!("`{}` is not a state", self.state)))?;
        Ok(Match { deal, state, created_at: self.created_at, updated_at: self.updated_at })
    }
}
