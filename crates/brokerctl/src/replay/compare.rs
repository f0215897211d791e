//! Compares what the server says with what the file says. Pure.

use std::collections::BTreeMap;

use brokerage_proto::order::v1::{Order, OrderStatus as WireStatus, Trade};
use brokerage_types::{Amount, OrderStatus, Reason, Side};
use serde::Serialize;

use super::fold::{FileOrder, Folded};
use super::message::{FilePrice, Kind, Message};
use super::setup::Run;

/// One thing on which file and server do not agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// An order, a trade, or a level of the book.
    pub what: String,
    /// Which of its values.
    pub value: &'static str,
    /// According to the file.
    pub file: String,
    /// According to the server.
    pub server: String,
}

/// What was read from the server after the last message.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Every order of the run's instrument.
    pub orders: Vec<Order>,
    /// Those that a filter by live statuses found.
    pub live: Vec<Order>,
    /// Every trade of the run's instrument.
    pub trades: Vec<Trade>,
}

/// Every difference, orders first, then trades, then the book.
#[must_use]
pub fn compare(run: &Run, folded: &Folded, seen: &Seen) -> Vec<Difference> {
    let mut differences = compare_orders(expected_orders(run, folded), &seen.orders);
    differences.extend(compare_trades(folded, &seen.trades));
    differences.extend(compare_book(folded, &seen.live));
    differences
}

/// The values of an order that follow from the file, by name.
type Values = BTreeMap<&'static str, String>;

/// By label: the file's orders, and one of the taker for each execution.
fn expected_orders(run: &Run, folded: &Folded) -> BTreeMap<String, Values> {
    let makers = folded
        .orders
        .iter()
        .map(|(reference, order)| (run.label(&reference.to_string(), 0), values_of_file(run.maker, order)));
    let takers = folded.playable.iter().filter(|message| message.kind == Kind::Execute).map(|message| {
        (run.label(&format!("line-{}", message.line), 0), values_of_file(run.taker, &opposing(message)))
    });
    makers.chain(takers).collect()
}

fn opposing(message: &Message) -> FileOrder {
    FileOrder {
        side: message.side.opposite(),
        price: message.price,
        size: message.size,
        executed: message.size,
        canceled: 0,
        deleted: false,
    }
}

fn values_of_file(customer: &str, order: &FileOrder) -> Values {
    BTreeMap::from([
        ("customer", customer.to_owned()),
        ("side", order.side.to_string()),
        ("price", order.price.to_string()),
        ("quantity", order.size.to_string()),
        ("filled", order.executed.to_string()),
        ("in flight", "0".to_owned()),
        ("canceled", order.canceled.to_string()),
        ("leaves", order.leaves().to_string()),
        ("status", order.status().as_str().to_owned()),
    ])
}

fn values_of_server(order: &Order) -> Values {
    BTreeMap::from([
        ("customer", order.customer_id.clone()),
        ("side", side_text(order)),
        ("price", canonical(&order.limit_price)),
        ("quantity", canonical(&order.quantity)),
        ("filled", canonical(&order.cum_quantity)),
        ("in flight", canonical(&order.inflight_quantity)),
        ("canceled", canonical(&order.canceled_quantity)),
        ("leaves", canonical(&order.leaves_quantity)),
        ("status", status_text(order.status())),
    ])
}

fn compare_orders(expected: BTreeMap<String, Values>, orders: &[Order]) -> Vec<Difference> {
    let mut differences = Vec::new();
    let mut seen: BTreeMap<&str, Vec<Values>> = BTreeMap::new();
    // What was given up never came to market, and was made anew under another label.
    for order in orders.iter().filter(|order| !was_given_up(order)) {
        seen.entry(Run::first_label(&order.client_order_id)).or_default().push(values_of_server(order));
    }
    for (label, file) in &expected {
        let found = seen.remove(label.as_str()).unwrap_or_default();
        if found.len() != 1 {
            differences.push(difference(label, "orders", "1", found.len()));
        }
        for server in &found {
            let differing = file.iter().filter(|(name, value)| server.get(*name) != Some(value));
            differences.extend(differing.map(|(name, value)| {
                difference(label, name, value, server.get(name).cloned().unwrap_or_default())
            }));
        }
    }
    differences.extend(seen.iter().map(|(label, found)| difference(label, "orders", "0", found.len())));
    differences
}

fn was_given_up(order: &Order) -> bool {
    order.status() == WireStatus::Rejected && order.reason == Reason::GaveUp.as_str()
}

/// Trades carry no label: as many of each size and price.
fn compare_trades(folded: &Folded, trades: &[Trade]) -> Vec<Difference> {
    let mut count: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    for (size, price) in &folded.executions {
        count.entry((size.to_string(), price.to_string())).or_default().0 += 1;
    }
    for trade in trades {
        count.entry((canonical(&trade.quantity), canonical(&trade.price))).or_default().1 += 1;
    }
    let differing = count.into_iter().filter(|(_, (file, server))| file != server);
    differing
        .map(|((size, price), (file, server))| {
            difference(&format!("{size} at {price}"), "trades", file, server)
        })
        .collect()
}

/// Open quantity and number of orders at each price of each side.
fn compare_book(folded: &Folded, live: &[Order]) -> Vec<Difference> {
    let level_text = |(size, orders): &(u64, usize)| format!("{size} in {orders} orders");
    let file: BTreeMap<(String, String), String> = folded
        .book()
        .iter()
        .map(|((side, price), level): (&(Side, FilePrice), _)| {
            ((side.to_string(), price.to_string()), level_text(level))
        })
        .collect();
    let mut levels: BTreeMap<(String, String), (Amount, usize)> = BTreeMap::new();
    for order in live {
        let level = levels
            .entry((side_text(order), canonical(&order.limit_price)))
            .or_insert_with(|| (Amount::ZERO, 0));
        let open = Amount::parse(&order.leaves_quantity).unwrap_or(Amount::ZERO);
        level.0 = level.0.checked_add(open).unwrap_or(Amount::ZERO);
        level.1 += 1;
    }
    let server: BTreeMap<(String, String), String> =
        levels.into_iter().map(|(at, (open, orders))| (at, format!("{open} in {orders} orders"))).collect();
    let prices: std::collections::BTreeSet<_> = file.keys().chain(server.keys()).collect();
    let of = |book: &BTreeMap<(String, String), String>, at: &(String, String)| {
        book.get(at).cloned().unwrap_or_else(|| "nothing".to_owned())
    };
    let differing = prices.into_iter().filter(|at| file.get(*at) != server.get(*at));
    differing
        .map(|at| difference(&format!("{} at {}", at.0, at.1), "book", of(&file, at), of(&server, at)))
        .collect()
}

fn difference(what: &str, value: &'static str, file: impl ToString, server: impl ToString) -> Difference {
    Difference { what: what.to_owned(), value, file: file.to_string(), server: server.to_string() }
}

/// Amounts are compared as numbers, not as they happen to be printed.
fn canonical(amount: &str) -> String {
    Amount::parse(amount).map_or_else(|_| format!("`{amount}`"), |amount| amount.to_string())
}

fn side_text(order: &Order) -> String {
    i16::try_from(order.side).ok().and_then(Side::from_code).map_or_else(String::new, |side| side.to_string())
}

fn status_text(status: WireStatus) -> String {
    let known = i16::try_from(i32::from(status)).ok().and_then(OrderStatus::from_code);
    known.map_or_else(String::new, |status| status.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{fold::fold, message::parse};
    use super::*;

    /// A server that did exactly what the file says.
    fn faithful(run: &Run, folded: &Folded) -> Seen {
        let order_of = |label: &String, values: &Values| Order {
            client_order_id: label.clone(),
            customer_id: values["customer"].clone(),
            side: i32::from(values["side"].parse::<Side>().unwrap().code()),
            limit_price: values["price"].clone(),
            quantity: values["quantity"].clone(),
            cum_quantity: values["filled"].clone(),
            inflight_quantity: "0".into(),
            canceled_quantity: values["canceled"].clone(),
            leaves_quantity: values["leaves"].clone(),
            status: i32::from(values["status"].parse::<OrderStatus>().unwrap().code()),
            ..Order::default()
        };
        let orders: Vec<Order> =
            expected_orders(run, folded).iter().map(|(label, values)| order_of(label, values)).collect();
        let live = orders.iter().filter(|order| order.leaves_quantity != "0").cloned().collect();
        let trade = |(size, price): &(u64, FilePrice)| Trade {
            quantity: size.to_string(),
            price: price.to_string(),
            ..Trade::default()
        };
        Seen { orders, live, trades: folded.executions.iter().map(trade).collect() }
    }

    fn scene() -> (Run, Folded) {
        let text =
            "1,1,7,100,10000,1\n2,4,7,40,10000,1\n3,1,8,5,10100,-1\n4,3,7,60,10000,1\n5,1,9,3,9900,1\n";
        (Run::fresh(), fold(&parse(text).unwrap()))
    }

    #[test]
    fn a_faithful_server_shows_no_difference() {
        let (run, folded) = scene();
        assert_eq!(compare(&run, &folded, &faithful(&run, &folded)), []);
    }

    #[test]
    fn an_order_that_was_given_up_and_made_anew_is_no_difference() {
        let (run, folded) = scene();
        let mut seen = faithful(&run, &folded);
        let given_up = Order {
            status: WireStatus::Rejected.into(),
            reason: "GAVE_UP".into(),
            leaves_quantity: "0".into(),
            ..seen.orders[0].clone()
        };
        seen.orders[0].client_order_id.push_str("~1");
        seen.orders.push(given_up);
        assert_eq!(compare(&run, &folded, &seen), []);
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let (run, folded) = scene();
        let check = |spoil: &dyn Fn(&mut Seen), value: &str| {
            let mut seen = faithful(&run, &folded);
            spoil(&mut seen);
            let found = compare(&run, &folded, &seen);
            assert!(found.iter().any(|difference| difference.value == value), "{value}: {found:?}");
        };
        check(&|seen| drop(seen.orders.pop()), "orders");
        check(
            &|seen| seen.orders.push(Order { client_order_id: "stranger".into(), ..Order::default() }),
            "orders",
        );
        check(&|seen| seen.orders[0].cum_quantity = "41".into(), "filled");
        check(&|seen| seen.orders[0].leaves_quantity = "1".into(), "leaves");
        check(&|seen| seen.orders[0].set_status(WireStatus::CancelRequested), "status");
        check(&|seen| seen.orders[0].inflight_quantity = "1".into(), "in flight");
        check(&|seen| seen.trades[0].price = "0.99".into(), "trades");
        check(&|seen| drop(seen.live.pop()), "book");
        check(&|seen| seen.live[0].leaves_quantity = "2".into(), "book");
    }
}
