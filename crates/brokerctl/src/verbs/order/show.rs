//! How orders look in tables.

use brokerage_proto::order::v1::{ListOrdersResponse, Order};
use comfy_table::Table;

use crate::output::{card, short, table, time};

pub(super) fn order_card(order: &Order) -> Table {
    card(&[
        ("order", order.order_id.clone()),
        ("customer", order.customer_id.clone()),
        ("label", order.client_order_id.clone()),
        ("instrument", order.instrument.clone()),
        ("side", short(order.side().as_str_name(), "SIDE_")),
        ("limit price", order.limit_price.clone()),
        ("quantity", order.quantity.clone()),
        ("filled", order.cum_quantity.clone()),
        ("in flight", order.inflight_quantity.clone()),
        ("canceled", order.canceled_quantity.clone()),
        ("leaves", order.leaves_quantity.clone()),
        ("average price", order.average_price.clone()),
        ("status", short(order.status().as_str_name(), "ORDER_STATUS_")),
        ("reason", order.reason.clone()),
        ("version", order.version.to_string()),
        ("placed by", order.created_by.clone()),
        ("created", time(order.created_at.as_ref())),
        ("changed", time(order.updated_at.as_ref())),
    ])
}

pub(super) fn orders_table(list: &ListOrdersResponse) -> Table {
    let mut table = table(&[
        "order",
        "customer",
        "instrument",
        "side",
        "price",
        "quantity",
        "filled",
        "leaves",
        "status",
        "created",
    ]);
    for order in &list.orders {
        table.add_row([
            order.order_id.clone(),
            order.customer_id.clone(),
            order.instrument.clone(),
            short(order.side().as_str_name(), "SIDE_"),
            order.limit_price.clone(),
            order.quantity.clone(),
            order.cum_quantity.clone(),
            order.leaves_quantity.clone(),
            short(order.status().as_str_name(), "ORDER_STATUS_"),
            time(order.created_at.as_ref()),
        ]);
    }
    table
}

pub(super) fn fills_table(order: &Order) -> Table {
    let mut table = table(&["trade", "quantity", "price", "at"]);
    for fill in &order.fills {
        let at = time(fill.created_at.as_ref());
        table.add_row([fill.trade_id.clone(), fill.quantity.clone(), fill.price.clone(), at]);
    }
    table
}

pub(super) fn history_table(order: &Order) -> Table {
    let mut table = table(&["seq", "event", "at", "content"]);
    for event in &order.history {
        let at = time(event.created_at.as_ref());
        table.add_row([event.seq.to_string(), event.r#type.clone(), at, event.payload_json.clone()]);
    }
    table
}
