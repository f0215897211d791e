//! What the matrix breaks: for each kind of saga some situations, with everything that has to be there before.

use brokerage_types::{
    Actor, AssetCode, ClientOrderId, CustomerId, OrderId, Price, Quantity, SagaId, Side, Symbol, TradeId,
};
use saga_orchestrator::engine::drive::{End, Outcome};
use saga_orchestrator::sagas::{Input, Kind, cancel_order, create_order, match_orders};
use std::sync::Arc;
use uuid::Uuid;

use super::run::drive_plainly;
use super::world::{Cast, World};

/// A saga about to start, and what is around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Situation {
    /// A buy order is created.
    Buy,
    /// A sell order is created.
    Sell,
    /// An order in the market is canceled.
    CancelPending,
    /// What is left of an order is canceled.
    CancelPartlyFilled,
    /// An order that an operator took out of the market is canceled.
    CancelSuspended,
    /// Two orders fill each other, better than the buyer's limit.
    MatchWhole,
    /// A part of two orders is matched.
    MatchPart,
}

/// A saga that can be driven.
pub struct Prepared {
    /// Its number.
    pub saga_id: SagaId,
    /// What it shall do.
    pub input: Input,
    /// What is called how in this run.
    pub names: Vec<(String, &'static str)>,
}

impl Situation {
    /// Those of one kind of saga. A new kind must say here what it starts from; its steps are then found by themselves.
    pub fn of(kind: Kind) -> &'static [Situation] {
        match kind {
            Kind::CreateOrder => &[Situation::Buy, Situation::Sell],
            Kind::CancelOrder => {
                &[Situation::CancelPending, Situation::CancelPartlyFilled, Situation::CancelSuspended]
            }
            Kind::MatchOrders => &[Situation::MatchWhole, Situation::MatchPart],
        }
    }

    /// Makes it so, with new people each time.
    pub async fn prepare(self, world: &Arc<World>) -> Prepared {
        let cast = world.cast().await;
        let saga_id = SagaId::from(Uuid::now_v7());
        let mut names = vec![
            (cast.buyer.clone(), "buyer"),
            (cast.seller.clone(), "seller"),
            (cast.symbol.clone(), "instrument"),
            (saga_id.to_string(), "saga"),
        ];
        let mut named = |order_id: OrderId, role| {
            names.push((order_id.to_string(), role));
            order_id
        };
        let input = match self {
            Situation::Buy => create(&cast, saga_id, Side::Buy, "99.5", "10"),
            Situation::Sell => create(&cast, saga_id, Side::Sell, "99.5", "10"),
            Situation::CancelPending => {
                let order_id = named(open(world, &cast, Side::Sell, "100", "10").await, "order");
                cancel(order_id)
            }
            Situation::CancelPartlyFilled => {
                let sell = named(open(world, &cast, Side::Sell, "99", "4").await, "other");
                let buy = named(open(world, &cast, Side::Buy, "100", "10").await, "order");
                let trade = SagaId::from(Uuid::now_v7());
                names.push((trade.to_string(), "earlier trade"));
                complete(world, trade, matched(&cast, trade, [buy, sell], ("4", "99"))).await;
                cancel(buy)
            }
            Situation::CancelSuspended => {
                let order_id = named(open(world, &cast, Side::Buy, "100", "10").await, "order");
                world.suspend(order_id).await;
                cancel(order_id)
            }
            Situation::MatchWhole => {
                let sell = named(open(world, &cast, Side::Sell, "99", "10").await, "sell");
                let buy = named(open(world, &cast, Side::Buy, "100", "10").await, "buy");
                matched(&cast, saga_id, [buy, sell], ("10", "99"))
            }
            Situation::MatchPart => {
                let sell = named(open(world, &cast, Side::Sell, "99", "10").await, "sell");
                let buy = named(open(world, &cast, Side::Buy, "100", "8").await, "buy");
                matched(&cast, saga_id, [buy, sell], ("5", "99.53"))
            }
        };
        Prepared { saga_id, input, names }
    }
}

fn create(cast: &Cast, saga_id: SagaId, side: Side, price: &str, quantity: &str) -> Input {
    let order_id = OrderId::of_saga(saga_id);
    let customer = match side {
        Side::Buy => &cast.buyer,
        Side::Sell => &cast.seller,
    };
    Input::CreateOrder(create_order::Input {
        order_id,
        customer_id: CustomerId::parse(customer).unwrap(),
        client_order_id: ClientOrderId::parse(&order_id.to_string()).unwrap(),
        instrument: Symbol::parse(&cast.symbol).unwrap(),
        base_asset: AssetCode::parse("SHARE").unwrap(),
        quote_asset: AssetCode::parse("TRY").unwrap(),
        side,
        limit_price: Price::parse(price).unwrap(),
        quantity: Quantity::parse(quantity).unwrap(),
        created_by: Actor::parse(customer).unwrap(),
    })
}

fn cancel(order_id: OrderId) -> Input {
    Input::CancelOrder(cancel_order::Input { order_id, requested_by: Actor::parse("somebody").unwrap() })
}

fn matched(
    cast: &Cast,
    saga_id: SagaId,
    [buy, sell]: [OrderId; 2],
    (quantity, price): (&str, &str),
) -> Input {
    Input::MatchOrders(match_orders::Input {
        trade_id: TradeId::of_saga(saga_id),
        instrument: Symbol::parse(&cast.symbol).unwrap(),
        base_asset: AssetCode::parse("SHARE").unwrap(),
        quote_asset: AssetCode::parse("TRY").unwrap(),
        buy_order_id: buy,
        sell_order_id: sell,
        buyer_id: CustomerId::parse(&cast.buyer).unwrap(),
        seller_id: CustomerId::parse(&cast.seller).unwrap(),
        quantity: Quantity::parse(quantity).unwrap(),
        price: Price::parse(price).unwrap(),
    })
}

/// An order in the market.
async fn open(world: &Arc<World>, cast: &Cast, side: Side, price: &str, quantity: &str) -> OrderId {
    let saga_id = SagaId::from(Uuid::now_v7());
    complete(world, saga_id, create(cast, saga_id, side, price, quantity)).await;
    OrderId::of_saga(saga_id)
}

async fn complete(world: &Arc<World>, saga_id: SagaId, input: Input) {
    let end = drive_plainly(world, saga_id, &input).await;
    assert_eq!(end, End::Ended(Outcome::Completed), "{input:?}");
}
