//! Questions as they come over the wire: which order, which filters, whose rows.

use brokerage_proto::order::v1 as wire;
use brokerage_types::{ClientOrderId, CustomerId, OrderId, Reason, Symbol};
use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use service_kit::auth::Principal;
use service_kit::fault::ApiResult;
use service_kit::validate::Fields;

use super::commands;
use crate::domain::Status;
use crate::store::reads::{Detail, OrderFilter, OrderKey, OrderSort, TradeFilter, Visible};

/// How many statuses one filter may name.
const STATUSES_MAX: usize = 100;
/// How long a label's prefix and an actor may be.
const TEXT_LENGTH_MAX: usize = 128;

/// Which order, and what of it.
pub fn get_order(principal: &Principal, request: &wire::GetOrderRequest) -> ApiResult<(OrderKey, Detail)> {
    let key = if request.order_id.is_empty() {
        let mut fields = Fields::new();
        let label = label(&mut fields, &request.client_order_id);
        let label = fields.finish(label)?;
        OrderKey::Label(principal.customer_or_self(&request.customer_id)?, label)
    } else {
        by_id(&request.order_id, &request.client_order_id)?
    };
    Ok((key, Detail { fills: request.with_fills, history: request.with_history }))
}

/// Which order, and whose the orchestrator's caller may see.
pub fn terms_request(request: &wire::GetTermsRequest) -> ApiResult<(OrderKey, Visible)> {
    let mut fields = Fields::new();
    let scope = fields.message("scope", &request.scope);
    let visible = scope.and_then(|scope| visible(&mut fields, scope));
    let key = if request.order_id.is_empty() {
        let label = label(&mut fields, &request.client_order_id);
        let customer = fields.parse::<CustomerId>("customer_id", &request.customer_id);
        fields.finish(label.zip(customer)).map(|(label, customer)| OrderKey::Label(customer, label))?
    } else {
        fields.finish(visible.as_ref())?;
        by_id(&request.order_id, &request.client_order_id)?
    };
    Ok((key, visible.unwrap_or_else(|| Some(Vec::new()))))
}

/// The customers of a scope; Postgres takes no text that is no customer's id, such as one with a zero byte.
fn visible(fields: &mut Fields, scope: &wire::Scope) -> Option<Visible> {
    if scope.any {
        return Some(None);
    }
    let parse = |id: &String| fields.parse::<CustomerId>("scope.customer_ids", id).map(|id| id.to_string());
    scope.customer_ids.iter().map(parse).collect::<Option<Vec<_>>>().map(Some)
}

fn by_id(order_id: &str, client_order_id: &str) -> ApiResult<OrderKey> {
    let mut fields = Fields::new();
    if !client_order_id.is_empty() {
        fields.violate("client_order_id", Reason::FieldInvalid, "give either order_id or client_order_id");
    }
    let id = fields.parse::<OrderId>("order_id", order_id);
    fields.finish(id).map(OrderKey::Id)
}

fn label(fields: &mut Fields, text: &str) -> Option<ClientOrderId> {
    if text.is_empty() {
        fields.violate("order_id", Reason::FieldRequired, "give order_id or client_order_id");
        return None;
    }
    fields.parse("client_order_id", text)
}

/// Which orders.
pub fn list_orders(principal: &Principal, request: &wire::ListOrdersRequest) -> ApiResult<OrderFilter> {
    let visible = principal.scope_of(&request.customer_id)?.as_sql();
    let mut fields = Fields::new();
    let statuses = statuses(&mut fields, &request.statuses);
    let instrument = fields.optional::<Symbol>("instrument", &request.instrument);
    let side = match request.side {
        0 => Some(None),
        side => fields.choice("side", side, commands::side).map(Some),
    };
    let created_from = instant(&mut fields, "created_from", request.created_from.as_ref());
    let created_to = instant(&mut fields, "created_to", request.created_to.as_ref());
    let updated_from = instant(&mut fields, "updated_from", request.updated_from.as_ref());
    let updated_to = instant(&mut fields, "updated_to", request.updated_to.as_ref());
    let label_prefix = optional_text(&mut fields, "client_order_id_prefix", &request.client_order_id_prefix);
    let created_by = optional_text(&mut fields, "created_by", &request.created_by);
    let sort = match wire::OrderSort::try_from(request.sort) {
        Ok(wire::OrderSort::Unspecified | wire::OrderSort::CreatedDesc) => OrderSort::CreatedDesc,
        Ok(wire::OrderSort::CreatedAsc) => OrderSort::CreatedAsc,
        Ok(wire::OrderSort::UpdatedDesc) => OrderSort::UpdatedDesc,
        Ok(wire::OrderSort::UpdatedAsc) => OrderSort::UpdatedAsc,
        Err(_) => {
            fields.violate("sort", Reason::FieldInvalid, "is not a value of this field");
            OrderSort::default()
        }
    };
    let filter = OrderFilter {
        visible,
        statuses,
        instrument: instrument.flatten().map(|symbol| symbol.to_string()),
        side: side.flatten().map(|side| side.as_str().to_owned()),
        created_from,
        created_to,
        updated_from,
        updated_to,
        label_prefix,
        created_by,
        sort,
    };
    fields.finish(Some(filter))
}

fn statuses(fields: &mut Fields, statuses: &[i32]) -> Option<Vec<String>> {
    if statuses.is_empty() {
        return None;
    }
    if statuses.len() > STATUSES_MAX {
        fields.violate("statuses", Reason::FieldInvalid, format!("must be at most {STATUSES_MAX}"));
        return None;
    }
    let read = statuses.iter().enumerate().filter_map(|(index, status_number)| {
        fields
            .choice(&format!("statuses[{index}]"), *status_number, status)
            .map(|status| status.as_str().to_owned())
    });
    let mut read: Vec<String> = read.collect();
    read.sort_unstable();
    read.dedup();
    Some(read)
}

fn status(status: wire::OrderStatus) -> Option<Status> {
    match status {
        wire::OrderStatus::Unspecified => None,
        wire::OrderStatus::Init => Some(Status::Init),
        wire::OrderStatus::Pending => Some(Status::Pending),
        wire::OrderStatus::PartiallyMatched => Some(Status::PartiallyMatched),
        wire::OrderStatus::CancelRequested => Some(Status::CancelRequested),
        wire::OrderStatus::Matched => Some(Status::Matched),
        wire::OrderStatus::Canceled => Some(Status::Canceled),
        wire::OrderStatus::Rejected => Some(Status::Rejected),
        wire::OrderStatus::Suspended => Some(Status::Suspended),
    }
}

fn instant(fields: &mut Fields, field: &str, stamp: Option<&Timestamp>) -> Option<DateTime<Utc>> {
    let stamp = stamp?;
    let read =
        u32::try_from(stamp.nanos).ok().and_then(|nanos| DateTime::from_timestamp(stamp.seconds, nanos));
    if read.is_none() {
        fields.violate(field, Reason::FieldInvalid, "is no instant");
    }
    read
}

fn optional_text(fields: &mut Fields, field: &str, text: &str) -> Option<String> {
    if text.is_empty() { None } else { fields.text(field, text, TEXT_LENGTH_MAX).map(str::to_owned) }
}

/// Which trades; everybody sees the tape, but order ids only of customers in his scope.
pub fn list_trades(principal: &Principal, request: &wire::ListTradesRequest) -> ApiResult<TradeFilter> {
    let customer = if request.customer_id.is_empty() {
        None
    } else {
        Some(principal.customer_or_self(&request.customer_id)?.to_string())
    };
    let mut fields = Fields::new();
    let instrument = fields.optional::<Symbol>("instrument", &request.instrument);
    let order_id = fields.optional::<OrderId>("order_id", &request.order_id);
    let filter = TradeFilter {
        visible: principal.scope().as_sql(),
        instrument: instrument.flatten().map(|symbol| symbol.to_string()),
        order_id: order_id.flatten().map(OrderId::uuid),
        customer,
    };
    fields.finish(Some(filter))
}
