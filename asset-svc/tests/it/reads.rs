//! Reads: what a customer has, what moved, what he had; pages that end; rehearsals that change nothing.

use brokerage_proto::asset::v1 as wire;

use crate::harness::{ADMIN, World, buy, deposit, fresh, reason, sell, trade, verdict};

fn statement(account: wire::AccountKind, page_size: i32, page_token: &str) -> wire::ListPostingsRequest {
    wire::ListPostingsRequest {
        customer_id: "customer-a".to_owned(),
        asset: "TRY".to_owned(),
        account: account.into(),
        page_size,
        page_token: page_token.to_owned(),
        ..Default::default()
    }
}

/// Money came in, was held, partly spent, partly released.
async fn alice_after_a_trade() -> World {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "1000").await;
    world.deposit("customer-b", "THYAO", "10").await;
    let (bid, ask) = (buy("customer-a", "THYAO", "5", "100"), sell("customer-b", "THYAO", "5", "90"));
    for hold in [&bid, &ask] {
        assert_eq!(verdict(&world.place(hold).await), "DONE");
    }
    assert_eq!(verdict(&world.settle(&trade(&bid, &ask, "2", "90")).await), "DONE");
    assert_eq!(verdict(&world.release(&fresh(), &bid.hold_id).await), "DONE");
    world
}

async fn pages(world: &World, account: wire::AccountKind, size: i32) -> Vec<wire::Posting> {
    let mut found = Vec::new();
    let mut token = String::new();
    loop {
        let page =
            world.assets(ADMIN).list_postings(statement(account, size, &token)).await.unwrap().into_inner();
        found.extend(page.postings);
        token = page.next_page_token;
        if token.is_empty() {
            return found;
        }
    }
}

#[tokio::test]
async fn a_statement_explains_every_lira_in_order() {
    let world = alice_after_a_trade().await;
    let lines = pages(&world, wire::AccountKind::Unspecified, 0).await;
    let seen: Vec<_> = lines
        .iter()
        .map(|line| (line.kind.as_str(), line.account(), line.amount.as_str(), line.balance_after.as_str()))
        .collect();
    let (free, held) = (wire::AccountKind::Available, wire::AccountKind::Held);
    assert_eq!(
        seen,
        [
            ("DEPOSIT", free, "1000", "1000"),
            ("HOLD", free, "-500", "500"),
            ("HOLD", held, "500", "500"),
            ("SETTLE", held, "-180", "320"),
            ("SETTLE", held, "-20", "300"),
            ("SETTLE", free, "20", "520"),
            ("RELEASE", held, "-300", "0"),
            ("RELEASE", free, "300", "820"),
        ]
    );
    assert_eq!(lines[0].caused_by, "actor:admin");
    assert!(lines[3].caused_by.starts_with("trade:") && lines[6].caused_by.starts_with("saga:"));
    let counted: Vec<_> =
        lines.iter().filter(|line| line.account() == held).map(|line| line.account_seq).collect();
    assert_eq!(counted, [1, 2, 3, 4]);
}

#[tokio::test]
async fn pages_of_every_size_are_the_same_statement() {
    let world = alice_after_a_trade().await;
    for account in [wire::AccountKind::Unspecified, wire::AccountKind::Available, wire::AccountKind::Held] {
        let whole = pages(&world, account, 0).await;
        for size in 1..=8 {
            assert_eq!(pages(&world, account, size).await, whole, "{account:?} by {size}");
        }
    }
    let page =
        world.assets(ADMIN).list_postings(statement(wire::AccountKind::Unspecified, 2, "")).await.unwrap();
    let token = page.into_inner().next_page_token;
    let other = statement(wire::AccountKind::Held, 2, &token);
    assert_eq!(reason(world.assets(ADMIN).list_postings(other).await).as_str(), "PAGE_TOKEN_INVALID");
    let negative = statement(wire::AccountKind::Held, -1, "");
    assert_eq!(reason(world.assets(ADMIN).list_postings(negative).await).as_str(), "PAGE_SIZE_NEGATIVE");
}

#[tokio::test]
async fn a_balance_at_an_instant_is_what_the_statement_had_then() {
    let world = alice_after_a_trade().await;
    let lines = pages(&world, wire::AccountKind::Unspecified, 0).await;
    let at = |stamp: prost_types::Timestamp| wire::GetBalanceAtRequest {
        customer_id: "customer-a".to_owned(),
        asset: "TRY".to_owned(),
        at: Some(stamp),
    };
    for (line, usable, held) in [(0, "1000", "0"), (2, "500", "500"), (5, "520", "300"), (7, "820", "0")] {
        let stamp = lines[line].created_at.unwrap();
        let balance = world.assets(ADMIN).get_balance_at(at(stamp)).await.unwrap().into_inner();
        assert_eq!((balance.usable.as_str(), balance.held.as_str()), (usable, held), "after line {line}");
        assert_eq!(balance.version, 0);
    }
    let before = prost_types::Timestamp { seconds: 0, nanos: 0 };
    let balance = world.assets(ADMIN).get_balance_at(at(before)).await.unwrap().into_inner();
    assert_eq!((balance.total.as_str(), balance.held.as_str()), ("0", "0"));
    let never = wire::GetBalanceAtRequest { at: None, ..at(before) };
    assert_eq!(reason(world.assets(ADMIN).get_balance_at(never).await).as_str(), "FIELD_REQUIRED");
    let unknown = wire::GetBalanceAtRequest { asset: "USD".to_owned(), ..at(before) };
    assert_eq!(reason(world.assets(ADMIN).get_balance_at(unknown).await).as_str(), "ASSET_NOT_FOUND");
}

#[tokio::test]
async fn a_statement_is_limited_by_half_open_times() {
    let world = alice_after_a_trade().await;
    let lines = pages(&world, wire::AccountKind::Unspecified, 0).await;
    let request = wire::ListPostingsRequest {
        from: lines[1].created_at,
        to: lines[6].created_at,
        ..statement(wire::AccountKind::Unspecified, 0, "")
    };
    let found = world.assets(ADMIN).list_postings(request).await.unwrap().into_inner().postings;
    assert_eq!(found, lines[1..6]);
}

#[tokio::test]
async fn balances_come_in_pages_by_asset() {
    let world = World::with_customers().await;
    for asset in ["TRY", "GARAN", "THYAO"] {
        world.deposit("customer-a", asset, "5").await;
    }
    let list = |page_token: &str| wire::ListAssetsRequest {
        page_size: 2,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let mut a = world.assets("token-customer-a");
    let first = a.list_assets(list("")).await.unwrap().into_inner();
    let second = a.list_assets(list(&first.next_page_token)).await.unwrap().into_inner();
    let names: Vec<_> = first.balances.iter().chain(&second.balances).map(|b| b.asset.as_str()).collect();
    assert_eq!(names, ["GARAN", "THYAO", "TRY"]);
    assert!(second.next_page_token.is_empty());
    let empty = world.assets("token-customer-b").list_assets(list("")).await.unwrap().into_inner();
    assert!(empty.balances.is_empty());
    let stolen = world.assets("token-customer-b").list_assets(list(&first.next_page_token)).await;
    assert_eq!(reason(stolen).as_str(), "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn customers_come_in_pages_by_id() {
    let world = World::with_customers().await;
    world.customer("customer-c", wire::Tier::Vip, wire::CustomerState::Frozen).await;
    let mut found = Vec::new();
    let mut token = String::new();
    loop {
        let request = wire::ListCustomersRequest { page_size: 1, page_token: token };
        let page = world.customers("token-auditor").list_customers(request).await.unwrap().into_inner();
        found.extend(page.customers);
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let ids: Vec<_> = found.iter().map(|customer| customer.customer_id.as_str()).collect();
    assert_eq!(ids, ["customer-a", "customer-b", "customer-c"]);
    assert_eq!((found[2].tier(), found[2].state()), (wire::Tier::Vip, wire::CustomerState::Frozen));
}

#[tokio::test]
async fn a_rehearsal_says_what_would_be_refused_and_changes_nothing() {
    let world = World::with_customers().await;
    world.assets(ADMIN).deposit(deposit("customer-a", "TRY", "100")).await.unwrap();
    let placed = buy("customer-a", "THYAO", "1", "10");
    world.place(&placed).await;
    let before = world.effects().await;
    let ask = |hold: wire::PlaceHold| wire::GetCustomerTermsRequest {
        customer_id: "customer-a".to_owned(),
        hold: Some(hold),
    };
    let nameless = wire::PlaceHold { hold_id: String::new(), ..buy("customer-a", "THYAO", "9", "10") };
    for (hold, refusal) in [
        (nameless, ""),
        (buy("customer-a", "THYAO", "9", "10"), ""),
        (buy("customer-a", "THYAO", "10", "10"), "INSUFFICIENT_USABLE"),
        (sell("customer-a", "THYAO", "1", "10"), "INSUFFICIENT_USABLE"),
        (buy("customer-a", "NOTHING", "1", "10"), "ASSET_NOT_FOUND"),
        (placed, "HOLD_EXISTS"),
    ] {
        let terms = world.participant().get_customer_terms(ask(hold)).await.unwrap().into_inner();
        assert_eq!((terms.hold_refusal.as_str(), terms.state()), (refusal, wire::CustomerState::Active));
    }
    let foreign = ask(buy("customer-b", "THYAO", "1", "1"));
    assert_eq!(reason(world.participant().get_customer_terms(foreign).await).as_str(), "FIELD_INVALID");
    assert_eq!(world.effects().await, before);
    world.customer("customer-a", wire::Tier::Standard, wire::CustomerState::Frozen).await;
    let terms = world.participant().get_customer_terms(ask(buy("customer-a", "THYAO", "1", "1"))).await;
    let terms = terms.unwrap().into_inner();
    assert_eq!(
        (terms.hold_refusal.as_str(), terms.state()),
        ("CUSTOMER_FROZEN", wire::CustomerState::Frozen)
    );
}
