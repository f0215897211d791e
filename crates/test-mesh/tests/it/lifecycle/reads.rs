//! Reads: filters, pages that stand still while others trade, histories, the tape.

use std::collections::BTreeSet;

use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1 as order;
use brokerage_proto::order::v1::{ListOrdersRequest, OrderSort, OrderStatus};
use brokerage_proto::trading::v1::CreateOrderRequest;
use test_mesh::{ALICE, BOB, Brokerage, Person};

async fn list(person: &Person, request: ListOrdersRequest) -> Vec<String> {
    let listed = person.orders.clone().list_orders(request).await.unwrap().into_inner();
    listed.orders.into_iter().map(|order| order.order_id).collect()
}

#[tokio::test]
async fn lists_show_what_is_asked_for_and_what_the_caller_may_see() {
    let brokerage = Brokerage::start().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    admin.deposits(ALICE, "TRY", "1000").await;
    admin.deposits(BOB, "THYAO", "100").await;
    let lunch =
        CreateOrderRequest { client_order_id: "lunch-1".to_owned(), ..alice.bid("GARAN", "0.5", "8.00") };
    let lunch = alice.places(lunch).await;
    let open = alice.buys("THYAO", "10", "7.00").await;
    let canceled = alice.buys("THYAO", "10", "8.00").await;
    alice.cancels(&canceled).await;
    let helped = brokerage.employee();
    let helped = helped
        .places(CreateOrderRequest { customer_id: ALICE.to_owned(), ..helped.bid("THYAO", "1", "6.00") })
        .await;
    let his = bob.sells("THYAO", "10", "9.00").await;

    let all = ListOrdersRequest::default;
    let hers = [helped.clone(), canceled.clone(), open.clone(), lunch.clone()];
    assert_eq!(list(&alice, all()).await, hers, "newest first, and her own only");
    assert_eq!(list(&brokerage.employee(), all()).await, hers, "whoever works for her sees hers");
    assert_eq!(list(&bob, all()).await, std::slice::from_ref(&his));
    assert_eq!(list(&brokerage.auditor(), all()).await.len(), 5);

    let only = |wanted: &[&String]| wanted.iter().map(|id| (*id).clone()).collect::<Vec<_>>();
    let status = |status: OrderStatus| ListOrdersRequest { statuses: vec![status.into()], ..all() };
    assert_eq!(list(&alice, status(OrderStatus::Canceled)).await, only(&[&canceled]));
    assert_eq!(list(&alice, status(OrderStatus::Matched)).await, only(&[]));
    let instrument = ListOrdersRequest { instrument: "GARAN".to_owned(), ..all() };
    assert_eq!(list(&alice, instrument).await, only(&[&lunch]));
    let sells = ListOrdersRequest { side: Side::Sell.into(), ..all() };
    assert_eq!(list(&admin, sells).await, only(&[&his]));
    let label = ListOrdersRequest { client_order_id_prefix: "lunch".to_owned(), ..all() };
    assert_eq!(list(&alice, label).await, only(&[&lunch]));
    let by_employee = ListOrdersRequest { created_by: "employee".to_owned(), ..all() };
    assert_eq!(list(&alice, by_employee).await, only(&[&helped]));
    let customer = ListOrdersRequest { customer_id: BOB.to_owned(), ..all() };
    assert_eq!(list(&admin, customer).await, only(&[&his]));
    let oldest = ListOrdersRequest { sort: OrderSort::CreatedAsc.into(), page_size: 2, ..all() };
    assert_eq!(list(&alice, oldest).await, only(&[&lunch, &open]));
    // From one order's birth, inclusive, to another's, exclusive.
    let (from, to) = (alice.sees(&open).await.created_at, alice.sees(&helped).await.created_at);
    let between = ListOrdersRequest { created_from: from, created_to: to, ..all() };
    assert_eq!(list(&alice, between).await, only(&[&canceled, &open]));

    let by_label = order::GetOrderRequest { client_order_id: "lunch-1".to_owned(), ..Default::default() };
    let found = alice.orders.clone().get_order(by_label).await.unwrap().into_inner();
    assert_eq!(found.order_id, lunch);
    brokerage.audit().await;
}

#[tokio::test]
async fn pages_neither_skip_nor_repeat_while_orders_come_in() {
    let brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "1000").await;
    for sort in [OrderSort::CreatedDesc, OrderSort::CreatedAsc] {
        let mut there = BTreeSet::new();
        for _ in 0..7 {
            there.insert(alice.buys("THYAO", "1", "1.00").await);
        }
        let mut request = ListOrdersRequest { page_size: 3, sort: sort.into(), ..Default::default() };
        let mut seen = Vec::new();
        loop {
            let page = alice.orders.clone().list_orders(request.clone()).await.unwrap().into_inner();
            assert!(page.orders.len() <= 3);
            seen.extend(page.orders.into_iter().map(|order| order.order_id));
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
            if seen.len() < 9 {
                alice.buys("THYAO", "1", "1.00").await;
            }
        }
        let distinct: BTreeSet<_> = seen.iter().cloned().collect();
        assert_eq!(distinct.len(), seen.len(), "{sort:?}: nothing twice");
        assert!(there.is_subset(&distinct), "{sort:?}: nothing left out");
    }
    brokerage.audit().await;
}

#[tokio::test]
async fn an_order_tells_its_whole_story_and_a_trade_hides_the_other_side() {
    let brokerage = Brokerage::start().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    admin.deposits(ALICE, "TRY", "1000").await;
    admin.deposits(BOB, "THYAO", "100").await;
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "4", "8.00").await;
    let trade = admin.matches(&bid, &ask).await;
    admin.suspends(&bid).await;
    admin.resumes(&bid).await;
    alice.cancels(&bid).await;

    let order = alice.sees(&bid).await;
    let story: Vec<_> = order.history.iter().map(|event| event.r#type.as_str()).collect();
    let expected = [
        "OrderCreated",
        "OrderValidated",
        "MatchReserved",
        "OrderPartiallyMatched",
        "OrderSuspended",
        "OrderResumed",
        "OrderCancelRequested",
        "OrderCanceled",
    ];
    assert_eq!(story, expected);
    let seqs: Vec<_> = order.history.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=8).collect::<Vec<_>>());
    assert_eq!(order.version, 8);
    assert_eq!(order.fills.len(), 1);
    let fill = &order.fills[0];
    assert_eq!(
        (fill.trade_id.as_str(), fill.quantity.as_str(), fill.price.as_str()),
        (trade.trade_id.as_str(), "4", "8")
    );
    let at_first = order::GetOrderRequest { order_id: bid.clone(), ..Default::default() };
    let plain = alice.orders.clone().get_order(at_first).await.unwrap().into_inner();
    assert!(plain.history.is_empty() && plain.fills.is_empty(), "only if asked");

    for (person, buy, sell) in [(&alice, bid.as_str(), ""), (&bob, "", ask.as_str()), (&admin, &bid, &ask)] {
        let tape = order::ListTradesRequest { instrument: "THYAO".to_owned(), ..Default::default() };
        let trades = person.orders.clone().list_trades(tape).await.unwrap().into_inner().trades;
        assert_eq!(trades.len(), 1);
        let seen = &trades[0];
        assert_eq!((seen.buy_order_id.as_str(), seen.sell_order_id.as_str()), (buy, sell));
        assert_eq!((seen.trade_seq, seen.aggressor()), (1, Side::Sell));
    }
    brokerage.audit().await;
}
