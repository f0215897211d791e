//! MatchOrders: quantity and price are fixed before the saga starts, from what both orders say now.
//!
//! The checks here spare a saga that would fail; the reservation makes them again and decides.

use brokerage_proto::trading::v1::{MatchOrdersRequest, MatchOrdersResponse};
use brokerage_types::{
    Instrument, InstrumentState, OrderId, Price, Quantity, Reason, RequestId, SagaId, Side, TradeId,
};
use serde::Serialize;
use service_kit::auth::Principal;
use service_kit::fault::{ApiResult, Refusal};
use service_kit::validate::Fields;
use uuid::Uuid;

use super::Desk;
use super::desk::{Ask, Settled};
use crate::participants::{OrderTerms, Which};
use crate::sagas::{Input, Kind, match_orders};

/// What a match's request id stands for.
#[derive(Debug, Serialize)]
struct Asked {
    #[serde(skip)]
    request_id: Uuid,
    buy_order_id: OrderId,
    sell_order_id: OrderId,
    quantity: Option<Quantity>,
    price: Option<Price>,
}

impl Desk {
    pub(super) async fn match_orders(
        &self,
        principal: &Principal,
        request: MatchOrdersRequest,
    ) -> ApiResult<MatchOrdersResponse> {
        self.has_room()?;
        let asked = read(&request)?;
        let ask = Ask::new(&principal.subject, Kind::MatchOrders, asked.request_id, &asked)?;
        if !request.validate_only
            && let Some(settled) = self.replay(&ask).await?
        {
            return response(settled);
        }
        let scope = principal.scope();
        let (buy, sell) = (Which::Id(asked.buy_order_id), Which::Id(asked.sell_order_id));
        let (buy, sell) = tokio::try_join!(self.terms.order(&buy, &scope), self.terms.order(&sell, &scope))?;
        check_pair(&buy, &sell)?;
        let instrument = self.terms.instrument(&buy.instrument).await?;
        let (quantity, price) = agree(&asked, &buy, &sell, &instrument)?;
        if request.validate_only {
            let (quantity, price) = (quantity.to_string(), price.to_string());
            return Ok(MatchOrdersResponse { quantity, price, ..MatchOrdersResponse::default() });
        }
        let pass = self.door.enter(&[buy.order_id, sell.order_id]).await;
        let saga_id = SagaId::from(Uuid::now_v7());
        let input = match_orders::Input {
            trade_id: TradeId::of_saga(saga_id),
            instrument: buy.instrument,
            base_asset: buy.base_asset,
            quote_asset: buy.quote_asset,
            buy_order_id: buy.order_id,
            sell_order_id: sell.order_id,
            buyer_id: buy.customer_id,
            seller_id: sell.customer_id,
            quantity,
            price,
        };
        let settled = self.settle(ask, saga_id, Input::MatchOrders(input)).await;
        drop(pass);
        response(settled?)
    }
}

fn read(request: &MatchOrdersRequest) -> ApiResult<Asked> {
    let mut fields = Fields::new();
    let request_id = fields.parse::<RequestId>("request_id", &request.request_id);
    let buy_order_id = fields.parse::<OrderId>("buy_order_id", &request.buy_order_id);
    let sell_order_id = fields.parse::<OrderId>("sell_order_id", &request.sell_order_id);
    let quantity = fields.optional::<Quantity>("quantity", &request.quantity);
    let price = fields.optional::<Price>("price", &request.price);
    if quantity.flatten().is_some_and(Quantity::is_zero) {
        fields.violate("quantity", Reason::AmountNotPositive, "must be more than 0");
    }
    let read = || {
        Some(Asked {
            request_id: request_id?.uuid(),
            buy_order_id: buy_order_id?,
            sell_order_id: sell_order_id?,
            quantity: quantity?,
            price: price?,
        })
    };
    fields.finish(read())
}

fn refuse(reason: Reason) -> Refusal {
    Refusal::new(reason, reason.meaning())
}

/// Rules about the pair (M-4). Numbers come after.
fn check_pair(buy: &OrderTerms, sell: &OrderTerms) -> Result<(), Refusal> {
    if buy.side == sell.side {
        return Err(refuse(Reason::SameSide).with("side", buy.side.as_str()));
    }
    if buy.side != Side::Buy {
        return Err(Refusal::field("buy_order_id", Reason::FieldInvalid, "is a sell order: swap the two"));
    }
    if buy.instrument != sell.instrument {
        return Err(refuse(Reason::InstrumentMismatch)
            .with("buy_instrument", buy.instrument.as_str())
            .with("sell_instrument", sell.instrument.as_str()));
    }
    if buy.customer_id == sell.customer_id {
        return Err(refuse(Reason::SelfTrade));
    }
    for order in [buy, sell] {
        if !order.status.is_matchable() || order.matchable.is_zero() {
            return Err(refuse(Reason::NotMatchable)
                .with("order_id", order.order_id.to_string())
                .with("status", order.status.as_str()));
        }
    }
    if buy.limit_price < sell.limit_price {
        return Err(refuse(Reason::NotCrossing)
            .with("buy_limit", buy.limit_price.to_string())
            .with("sell_limit", sell.limit_price.to_string()));
    }
    Ok(())
}

/// Quantity (M-3) and price (M-2).
fn agree(
    asked: &Asked,
    buy: &OrderTerms,
    sell: &OrderTerms,
    instrument: &Instrument,
) -> ApiResult<(Quantity, Price)> {
    if instrument.state == InstrumentState::Halted {
        return Err(refuse(Reason::MarketHalted).into());
    }
    let most = buy.matchable.min(sell.matchable);
    // The resting order came first, and its limit is the price.
    let resting = if buy.accept_seq < sell.accept_seq { buy.limit_price } else { sell.limit_price };
    let (quantity, price) = (asked.quantity.unwrap_or(most), asked.price.unwrap_or(resting));
    let mut fields = Fields::new();
    if asked.quantity.is_some() && !quantity.is_multiple_of(instrument.lot) {
        fields.violate("quantity", Reason::OffLot, format!("must be a multiple of {}", instrument.lot));
    }
    if asked.price.is_some() && !instrument.tick_at(price).is_some_and(|tick| price.is_multiple_of(tick)) {
        fields.violate("price", Reason::OffTick, "must be a multiple of the tick at this price");
    }
    fields.finish(Some(()))?;
    if quantity > most {
        return Err(refuse(Reason::QuantityExceedsLeaves)
            .with("matchable_quantity", most.to_string())
            .into());
    }
    if price > buy.limit_price || price < sell.limit_price {
        return Err(refuse(Reason::PriceOutsideLimits)
            .with("lowest", sell.limit_price.to_string())
            .with("highest", buy.limit_price.to_string())
            .into());
    }
    Ok((quantity, price))
}

fn response(settled: Settled) -> ApiResult<MatchOrdersResponse> {
    let trade_id = TradeId::of_saga(settled.saga_id).to_string();
    let settled = settled.completed(&[("trade_id", trade_id.clone())])?;
    let (quantity, price) = match &settled.input {
        Input::MatchOrders(input) => (input.quantity.to_string(), input.price.to_string()),
        Input::CreateOrder(_) | Input::CancelOrder(_) => (String::new(), String::new()),
    };
    let saga_id = settled.saga_id.to_string();
    Ok(MatchOrdersResponse { trade_id, saga_id, quantity, price, replayed: settled.replayed })
}
