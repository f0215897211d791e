//! Reads that a saga's input is made from: instruments, customers, orders; the first two cached.
//!
//! What they say is a hint: the steps check again in the transaction of their effect.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brokerage_proto::asset::v1 as asset_wire;
use brokerage_proto::common::v1::Side as WireSide;
use brokerage_proto::order::v1 as order_wire;
use brokerage_types::{
    Amount, AssetCode, ClientOrderId, CustomerId, Instrument, InstrumentState, OrderId, OrderStatus, Price,
    Quantity, Reason, Side, Symbol, TickBand,
};
use service_kit::auth::Scope;
use service_kit::fault::{self, ApiError, ApiResult, Fault, Refusal};
use tokio::time::Instant;
use tonic::{Code, Status};

use super::{Grpc, wire};
use crate::sagas::command::asset;

/// No instrument is served that was read longer ago.
const INSTRUMENT_AGE_MAX: Duration = Duration::from_millis(1_000);
/// After this one caller reads it again, while the others still use what is known.
const INSTRUMENT_FRESH: Duration = Duration::from_millis(500);
/// How many customers are remembered; then the memory starts anew.
const CUSTOMERS_MAX: usize = 200_000;

/// An instrument as order-svc has it.
pub type InstrumentTerms = Arc<Instrument>;

/// Which order is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// By id.
    Id(OrderId),
    /// By its customer's label.
    Label(CustomerId, ClientOrderId),
}

/// What a saga's input needs to know of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderTerms {
    /// Which.
    pub order_id: OrderId,
    /// Whose.
    pub customer_id: CustomerId,
    /// What is traded.
    pub instrument: Symbol,
    /// What is bought or sold.
    pub base_asset: AssetCode,
    /// What is paid with.
    pub quote_asset: AssetCode,
    /// Buy or sell.
    pub side: Side,
    /// Worst acceptable price.
    pub limit_price: Price,
    /// Free to match.
    pub matchable: Quantity,
    /// What it is.
    pub status: OrderStatus,
    /// Priority within its instrument.
    pub accept_seq: i64,
}

struct Remembered {
    read_at: Instant,
    is_being_read: bool,
    instrument: InstrumentTerms,
}

/// The reads, with what they remember.
pub struct Terms {
    grpc: Grpc,
    deadline: Duration,
    instruments: Mutex<HashMap<Symbol, Remembered>>,
    /// Customers that exist; they never cease to.
    customers: Mutex<HashSet<CustomerId>>,
}

impl Terms {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(grpc: Grpc, deadline: Duration) -> Self {
        let (instruments, customers) = (Mutex::default(), Mutex::default());
        Self { grpc, deadline, instruments, customers }
    }

    /// An instrument, at most a second old.
    ///
    /// # Errors
    /// `INSTRUMENT_NOT_FOUND`, or order-svc cannot be asked.
    pub async fn instrument(&self, symbol: &Symbol) -> ApiResult<InstrumentTerms> {
        if let Some(known) = self.remembered(symbol) {
            return Ok(known);
        }
        let message = order_wire::GetInstrumentTermsRequest { symbol: symbol.to_string() };
        let mut client = self.grpc.order.clone();
        let read = self.read(client.get_instrument_terms(self.asked(message))).await;
        let read = read.map_err(|status| refused(&status, Reason::InstrumentNotFound, "order-svc"))?;
        let instrument = Arc::new(instrument(&read).ok_or_else(|| unreadable("instrument"))?);
        let mut known = self.instruments.lock().unwrap_or_else(PoisonError::into_inner);
        let remembered = Arc::clone(&instrument);
        known.insert(
            symbol.clone(),
            Remembered { read_at: Instant::now(), is_being_read: false, instrument: remembered },
        );
        Ok(instrument)
    }

    /// What is known and fresh enough. `None` makes the caller read: once for all, as long as others may wait.
    fn remembered(&self, symbol: &Symbol) -> Option<InstrumentTerms> {
        let mut all = self.instruments.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get_mut(symbol)?;
        let age = known.read_at.elapsed();
        if age < INSTRUMENT_FRESH || (known.is_being_read && age < INSTRUMENT_AGE_MAX) {
            return Some(Arc::clone(&known.instrument));
        }
        known.is_being_read = true;
        None
    }

    /// Makes sure that a customer exists.
    ///
    /// # Errors
    /// `CUSTOMER_NOT_FOUND`, or asset-svc cannot be asked.
    pub async fn customer_exists(&self, customer_id: &CustomerId) -> ApiResult<()> {
        if self.customers.lock().unwrap_or_else(PoisonError::into_inner).contains(customer_id) {
            return Ok(());
        }
        self.customer_terms(customer_id, None).await?;
        let mut known = self.customers.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CUSTOMERS_MAX {
            known.clear();
        }
        known.insert(customer_id.clone());
        Ok(())
    }

    /// Why such a hold could not be placed now, if so.
    ///
    /// # Errors
    /// `CUSTOMER_NOT_FOUND`, or asset-svc cannot be asked.
    pub async fn hold_refusal(&self, hold: &asset::PlaceHold) -> ApiResult<Option<Reason>> {
        let terms = self.customer_terms(&hold.customer_id, Some(wire::place_hold(hold))).await?;
        if terms.hold_refusal.is_empty() {
            return Ok(None);
        }
        Ok(Some(terms.hold_refusal.parse().unwrap_or(Reason::GaveUp)))
    }

    async fn customer_terms(
        &self,
        customer_id: &CustomerId,
        hold: Option<asset_wire::PlaceHold>,
    ) -> ApiResult<asset_wire::CustomerTerms> {
        let message = asset_wire::GetCustomerTermsRequest { customer_id: customer_id.to_string(), hold };
        let mut client = self.grpc.asset.clone();
        let read = self.read(client.get_customer_terms(self.asked(message))).await;
        read.map_err(|status| refused(&status, Reason::CustomerNotFound, "asset-svc"))
    }

    /// An order within the caller's scope.
    ///
    /// # Errors
    /// `ORDER_NOT_FOUND` for a missing and for a foreign order, or order-svc cannot be asked.
    pub async fn order(&self, which: &Which, scope: &Scope) -> ApiResult<OrderTerms> {
        let scope = match scope {
            Scope::Any => order_wire::Scope { any: true, customer_ids: Vec::new() },
            Scope::Customers(customers) => {
                let customer_ids = customers.iter().map(ToString::to_string).collect();
                order_wire::Scope { any: false, customer_ids }
            }
        };
        let mut message = order_wire::GetTermsRequest { scope: Some(scope), ..Default::default() };
        match which {
            Which::Id(order_id) => message.order_id = order_id.to_string(),
            Which::Label(customer_id, label) => {
                message.customer_id = customer_id.to_string();
                message.client_order_id = label.to_string();
            }
        }
        let mut client = self.grpc.order.clone();
        let read = self.read(client.get_terms(self.asked(message))).await;
        let read = read.map_err(|status| refused(&status, Reason::OrderNotFound, "order-svc"))?;
        order(&read).ok_or_else(|| unreadable("order"))
    }

    /// With the deadline of a read: longer than a step's attempt, because nobody asks a second time.
    fn asked<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(self.deadline);
        request
    }

    async fn read<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Status> {
        service_kit::channel::with_deadline(call, self.deadline).await.map(tonic::Response::into_inner)
    }
}

/// A read that did not answer: not found, or nobody there.
fn refused(status: &Status, missing: Reason, peer: &str) -> ApiError {
    if status.code() == Code::NotFound {
        return Refusal::new(fault::reason_of(status).unwrap_or(missing), status.message()).into();
    }
    tracing::warn!(peer, code = ?status.code(), "{peer} did not answer a read: {}", status.message());
    Refusal::new(Reason::ParticipantUnavailable, format!("{peer} cannot be asked right now; try again"))
        .into()
}

fn unreadable(what: &str) -> ApiError {
    Fault::internal(format!("read {what} terms"), "a field of the answer is not valid").into()
}

fn instrument(wire: &order_wire::Instrument) -> Option<Instrument> {
    let mut tick_bands = Vec::with_capacity(wire.tick_bands.len());
    for band in &wire.tick_bands {
        let from =
            if band.from_price.is_empty() { Amount::ZERO } else { Amount::parse(&band.from_price).ok()? };
        tick_bands.push(TickBand { from, tick: Price::parse(&band.tick).ok()? });
    }
    let state = match order_wire::InstrumentState::try_from(wire.state).ok()? {
        order_wire::InstrumentState::Open => InstrumentState::Open,
        order_wire::InstrumentState::Halted => InstrumentState::Halted,
        order_wire::InstrumentState::Unspecified => return None,
    };
    Some(Instrument {
        symbol: Symbol::parse(&wire.symbol).ok()?,
        base: AssetCode::parse(&wire.base_asset).ok()?,
        quote: AssetCode::parse(&wire.quote_asset).ok()?,
        price_scale: wire.price_scale,
        quantity_scale: wire.quantity_scale,
        quote_ledger_scale: wire.quote_ledger_scale,
        tick_bands,
        lot: Quantity::parse(&wire.lot).ok()?,
        min_quantity: optional(&wire.min_quantity, Quantity::parse)?,
        max_quantity: optional(&wire.max_quantity, Quantity::parse)?,
        min_notional: optional(&wire.min_notional, Amount::parse)?,
        state,
    })
}

/// `Some(None)` for an empty text, `None` for a wrong one.
fn optional<T, E>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { parse(text).ok().map(Some) }
}

fn order(wire: &order_wire::OrderTerms) -> Option<OrderTerms> {
    Some(OrderTerms {
        order_id: OrderId::parse(&wire.order_id).ok()?,
        customer_id: CustomerId::parse(&wire.customer_id).ok()?,
        instrument: Symbol::parse(&wire.instrument).ok()?,
        base_asset: AssetCode::parse(&wire.base_asset).ok()?,
        quote_asset: AssetCode::parse(&wire.quote_asset).ok()?,
        side: side(wire.side)?,
        limit_price: Price::parse(&wire.limit_price).ok()?,
        matchable: Quantity::parse(&wire.matchable_quantity).ok()?,
        status: OrderStatus::from_code(i16::try_from(wire.status).ok()?)?,
        accept_seq: wire.accept_seq,
    })
}

fn side(wire: i32) -> Option<Side> {
    match WireSide::try_from(wire).ok()? {
        WireSide::Buy => Some(Side::Buy),
        WireSide::Sell => Some(Side::Sell),
        WireSide::Unspecified => None,
    }
}
