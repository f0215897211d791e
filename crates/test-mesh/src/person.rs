//! Somebody who uses the brokerage through its public API, and the verbs about orders.
//!
//! A verb in the third person must succeed; one that *tries* says what came of it.

use brokerage_proto::asset::v1::asset_service_client::AssetServiceClient;
use brokerage_proto::asset::v1::customer_service_client::CustomerServiceClient;
use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1 as order;
use brokerage_proto::order::v1::OrderStatus;
use brokerage_proto::order::v1::order_service_client::OrderServiceClient;
use brokerage_proto::saga::v1::saga_service_client::SagaServiceClient;
use brokerage_proto::trading::v1 as trading;
use brokerage_proto::trading::v1::trading_service_client::TradingServiceClient;
use tonic::transport::Channel;
use tonic::{Response, Status};
use uuid::Uuid;

use crate::identity::{Identity, Wire};
use crate::wait::until;

/// A request id that nobody has used.
#[must_use]
pub fn fresh() -> String {
    Uuid::now_v7().to_string()
}

/// A caller with clients of every public service.
#[derive(Clone, Debug)]
pub struct Person {
    /// In whose name the verbs act: a customer's id, or nothing.
    pub customer_id: String,
    /// Commands on orders.
    pub trading: TradingServiceClient<Wire>,
    /// Sagas.
    pub sagas: SagaServiceClient<Wire>,
    /// Orders, trades, instruments.
    pub orders: OrderServiceClient<Wire>,
    /// Balances and movements.
    pub assets: AssetServiceClient<Wire>,
    /// Customers.
    pub customers: CustomerServiceClient<Wire>,
}

impl Person {
    /// By these listeners: of an orchestrator, of order-svc, of asset-svc.
    #[must_use]
    pub fn to(identity: &Identity, customer_id: &str, public: [&Channel; 3]) -> Self {
        Self::new(identity, customer_id, public)
    }

    pub(crate) fn new(identity: &Identity, customer_id: &str, public: [&Channel; 3]) -> Self {
        let [trading, order, asset] = public.map(|channel| identity.on(channel));
        Self {
            customer_id: customer_id.to_owned(),
            trading: TradingServiceClient::new(trading.clone()),
            sagas: SagaServiceClient::new(trading),
            orders: OrderServiceClient::new(order),
            assets: AssetServiceClient::new(asset.clone()),
            customers: CustomerServiceClient::new(asset),
        }
    }

    /// Places a buy order; its id.
    pub async fn buys(&self, symbol: &str, quantity: &str, price: &str) -> String {
        self.places(self.bid(symbol, quantity, price)).await
    }

    /// Places a sell order; its id.
    pub async fn sells(&self, symbol: &str, quantity: &str, price: &str) -> String {
        self.places(self.ask(symbol, quantity, price)).await
    }

    /// Places an order; its id.
    pub async fn places(&self, request: trading::CreateOrderRequest) -> String {
        self.tries_to_place(request).await.unwrap().order_id
    }

    /// Places an order, if that is possible.
    ///
    /// # Errors
    /// The refusal.
    pub async fn tries_to_place(
        &self,
        request: trading::CreateOrderRequest,
    ) -> Result<trading::CreateOrderResponse, Status> {
        self.trading.clone().create_order(request).await.map(Response::into_inner)
    }

    /// A request to buy.
    #[must_use]
    pub fn bid(&self, symbol: &str, quantity: &str, price: &str) -> trading::CreateOrderRequest {
        self.wish(Side::Buy, symbol, quantity, price)
    }

    /// A request to sell.
    #[must_use]
    pub fn ask(&self, symbol: &str, quantity: &str, price: &str) -> trading::CreateOrderRequest {
        self.wish(Side::Sell, symbol, quantity, price)
    }

    fn wish(&self, side: Side, symbol: &str, quantity: &str, price: &str) -> trading::CreateOrderRequest {
        trading::CreateOrderRequest {
            request_id: fresh(),
            customer_id: self.customer_id.clone(),
            instrument: symbol.to_owned(),
            side: side.into(),
            limit_price: price.to_owned(),
            quantity: quantity.to_owned(),
            ..Default::default()
        }
    }

    /// Cancels an order.
    pub async fn cancels(&self, order_id: &str) -> trading::CancelOrderResponse {
        self.tries_to_cancel(order_id).await.unwrap()
    }

    /// Cancels an order, if that is possible.
    ///
    /// # Errors
    /// The refusal.
    pub async fn tries_to_cancel(&self, order_id: &str) -> Result<trading::CancelOrderResponse, Status> {
        let order_id = order_id.to_owned();
        let request = trading::CancelOrderRequest { request_id: fresh(), order_id, ..Default::default() };
        self.trading.clone().cancel_order(request).await.map(Response::into_inner)
    }

    /// Matches as much as both orders have, at the price of the one that came first.
    pub async fn matches(&self, buy: &str, sell: &str) -> trading::MatchOrdersResponse {
        self.tries_to_match(pair(buy, sell)).await.unwrap()
    }

    /// Matches a part.
    pub async fn matches_part(&self, buy: &str, sell: &str, quantity: &str) -> trading::MatchOrdersResponse {
        let request = trading::MatchOrdersRequest { quantity: quantity.to_owned(), ..pair(buy, sell) };
        self.tries_to_match(request).await.unwrap()
    }

    /// Matches, if that is possible. [`Self::pair`] makes the request.
    ///
    /// # Errors
    /// The refusal.
    pub async fn tries_to_match(
        &self,
        request: trading::MatchOrdersRequest,
    ) -> Result<trading::MatchOrdersResponse, Status> {
        self.trading.clone().match_orders(request).await.map(Response::into_inner)
    }

    /// A request to match as much as both orders have.
    #[must_use]
    pub fn pair(&self, buy: &str, sell: &str) -> trading::MatchOrdersRequest {
        pair(buy, sell)
    }

    /// An order with its fills and history.
    pub async fn sees(&self, order_id: &str) -> order::Order {
        self.looks_for(order_id).await.unwrap()
    }

    /// An order, if it is there for this caller.
    ///
    /// # Errors
    /// The refusal.
    pub async fn looks_for(&self, order_id: &str) -> Result<order::Order, Status> {
        let request = order::GetOrderRequest {
            order_id: order_id.to_owned(),
            with_fills: true,
            with_history: true,
            ..Default::default()
        };
        self.orders.clone().get_order(request).await.map(Response::into_inner)
    }

    /// What an order is.
    pub async fn status(&self, order_id: &str) -> OrderStatus {
        self.sees(order_id).await.status()
    }

    /// Waits until an order is in this state.
    pub async fn waits_for(&self, order_id: &str, status: OrderStatus) -> order::Order {
        let what = format!("order {order_id} becomes {}", status.as_str_name());
        until(&what, async || {
            let order = self.sees(order_id).await;
            (order.status() == status).then_some(order)
        })
        .await
    }

    /// Creates or changes an instrument.
    pub async fn lists(&self, instrument: order::Instrument) {
        let request = order::UpsertInstrumentRequest { request_id: fresh(), instrument: Some(instrument) };
        self.orders.clone().upsert_instrument(request).await.unwrap();
    }

    /// Takes an order out of the market.
    pub async fn suspends(&self, order_id: &str) -> order::SuspendOrderResponse {
        let reason = "somebody asked".to_owned();
        let request =
            order::SuspendOrderRequest { request_id: fresh(), order_id: order_id.to_owned(), reason };
        self.orders.clone().suspend_order(request).await.unwrap().into_inner()
    }

    /// Puts it back.
    pub async fn resumes(&self, order_id: &str) -> order::ResumeOrderResponse {
        let reason = "all is well".to_owned();
        let request =
            order::ResumeOrderRequest { request_id: fresh(), order_id: order_id.to_owned(), reason };
        self.orders.clone().resume_order(request).await.unwrap().into_inner()
    }
}

fn pair(buy: &str, sell: &str) -> trading::MatchOrdersRequest {
    trading::MatchOrdersRequest {
        request_id: fresh(),
        buy_order_id: buy.to_owned(),
        sell_order_id: sell.to_owned(),
        ..Default::default()
    }
}
