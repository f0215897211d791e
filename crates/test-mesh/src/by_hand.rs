//! Sagas driven by hand: each step is one call on an internal listener, so that a test decides what comes between.
//!
//! A saga by hand has no intent and no orchestrator. Whoever begins one ends it, or the books stay open.

use brokerage_proto::asset::v1 as asset;
use brokerage_proto::asset::v1::asset_participant_client::AssetParticipantClient;
use brokerage_proto::common::v1::{StepContext, StepReply};
use brokerage_proto::order::v1 as order;
use brokerage_proto::order::v1::order_participant_client::OrderParticipantClient;
use tonic::{Response, Status};

use crate::brokerage::Brokerage;
use crate::identity::{Identity, Wire};
use crate::person::fresh;

/// What every saga by hand has: its number, its epoch and both participants.
#[derive(Clone, Debug)]
pub struct ByHand {
    /// The saga.
    pub saga_id: String,
    /// Sent with each step.
    pub epoch: u64,
    /// Sent with the first step; nobody can adopt a saga without.
    pub intent: Vec<u8>,
    /// order-svc's steps.
    pub order: OrderParticipantClient<Wire>,
    /// asset-svc's steps.
    pub asset: AssetParticipantClient<Wire>,
}

/// `draft`, `place_hold`, `open`.
#[derive(Clone, Debug)]
pub struct CreateByHand {
    /// Its number is the order's too.
    pub saga: ByHand,
    /// The order to be.
    pub draft: order::Draft,
    /// Its hold.
    pub hold: asset::PlaceHold,
}

/// `begin_cancel`, `await_drain`, `release_hold`, `confirm_cancel`.
#[derive(Clone, Debug)]
pub struct CancelByHand {
    /// Its number is nothing but its own.
    pub saga: ByHand,
    /// The order.
    pub order_id: String,
}

/// `reserve_match`, `settle_trade`, `apply_fill`.
#[derive(Clone, Debug)]
pub struct MatchByHand {
    /// Its number is the trade's too.
    pub saga: ByHand,
    /// The reservation.
    pub deal: order::ReserveMatch,
    /// The settlement.
    pub trade: asset::SettleTrade,
}

impl Brokerage {
    /// A saga by hand, with nothing done yet.
    #[must_use]
    pub fn by_hand(&self) -> ByHand {
        let caller = Identity::orchestrator();
        ByHand {
            saga_id: fresh(),
            epoch: 1,
            intent: Vec::new(),
            order: OrderParticipantClient::new(caller.on(&self.order.internal)),
            asset: AssetParticipantClient::new(caller.on(&self.asset.internal)),
        }
    }

    /// An order to be placed by hand.
    #[must_use]
    pub fn create_by_hand(&self, wish: &brokerage_proto::trading::v1::CreateOrderRequest) -> CreateByHand {
        let saga = self.by_hand();
        let order_id = saga.saga_id.clone();
        let draft = order::Draft {
            order_id: order_id.clone(),
            customer_id: wish.customer_id.clone(),
            client_order_id: order_id.clone(),
            instrument: wish.instrument.clone(),
            side: wish.side,
            limit_price: wish.limit_price.clone(),
            quantity: wish.quantity.clone(),
            created_by: wish.customer_id.clone(),
        };
        let hold = asset::PlaceHold {
            hold_id: order_id,
            customer_id: wish.customer_id.clone(),
            side: wish.side,
            // Every instrument of the test market is named after its base asset.
            base_asset: wish.instrument.clone(),
            quote_asset: "TRY".to_owned(),
            limit_price: wish.limit_price.clone(),
            quantity: wish.quantity.clone(),
        };
        CreateByHand { saga, draft, hold }
    }

    /// A cancel by hand.
    #[must_use]
    pub fn cancel_by_hand(&self, order_id: &str) -> CancelByHand {
        CancelByHand { saga: self.by_hand(), order_id: order_id.to_owned() }
    }

    /// A match by hand: so much of these orders, at this price.
    pub async fn match_by_hand(&self, buy: &str, sell: &str, quantity: &str, price: &str) -> MatchByHand {
        let saga = self.by_hand();
        let (bid, ask) = (self.admin().sees(buy).await, self.admin().sees(sell).await);
        let deal = order::ReserveMatch {
            trade_id: saga.saga_id.clone(),
            instrument: bid.instrument.clone(),
            buy_order_id: bid.order_id.clone(),
            sell_order_id: ask.order_id.clone(),
            quantity: quantity.to_owned(),
            price: price.to_owned(),
        };
        let trade = asset::SettleTrade {
            trade_id: saga.saga_id.clone(),
            buy_hold_id: bid.order_id,
            sell_hold_id: ask.order_id,
            buyer_id: bid.customer_id,
            seller_id: ask.customer_id,
            base_asset: bid.instrument,
            quote_asset: "TRY".to_owned(),
            quantity: quantity.to_owned(),
            price: price.to_owned(),
        };
        MatchByHand { saga, deal, trade }
    }
}

impl ByHand {
    fn context(&self, step: u32) -> Option<StepContext> {
        let saga_id = self.saga_id.clone();
        let intent = if step == 0 { self.intent.clone() } else { Vec::new() };
        Some(StepContext { saga_id, step, epoch: self.epoch, not_after: None, attempt: 1, intent })
    }
}

impl CreateByHand {
    /// ∅ → INIT.
    pub async fn draft(&self) -> String {
        let command = Some(self.draft.clone());
        let request = order::DraftRequest { context: self.saga.context(0), command };
        verdict(self.saga.order.clone().draft(request).await)
    }

    /// Holds what the order may cost.
    pub async fn place_hold(&self) -> String {
        let request =
            asset::PlaceHoldRequest { context: self.saga.context(1), command: Some(self.hold.clone()) };
        verdict(self.saga.asset.clone().place_hold(request).await)
    }

    /// INIT → PENDING.
    pub async fn open(&self) -> String {
        let command =
            order::Open { order_id: self.draft.order_id.clone(), instrument: self.draft.instrument.clone() };
        let request = order::OpenRequest { context: self.saga.context(2), command: Some(command) };
        verdict(self.saga.order.clone().open(request).await)
    }

    /// Takes the hold back, or sees to it that it is never placed.
    pub async fn undo_place_hold(&self, reason: &str) -> String {
        let kind = Some(asset::asset_command::Kind::PlaceHold(self.hold.clone()));
        let request = asset::CompensateRequest {
            context: self.saga.context(1),
            reason: reason.to_owned(),
            command: Some(asset::AssetCommand { kind }),
        };
        verdict(self.saga.asset.clone().compensate(request).await)
    }

    /// Rejects the order, or sees to it that it is never drafted.
    pub async fn undo_draft(&self, reason: &str) -> String {
        let kind = Some(order::order_command::Kind::Draft(self.draft.clone()));
        let request = order::CompensateRequest {
            context: self.saga.context(0),
            reason: reason.to_owned(),
            command: Some(order::OrderCommand { kind }),
        };
        verdict(self.saga.order.clone().compensate(request).await)
    }
}

impl CancelByHand {
    /// Live → CANCEL_REQUESTED.
    pub async fn begin(&self) -> String {
        let command =
            Some(order::BeginCancel { order_id: self.order_id.clone(), requested_by: "admin".to_owned() });
        let request = order::BeginCancelRequest { context: self.saga.context(0), command };
        verdict(self.saga.order.clone().begin_cancel(request).await)
    }

    /// Whether anything is in flight.
    pub async fn await_drain(&self) -> String {
        let request =
            order::AwaitDrainRequest { context: self.saga.context(1), order_id: self.order_id.clone() };
        verdict(self.saga.order.clone().await_drain(request).await)
    }

    /// Gives back what is left of the hold.
    pub async fn release_hold(&self) -> String {
        let command = Some(asset::ReleaseHold { hold_id: self.order_id.clone() });
        let request = asset::ReleaseHoldRequest { context: self.saga.context(2), command };
        verdict(self.saga.asset.clone().release_hold(request).await)
    }

    /// CANCEL_REQUESTED → CANCELED.
    pub async fn confirm(&self) -> String {
        let command = Some(order::ConfirmCancel { order_id: self.order_id.clone() });
        let request = order::ConfirmCancelRequest { context: self.saga.context(3), command };
        verdict(self.saga.order.clone().confirm_cancel(request).await)
    }
}

impl MatchByHand {
    /// Puts the quantity in flight on both orders.
    pub async fn reserve(&self) -> String {
        let command = Some(self.deal.clone());
        let request = order::ReserveMatchRequest { context: self.saga.context(0), command };
        verdict(self.saga.order.clone().reserve_match(request).await)
    }

    /// Moves money and shares.
    pub async fn settle(&self) -> String {
        let command = Some(self.trade.clone());
        let request = asset::SettleTradeRequest { context: self.saga.context(1), command };
        verdict(self.saga.asset.clone().settle_trade(request).await)
    }

    /// Books the fill on both orders.
    pub async fn fill(&self) -> String {
        let order::ReserveMatch { trade_id, instrument, buy_order_id, sell_order_id, quantity, price } =
            self.deal.clone();
        let command = order::ApplyFill { trade_id, instrument, buy_order_id, sell_order_id, quantity, price };
        let request = order::ApplyFillRequest { context: self.saga.context(2), command: Some(command) };
        verdict(self.saga.order.clone().apply_fill(request).await)
    }

    /// Gives the quantity back, or sees to it that it is never reserved.
    pub async fn undo_reserve(&self, reason: &str) -> String {
        let kind = Some(order::order_command::Kind::ReserveMatch(self.deal.clone()));
        let request = order::CompensateRequest {
            context: self.saga.context(0),
            reason: reason.to_owned(),
            command: Some(order::OrderCommand { kind }),
        };
        verdict(self.saga.order.clone().compensate(request).await)
    }

    /// Asks asset-svc to give the settlement up. Refused once it has run.
    pub async fn undo_settle(&self, reason: &str) -> String {
        let kind = Some(asset::asset_command::Kind::SettleTrade(self.trade.clone()));
        let request = asset::CompensateRequest {
            context: self.saga.context(1),
            reason: reason.to_owned(),
            command: Some(asset::AssetCommand { kind }),
        };
        verdict(self.saga.asset.clone().compensate(request).await)
    }
}

/// A reply as one word, such as `DONE` or `REJECTED(SELF_TRADE)`.
fn verdict(reply: Result<Response<StepReply>, Status>) -> String {
    let reply = reply.unwrap().into_inner();
    let word = reply.verdict().as_str_name().trim_start_matches("VERDICT_").to_owned();
    if reply.reason.is_empty() { word } else { format!("{word}({})", reply.reason) }
}
