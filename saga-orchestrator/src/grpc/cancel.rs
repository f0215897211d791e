//! CancelOrder: an order that has ended is refused without a saga; a second cancel joins the running one.

use brokerage_proto::trading::v1::{CancelOrderRequest, CancelOrderResponse};
use brokerage_types::{ClientOrderId, CustomerId, OrderId, Reason, RequestId, SagaId};
use serde::Serialize;
use service_kit::auth::Principal;
use service_kit::fault::{ApiResult, Refusal};
use service_kit::validate::Fields;
use uuid::Uuid;

use super::Desk;
use super::desk::{Ask, Settled};
use crate::participants::Which;
use crate::sagas::{Input, Kind, cancel_order};

/// What a cancel's request id stands for.
#[derive(Serialize)]
struct Asked<'a> {
    order_id: Option<OrderId>,
    customer_id: Option<&'a CustomerId>,
    client_order_id: Option<&'a ClientOrderId>,
}

impl Desk {
    pub(super) async fn cancel(
        &self,
        principal: &Principal,
        request: CancelOrderRequest,
    ) -> ApiResult<CancelOrderResponse> {
        self.has_room()?;
        let (request_id, which) = read(principal, &request)?;
        let asked = match &which {
            Which::Id(order_id) => {
                Asked { order_id: Some(*order_id), customer_id: None, client_order_id: None }
            }
            Which::Label(customer_id, label) => {
                Asked { order_id: None, customer_id: Some(customer_id), client_order_id: Some(label) }
            }
        };
        let ask = Ask::new(&principal.subject, Kind::CancelOrder, request_id, &asked)?;
        if !request.validate_only
            && let Some(settled) = self.replay(&ask).await?
        {
            return response(settled);
        }
        let order = self.terms.order(&which, &principal.scope()).await?;
        if order.status.is_terminal() {
            return Err(Refusal::new(Reason::TooLateToCancel, Reason::TooLateToCancel.meaning())
                .with("order_id", order.order_id.to_string())
                .with("status", order.status.as_str())
                .into());
        }
        if request.validate_only {
            let order_id = order.order_id.to_string();
            return Ok(CancelOrderResponse { order_id, ..CancelOrderResponse::default() });
        }
        let pass = self.door.enter(&[order.order_id]).await;
        let saga_id = SagaId::from(Uuid::now_v7());
        let input = cancel_order::Input { order_id: order.order_id, requested_by: principal.actor() };
        let settled = self.settle(ask, saga_id, Input::CancelOrder(input)).await;
        drop(pass);
        response(settled?)
    }
}

fn read(principal: &Principal, request: &CancelOrderRequest) -> ApiResult<(Uuid, Which)> {
    let mut fields = Fields::new();
    let request_id = fields.parse::<RequestId>("request_id", &request.request_id);
    let which = if request.client_order_id.is_empty() {
        fields.parse::<OrderId>("order_id", &request.order_id).map(Which::Id)
    } else {
        if !request.order_id.is_empty() {
            let description = "give order_id or client_order_id, not both";
            fields.violate("client_order_id", Reason::FieldInvalid, description);
        }
        let label = fields.parse::<ClientOrderId>("client_order_id", &request.client_order_id);
        let customer_id = match principal.customer_or_self(&request.customer_id) {
            Ok(customer_id) => Some(customer_id),
            Err(service_kit::fault::ApiError::Refusal(refusal)) if !refusal.violations.is_empty() => {
                fields.extend(refusal.violations);
                None
            }
            Err(error) => return Err(error),
        };
        customer_id.zip(label).map(|(customer_id, label)| Which::Label(customer_id, label))
    };
    let (request_id, which) = fields.finish(request_id.zip(which))?;
    Ok((request_id.uuid(), which))
}

fn response(settled: Settled) -> ApiResult<CancelOrderResponse> {
    let order_id = match &settled.input {
        Input::CancelOrder(input) => input.order_id.to_string(),
        Input::CreateOrder(_) | Input::MatchOrders(_) => String::new(),
    };
    let settled = settled.completed(&[("order_id", order_id.clone())])?;
    Ok(CancelOrderResponse { order_id, saga_id: settled.saga_id.to_string(), replayed: settled.replayed })
}
