//! CreateOrder: every check that needs no effect comes before the intent, all field violations at once.

use brokerage_proto::common::v1::Side as WireSide;
use brokerage_proto::trading::v1::{CreateOrderRequest, CreateOrderResponse};
use brokerage_types::{
    ClientOrderId, CustomerId, HoldId, InstrumentState, OrderId, Price, Quantity, Reason, RequestId, SagaId,
    Side, Symbol,
};
use serde::Serialize;
use service_kit::auth::Principal;
use service_kit::fault::{ApiError, ApiResult, Refusal};
use service_kit::validate::Fields;
use uuid::Uuid;

use super::Desk;
use super::desk::{Ask, Settled};
use crate::participants::InstrumentTerms;
use crate::sagas::command::asset::PlaceHold;
use crate::sagas::{Input, Kind, create_order};

/// What is asked for; also what the request id stands for.
#[derive(Clone, Debug, Serialize)]
struct Asked {
    #[serde(skip)]
    request_id: Uuid,
    customer_id: CustomerId,
    client_order_id: Option<ClientOrderId>,
    instrument: Symbol,
    side: Side,
    limit_price: Price,
    quantity: Quantity,
}

/// What could be read of a request.
struct Reading {
    asked: Option<Asked>,
    /// Enough to check price and quantity, whatever else is wrong.
    priced: Option<(Symbol, Price, Quantity)>,
    /// The customer is none that the caller may act for.
    foreign: Option<ApiError>,
}

impl Desk {
    pub(super) async fn create(
        &self,
        principal: &Principal,
        request: CreateOrderRequest,
    ) -> ApiResult<CreateOrderResponse> {
        self.has_room()?;
        let mut fields = Fields::new();
        let reading = read(&mut fields, principal, &request);
        let asked = reading.asked.clone();
        // In a box each: who waits for a saga does not keep what was needed before.
        let admitted = Box::pin(self.admit(fields, reading)).await;
        let (instrument, asked) = match (admitted, asked) {
            (Ok(instrument), Some(asked)) => (instrument, asked),
            (Err(refused), Some(asked)) if !request.validate_only => {
                // What was accepted before keeps its answer, even if it would be refused now.
                let ask = ask(principal, &asked)?;
                return match Box::pin(self.replay(&ask)).await? {
                    Some(settled) => response(settled),
                    None => Err(refused),
                };
            }
            (Err(refused), Some(_) | None) => return Err(refused),
            (Ok(_), None) => {
                return Err(Refusal::new(Reason::ValidationFailed, "the request is not valid").into());
            }
        };
        let saga_id = SagaId::from(Uuid::now_v7());
        let input = input(principal, &asked, &instrument, saga_id)?;
        if request.validate_only {
            return Box::pin(self.rehearse(&instrument, &input)).await;
        }
        let ask = ask(principal, &asked)?;
        response(self.settle(ask, saga_id, Input::CreateOrder(input)).await?)
    }

    /// Everything that can be refused without an effect.
    async fn admit(&self, mut fields: Fields, reading: Reading) -> ApiResult<InstrumentTerms> {
        let instrument = match &reading.priced {
            Some((symbol, ..)) => Some(self.terms.instrument(symbol).await),
            None => None,
        };
        if let (Some(Ok(instrument)), Some((_, price, quantity))) = (&instrument, &reading.priced) {
            fields.extend(instrument.check_order(*price, *quantity));
        }
        if let Some(foreign) = reading.foreign {
            // Field violations first: the caller mends them before it matters whose order it is.
            fields.finish(Some(()))?;
            return Err(foreign);
        }
        let (asked, instrument) = fields.finish(reading.asked.zip(instrument))?;
        let instrument = instrument?;
        self.terms.customer_exists(&asked.customer_id).await?;
        Ok(instrument)
    }

    /// The checks that the steps would make, without the steps.
    async fn rehearse(
        &self,
        instrument: &InstrumentTerms,
        input: &create_order::Input,
    ) -> ApiResult<CreateOrderResponse> {
        if instrument.state == InstrumentState::Halted {
            return Err(Refusal::new(Reason::MarketHalted, Reason::MarketHalted.meaning()).into());
        }
        let hold = PlaceHold {
            hold_id: HoldId::of_order(input.order_id),
            customer_id: input.customer_id.clone(),
            side: input.side,
            base_asset: input.base_asset.clone(),
            quote_asset: input.quote_asset.clone(),
            limit_price: input.limit_price,
            quantity: input.quantity,
        };
        if let Some(reason) = self.terms.hold_refusal(&hold).await? {
            return Err(Refusal::new(reason, reason.meaning()).into());
        }
        Ok(CreateOrderResponse::default())
    }
}

fn read(fields: &mut Fields, principal: &Principal, request: &CreateOrderRequest) -> Reading {
    let mut foreign = None;
    let request_id = fields.parse::<RequestId>("request_id", &request.request_id);
    let customer_id = match principal.customer_or_self(&request.customer_id) {
        Ok(customer_id) => Some(customer_id),
        Err(ApiError::Refusal(refusal)) if !refusal.violations.is_empty() => {
            fields.extend(refusal.violations);
            None
        }
        Err(error) => {
            foreign = Some(error);
            None
        }
    };
    let client_order_id = fields.optional::<ClientOrderId>("client_order_id", &request.client_order_id);
    let instrument = fields.parse::<Symbol>("instrument", &request.instrument);
    let side = fields.choice("side", request.side, |side: WireSide| match side {
        WireSide::Buy => Some(Side::Buy),
        WireSide::Sell => Some(Side::Sell),
        WireSide::Unspecified => None,
    });
    let limit_price = fields.amount::<Price>("limit_price", &request.limit_price);
    let quantity = fields.amount::<Quantity>("quantity", &request.quantity);
    let priced = instrument.clone().zip(limit_price).zip(quantity);
    let read = || {
        Some(Asked {
            request_id: request_id?.uuid(),
            customer_id: customer_id?,
            client_order_id: client_order_id?,
            instrument: instrument?,
            side: side?,
            limit_price: limit_price?,
            quantity: quantity?,
        })
    };
    Reading {
        asked: read(),
        priced: priced.map(|((symbol, price), quantity)| (symbol, price, quantity)),
        foreign,
    }
}

fn ask(principal: &Principal, asked: &Asked) -> ApiResult<Ask> {
    Ask::new(&principal.subject, Kind::CreateOrder, asked.request_id, asked)
}

fn input(
    principal: &Principal,
    asked: &Asked,
    instrument: &InstrumentTerms,
    saga_id: SagaId,
) -> ApiResult<create_order::Input> {
    let client_order_id = match &asked.client_order_id {
        Some(label) => label.clone(),
        None => ClientOrderId::parse(&saga_id.to_string())
            .map_err(|error| service_kit::fault::Fault::internal("label an order", error))?,
    };
    Ok(create_order::Input {
        order_id: OrderId::of_saga(saga_id),
        customer_id: asked.customer_id.clone(),
        client_order_id,
        instrument: asked.instrument.clone(),
        base_asset: instrument.base.clone(),
        quote_asset: instrument.quote.clone(),
        side: asked.side,
        limit_price: asked.limit_price,
        quantity: asked.quantity,
        created_by: principal.actor(),
    })
}

fn response(settled: Settled) -> ApiResult<CreateOrderResponse> {
    let order_id = OrderId::of_saga(settled.saga_id).to_string();
    let settled = settled.completed(&[("order_id", order_id.clone())])?;
    let client_order_id = match &settled.input {
        Input::CreateOrder(input) => input.client_order_id.to_string(),
        Input::CancelOrder(_) | Input::MatchOrders(_) => String::new(),
    };
    let saga_id = settled.saga_id.to_string();
    Ok(CreateOrderResponse { order_id, saga_id, client_order_id, replayed: settled.replayed })
}
