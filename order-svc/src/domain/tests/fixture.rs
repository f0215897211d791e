//! An order and its counterparty, and the commands that lead them into every situation.

use brokerage_types::{
    Actor, Amount, Instrument, InstrumentState, OrderId, Price, Quantity, Reason, SagaId, Side, TickBand,
    TradeId,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::command::Suspension;
use crate::domain::matching::{ChangedPair, Deal, Pair};
use crate::domain::{Changed, Order, OrderEvent, Rejection, Terms, cancel, create, matching, suspend};

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp_micros(1_700_000_000_123_456).unwrap()
}

pub fn qty(text: &str) -> Quantity {
    Quantity::parse(text).unwrap()
}

pub fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

pub fn saga(n: u128) -> SagaId {
    SagaId::from(Uuid::from_u128(n))
}

pub fn operator() -> Actor {
    Actor::parse("admin").unwrap()
}

pub fn instrument() -> Instrument {
    Instrument {
        symbol: "XYZ".parse().unwrap(),
        base: "XYZ".parse().unwrap(),
        quote: "TRY".parse().unwrap(),
        price_scale: 2,
        quantity_scale: 0,
        quote_ledger_scale: 6,
        tick_bands: vec![TickBand { from: Amount::ZERO, tick: price("0.01") }],
        lot: qty("1"),
        min_quantity: None,
        max_quantity: None,
        min_notional: None,
        state: InstrumentState::Open,
    }
}

pub fn terms(id: u128, customer: &str, side: Side, quantity: &str) -> Terms {
    Terms {
        order_id: OrderId::from(Uuid::from_u128(id)),
        customer: customer.parse().unwrap(),
        client_order_id: format!("label-{id}").parse().unwrap(),
        instrument: "XYZ".parse().unwrap(),
        side,
        limit_price: price("100.00"),
        qty: qty(quantity),
        created_by: operator(),
    }
}

/// Alice's buy and Bob's sell, and everything that has happened to Alice's.
#[derive(Clone)]
pub struct Two {
    pub alice: Order,
    pub bob: Order,
    pub events: Vec<OrderEvent>,
}

/// The cancel saga of these tests.
pub const CANCELER: u128 = 77;

impl Two {
    /// Alice's order of 10 is INIT; Bob's of 1000 is open with 500 in flight elsewhere.
    pub fn drafted() -> Two {
        let alice = create::draft(&terms(1, "alice", Side::Buy, "10"), Some(&instrument()), now()).unwrap();
        let bob = create::draft(&terms(2, "bob", Side::Sell, "1000"), Some(&instrument()), now()).unwrap();
        let bob = open_order(&bob.0, 1).unwrap();
        let mut two = Two { alice: alice.0, bob: bob.0, events: vec![alice.1] };
        let mut carol = two.clone();
        carol.alice =
            create::draft(&terms(3, "carol", Side::Buy, "500"), Some(&instrument()), now()).unwrap().0;
        carol.alice = open_order(&carol.alice, 9).unwrap().0;
        let deal = carol.deal(99, qty("500"));
        two.bob = matching::reserve(carol.pair(), &deal, &instrument(), now()).unwrap().sell.0;
        two
    }

    pub fn pair(&self) -> Pair<'_> {
        Pair { buy: &self.alice, sell: &self.bob }
    }

    pub fn deal(&self, trade: u128, quantity: Quantity) -> Deal {
        Deal {
            trade_id: TradeId::from(Uuid::from_u128(trade)),
            instrument: "XYZ".parse().unwrap(),
            buy_order_id: self.alice.terms.order_id,
            sell_order_id: self.bob.terms.order_id,
            quantity,
            price: price("100"),
        }
    }

    /// Does `command` to Alice's order; `Ok(None)` when there was nothing to do. A refusal changes nothing.
    pub fn run(&mut self, command: &Command) -> Result<Option<&'static str>, Reason> {
        let decided = self.decide(command).map_err(|rejection| rejection.reason())?;
        let Some(((alice, event), bob)) = decided else { return Ok(None) };
        self.alice = alice;
        if let Some(bob) = bob {
            self.bob = bob;
        }
        let kind = event.change.kind();
        self.events.push(event);
        Ok(Some(kind))
    }

    fn decide(&self, command: &Command) -> Result<Option<(Changed, Option<Order>)>, Rejection> {
        let both = |pair: ChangedPair| Some((pair.buy, Some(pair.sell.0)));
        let one = |changed: Changed| Some((changed, None));
        let alice = &self.alice;
        let wish = Suspension { order_id: alice.terms.order_id, by: operator(), why: "test".to_owned() };
        match command {
            Command::UndoDraft(reason) => create::undo_draft(alice, *reason, now()).map(one),
            Command::Open => open_order(alice, 7).map(one),
            Command::BeginCancel(by) => cancel::begin(alice, saga(*by), &operator(), now()).map(one),
            Command::UndoBeginCancel(by) => {
                Ok(cancel::undo_begin(alice, saga(*by), Reason::GaveUp, now())?.and_then(one))
            }
            Command::ConfirmCancel => Ok(cancel::confirm(alice, now())?.and_then(one)),
            Command::Reserve(quantity) => {
                matching::reserve(self.pair(), &self.deal(5, *quantity), &instrument(), now()).map(both)
            }
            Command::Release(quantity) => {
                matching::release(self.pair(), &self.deal(5, *quantity), Reason::GaveUp, now()).map(both)
            }
            Command::Fill(quantity) => matching::fill(self.pair(), &self.deal(5, *quantity), now()).map(both),
            Command::Suspend => suspend::suspend(alice, &wish, now()).map(one),
            Command::Resume => suspend::resume(alice, &wish, now()).map(one),
        }
    }

    /// Runs commands that must be legal.
    pub fn after(mut self, commands: &[Command]) -> Two {
        for command in commands {
            let done = self.run(command);
            assert!(matches!(done, Ok(Some(_))), "{command:?} on {}: {done:?}", self.alice.status);
        }
        self
    }
}

pub fn open_order(order: &Order, accept_seq: i64) -> Result<Changed, Rejection> {
    let instrument = instrument();
    let market = create::Market { symbol: &instrument.symbol, state: instrument.state, accept_seq };
    create::open(order, market, now())
}

/// Everything that can be done to an order that exists.
#[derive(Clone, Copy, Debug)]
pub enum Command {
    UndoDraft(Reason),
    Open,
    BeginCancel(u128),
    UndoBeginCancel(u128),
    ConfirmCancel,
    Reserve(Quantity),
    Release(Quantity),
    Fill(Quantity),
    Suspend,
    Resume,
}
