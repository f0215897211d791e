//! Who sees what, filters, and pages.

use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1 as proto;
use brokerage_proto::order::v1::OrderStatus;
use brokerage_types::Reason;

use crate::fixture::{Server, Step, User, draft, reason};

fn by_id(order_id: &str) -> proto::GetOrderRequest {
    proto::GetOrderRequest { order_id: order_id.to_owned(), ..Default::default() }
}

fn by_label(customer: &str, label: &str) -> proto::GetOrderRequest {
    proto::GetOrderRequest {
        client_order_id: label.to_owned(),
        customer_id: customer.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn an_order_is_found_by_those_who_may_see_it_and_does_not_exist_for_others() {
    let server = Server::with_xyz().await;
    let (a, b) = server.a_crossing_pair().await;
    let foreign = [("token-customer-b", &a), ("token-customer-a", &b), ("token-employee", &b)];
    let visible =
        [("token-customer-a", &a), ("token-employee", &a), ("token-admin", &a), ("token-auditor", &b)];
    for (token, order) in visible {
        let mut user = server.user(token);
        let found = user.get_order(by_id(&order.order_id)).await.unwrap().into_inner();
        let labelled =
            user.get_order(by_label(&order.customer_id, &order.client_order_id)).await.unwrap().into_inner();
        assert_eq!(found, labelled, "{token}");
        assert_eq!(found.order_id, order.order_id);
        assert!(found.fills.is_empty() && found.history.is_empty(), "only if asked");
    }
    for (token, order) in foreign {
        let mut user = server.user(token);
        assert_eq!(reason(user.get_order(by_id(&order.order_id)).await), Reason::OrderNotFound, "{token}");
        let by_label = by_label(&order.customer_id, &order.client_order_id);
        assert_eq!(reason(user.get_order(by_label).await), Reason::CustomerNotFound, "{token}");
        let list = proto::ListOrdersRequest { customer_id: order.customer_id.clone(), ..Default::default() };
        assert_eq!(reason(user.list_orders(list).await), Reason::CustomerNotFound, "{token}");
    }
    let own = server.user("token-customer-a").get_order(by_label("", &a.client_order_id)).await;
    assert_eq!(own.unwrap().into_inner().order_id, a.order_id);
}

async fn all_pages(user: &mut User, mut request: proto::ListOrdersRequest) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = user.list_orders(request.clone()).await.unwrap().into_inner();
        ids.extend(page.orders.into_iter().map(|order| order.order_id));
        if page.next_page_token.is_empty() {
            return ids;
        }
        request.page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn pages_show_every_order_once_in_every_sort() {
    let server = Server::with_xyz().await;
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.push(server.drafted("customer-a", Side::Buy, "10").await.order_id);
    }
    server
        .done(&Step::open(&proto::Draft { order_id: expected[2].clone(), ..draft("", Side::Buy, "1") }))
        .await;
    let mut by_update = expected.clone();
    let opened = by_update.remove(2);
    by_update.push(opened);
    let mut user = server.user("token-customer-a");
    for (sort, reversed, expected) in [
        (proto::OrderSort::CreatedAsc, false, &expected),
        (proto::OrderSort::CreatedDesc, true, &expected),
        (proto::OrderSort::Unspecified, true, &expected),
        (proto::OrderSort::UpdatedAsc, false, &by_update),
        (proto::OrderSort::UpdatedDesc, true, &by_update),
    ] {
        let request = proto::ListOrdersRequest { page_size: 3, sort: sort.into(), ..Default::default() };
        let mut found = all_pages(&mut user, request).await;
        if reversed {
            found.reverse();
        }
        assert_eq!(&found, expected, "{sort:?}");
    }
}

#[tokio::test]
async fn each_filter_of_a_list_filters() {
    let server = Server::with_xyz().await;
    let (a, b) = server.a_crossing_pair().await;
    let init = server.drafted("customer-a", Side::Sell, "1").await;
    let mut admin = server.user("token-admin");
    let a_order = server.order(&a.order_id).await;
    let init_order = server.order(&init.order_id).await;
    let base = proto::ListOrdersRequest { sort: proto::OrderSort::CreatedAsc.into(), ..Default::default() };
    let of = |change: &dyn Fn(&mut proto::ListOrdersRequest)| {
        let mut request = base.clone();
        change(&mut request);
        request
    };
    let cases: Vec<(proto::ListOrdersRequest, Vec<&proto::Draft>)> = vec![
        (of(&|_| {}), vec![&a, &b, &init]),
        (of(&|r| r.customer_id = "customer-b".to_owned()), vec![&b]),
        (of(&|r| r.statuses = vec![OrderStatus::Init.into()]), vec![&init]),
        (
            of(&|r| r.statuses = vec![OrderStatus::Init.into(), OrderStatus::Pending.into()]),
            vec![&a, &b, &init],
        ),
        (of(&|r| r.instrument = "ABC".to_owned()), vec![]),
        (of(&|r| r.side = Side::Sell.into()), vec![&b, &init]),
        (of(&|r| r.created_from = init_order.created_at), vec![&init]),
        (of(&|r| r.created_to = init_order.created_at), vec![&a, &b]),
        (of(&|r| r.updated_to = a_order.updated_at), vec![]),
        (of(&|r| r.updated_from = init_order.updated_at), vec![&init]),
        (of(&|r| r.client_order_id_prefix = b.client_order_id.clone()), vec![&b]),
        (of(&|r| r.client_order_id_prefix = "label of ".to_owned()), vec![&a, &b, &init]),
        (of(&|r| r.client_order_id_prefix = "%".to_owned()), vec![]),
        (of(&|r| r.created_by = "customer-a".to_owned()), vec![&a, &init]),
    ];
    for (request, expected) in cases {
        let expected: Vec<&str> = expected.iter().map(|draft| draft.order_id.as_str()).collect();
        assert_eq!(all_pages(&mut admin, request.clone()).await, expected, "{request:?}");
    }
    assert_eq!(all_pages(&mut server.user("token-customer-b"), base.clone()).await, [b.order_id.as_str()]);
    let employees = all_pages(&mut server.user("token-employee"), base).await;
    assert_eq!(employees, [a.order_id.as_str(), init.order_id.as_str()]);
}

#[tokio::test]
async fn a_page_token_serves_its_own_filters_only() {
    let server = Server::with_xyz().await;
    for _ in 0..3 {
        server.drafted("customer-a", Side::Buy, "10").await;
    }
    let mut admin = server.user("token-admin");
    let request = proto::ListOrdersRequest { page_size: 1, ..Default::default() };
    let page_token = admin.list_orders(request.clone()).await.unwrap().into_inner().next_page_token;
    let other = proto::ListOrdersRequest { page_token, side: Side::Buy.into(), ..request.clone() };
    assert_eq!(reason(admin.list_orders(other).await), Reason::PageTokenInvalid);
    let broken = proto::ListOrdersRequest { page_token: "nonsense".to_owned(), ..request.clone() };
    assert_eq!(reason(admin.list_orders(broken).await), Reason::PageTokenInvalid);
    let negative = proto::ListOrdersRequest { page_size: -1, ..request };
    assert_eq!(reason(admin.list_orders(negative).await), Reason::PageSizeNegative);
}

#[tokio::test]
async fn everybody_sees_the_tape_and_only_his_own_order_ids_on_it() {
    let server = Server::with_xyz().await;
    let (a, b) = server.a_crossing_pair().await;
    for quantity in ["1", "2", "3"] {
        let reserve = Step::reserve(&a, &b, quantity);
        server.done(&reserve).await;
        server.done(&Step::fill_of(&reserve)).await;
    }
    let in_flight = Step::reserve(&a, &b, "1");
    server.done(&in_flight).await;
    let all = proto::ListTradesRequest { page_size: 2, ..Default::default() };
    for (token, buy, sell) in [
        ("token-customer-a", a.order_id.as_str(), ""),
        ("token-customer-b", "", b.order_id.as_str()),
        ("token-employee", a.order_id.as_str(), ""),
        ("token-auditor", a.order_id.as_str(), b.order_id.as_str()),
    ] {
        let mut user = server.user(token);
        let first = user.list_trades(all.clone()).await.unwrap().into_inner();
        let rest = proto::ListTradesRequest { page_token: first.next_page_token, ..all.clone() };
        let rest = user.list_trades(rest).await.unwrap().into_inner();
        assert!(rest.next_page_token.is_empty());
        let trades = [first.trades, rest.trades].concat();
        let numbers: Vec<i64> = trades.iter().map(|trade| trade.trade_seq).collect();
        assert_eq!(numbers, [3, 2, 1], "{token}");
        for trade in &trades {
            assert_eq!((trade.buy_order_id.as_str(), trade.sell_order_id.as_str()), (buy, sell), "{token}");
            assert_eq!(trade.aggressor(), Side::Sell);
        }
    }
    let of_order = |id: &str| proto::ListTradesRequest { order_id: id.to_owned(), ..Default::default() };
    let mut customer_a = server.user("token-customer-a");
    assert_eq!(customer_a.list_trades(of_order(&a.order_id)).await.unwrap().into_inner().trades.len(), 3);
    assert_eq!(reason(customer_a.list_trades(of_order(&b.order_id)).await), Reason::OrderNotFound);
    let foreign = proto::ListTradesRequest { customer_id: "customer-b".to_owned(), ..Default::default() };
    assert_eq!(reason(customer_a.list_trades(foreign).await), Reason::CustomerNotFound);
}

#[tokio::test]
async fn instruments_are_listed_by_symbol_and_found() {
    let server = Server::with_xyz().await;
    for symbol in ["ABC", "DEF"] {
        let mut instrument = crate::fixture::xyz();
        instrument.symbol = symbol.to_owned();
        server.upsert(instrument).await;
    }
    let mut user = server.user("token-customer-a");
    let request = proto::ListInstrumentsRequest { page_size: 2, ..Default::default() };
    let first = user.list_instruments(request.clone()).await.unwrap().into_inner();
    let rest = proto::ListInstrumentsRequest { page_token: first.next_page_token, ..request };
    let rest = user.list_instruments(rest).await.unwrap().into_inner();
    let symbols: Vec<String> =
        [first.instruments, rest.instruments].concat().into_iter().map(|i| i.symbol).collect();
    assert_eq!(symbols, ["ABC", "DEF", "XYZ"]);
    let found = user.get_instrument(proto::GetInstrumentRequest { symbol: "DEF".to_owned() }).await;
    assert_eq!(found.unwrap().into_inner().symbol, "DEF");
    let missing = user.get_instrument(proto::GetInstrumentRequest { symbol: "NONE".to_owned() }).await;
    assert_eq!(reason(missing), Reason::InstrumentNotFound);
}

#[tokio::test]
async fn terms_are_what_a_saga_needs_within_the_callers_scope() {
    let server = Server::with_xyz().await;
    let (a, b) = server.a_crossing_pair().await;
    server.done(&Step::reserve(&a, &b, "4")).await;
    let mut orchestrator = server.orchestrator();
    let scope = |customers: &[&str]| {
        let customer_ids = customers.iter().map(ToString::to_string).collect();
        Some(proto::Scope { any: false, customer_ids })
    };
    let request = proto::GetTermsRequest {
        order_id: a.order_id.clone(),
        scope: scope(&["customer-a"]),
        ..Default::default()
    };
    let terms = orchestrator.get_terms(request.clone()).await.unwrap().into_inner();
    assert_eq!((terms.base_asset.as_str(), terms.quote_asset.as_str()), ("XYZ", "TRY"));
    assert_eq!((terms.matchable_quantity.as_str(), terms.status()), ("6", OrderStatus::Pending));
    assert_eq!((terms.limit_price.as_str(), terms.side()), ("100", Side::Buy));
    let any = Some(proto::Scope { any: true, customer_ids: Vec::new() });
    let labelled = proto::GetTermsRequest {
        client_order_id: a.client_order_id.clone(),
        customer_id: a.customer_id.clone(),
        scope: any,
        ..Default::default()
    };
    assert_eq!(orchestrator.get_terms(labelled).await.unwrap().into_inner().order_id, a.order_id);
    for foreign in [scope(&["customer-b"]), scope(&[])] {
        let foreign = proto::GetTermsRequest { scope: foreign, ..request.clone() };
        assert_eq!(reason(orchestrator.get_terms(foreign).await), Reason::OrderNotFound);
    }
    let nobody = proto::GetTermsRequest { scope: scope(&["customer\0a"]), ..request.clone() };
    assert_eq!(reason(orchestrator.get_terms(nobody).await), Reason::FieldInvalid);
    let scopeless = proto::GetTermsRequest { scope: None, ..request };
    assert_eq!(reason(orchestrator.get_terms(scopeless).await), Reason::FieldRequired);
    let instrument = proto::GetInstrumentTermsRequest { symbol: "XYZ".to_owned() };
    assert_eq!(orchestrator.get_instrument_terms(instrument).await.unwrap().into_inner().version, 1);
    let missing = proto::GetInstrumentTermsRequest { symbol: "NONE".to_owned() };
    assert_eq!(reason(orchestrator.get_instrument_terms(missing).await), Reason::InstrumentNotFound);
}
