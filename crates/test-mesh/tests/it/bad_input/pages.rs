//! Page tokens that belong to another list, and sizes that are none.

use brokerage_proto::asset::v1 as asset;
use brokerage_proto::order::v1 as order;
use brokerage_proto::saga::v1 as saga;
use brokerage_types::Reason;
use futures::future::BoxFuture;
use test_mesh::{ALICE, BOB, Brokerage, Person, expect_refusal};
use tonic::{Code, Status};

/// Asks for a page of one list: of this size, after this token, with its first or its second filter. Answers with
/// the next page's token.
type List = fn(Person, i32, String, bool) -> BoxFuture<'static, Result<String, Status>>;

/// Lists one item at a time unless told otherwise.
macro_rules! list {
    ($client:ident.$rpc:ident($request:ty), $filter:expr) => {
        |person: Person, page_size: i32, page_token: String, other: bool| {
            let mut request = <$request>::default();
            request.page_size = page_size;
            request.page_token = page_token;
            let filter: fn(&mut $request, bool) = $filter;
            filter(&mut request, other);
            Box::pin(async move {
                let mut client = person.$client.clone();
                Ok(client.$rpc(request).await?.into_inner().next_page_token)
            })
        }
    };
}

/// Every list of the public API. Lists without filters have no second one.
const LISTS: &[(&str, List, bool)] = &[
    (
        "orders",
        list!(orders.list_orders(order::ListOrdersRequest), |request, other| {
            request.instrument = if other { "GARAN" } else { "THYAO" }.to_owned();
        }),
        true,
    ),
    (
        "trades",
        list!(orders.list_trades(order::ListTradesRequest), |request, other| {
            request.customer_id = if other { BOB } else { ALICE }.to_owned();
        }),
        true,
    ),
    ("instruments", list!(orders.list_instruments(order::ListInstrumentsRequest), |_, _| {}), false),
    (
        "assets",
        list!(assets.list_assets(asset::ListAssetsRequest), |request, other| {
            request.customer_id = if other { BOB } else { ALICE }.to_owned();
        }),
        true,
    ),
    (
        "postings",
        list!(assets.list_postings(asset::ListPostingsRequest), |request, other| {
            request.customer_id = ALICE.to_owned();
            request.asset = if other { "THYAO" } else { "TRY" }.to_owned();
        }),
        true,
    ),
    ("customers", list!(customers.list_customers(asset::ListCustomersRequest), |_, _| {}), false),
    (
        "sagas",
        list!(sagas.list_sagas(saga::ListSagasRequest), |request, other| {
            request.kind = if other { "match_orders" } else { "create_order" }.to_owned();
        }),
        true,
    ),
];

#[tokio::test]
async fn a_page_token_is_of_its_list_and_its_filter_or_refused() {
    let brokerage = Brokerage::start().await;
    let admin = brokerage.admin();
    two_trades(&brokerage).await;
    let mut tokens = Vec::new();
    for (name, list, _) in LISTS {
        let token = list(admin.clone(), 1, String::new(), false).await.unwrap();
        assert!(!token.is_empty(), "{name} has a second page");
        list(admin.clone(), 1, token.clone(), false).await.unwrap();
        tokens.push((*name, token));
    }
    for (name, list, has_filters) in LISTS {
        let refused = async |what: &str, token: String, other: bool| {
            let refusal =
                expect_refusal(list(admin.clone(), 1, token, other).await, Reason::PageTokenInvalid);
            assert_eq!(refusal.code, Code::InvalidArgument, "{name}: {what}");
            refusal.blames(&["page_token"]);
        };
        for (of, token) in &tokens {
            if of != name {
                refused(of, token.clone(), false).await;
            } else if *has_filters {
                refused("the other filter", token.clone(), true).await;
            }
            refused("cut short", token[..token.len() - 2].to_owned(), false).await;
        }
        refused("invented", "page 2".to_owned(), false).await;
    }
    brokerage.audit().await;
}

#[tokio::test]
async fn a_page_has_a_size_that_is_not_negative() {
    let brokerage = Brokerage::start().await;
    let admin = brokerage.admin();
    for (name, list, _) in LISTS {
        for size in [-1, i32::MIN] {
            let answer = list(admin.clone(), size, String::new(), false).await;
            let refusal = expect_refusal(answer, Reason::PageSizeNegative);
            assert_eq!(refusal.code, Code::InvalidArgument, "{name}");
            refusal.blames(&["page_size"]);
        }
        // More than a page may have is as much as it may have.
        list(admin.clone(), i32::MAX, String::new(), false).await.unwrap();
    }
    brokerage.audit().await;
}

/// Enough for a second page of one item in every list.
async fn two_trades(brokerage: &Brokerage) {
    let admin = brokerage.admin();
    for customer in [ALICE, BOB] {
        admin.deposits(customer, "TRY", "1000").await;
        admin.deposits(customer, "THYAO", "10").await;
    }
    for _ in 0..2 {
        let bid = brokerage.alice().buys("THYAO", "1", "8.00").await;
        let ask = brokerage.bob().sells("THYAO", "1", "8.00").await;
        admin.matches(&bid, &ask).await;
    }
}
