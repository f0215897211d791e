//! Two partial matches and a cancel at a real commission, to the last kuruş.

use brokerage_proto::asset::v1::{AccountKind, GetBalanceAtRequest, Posting};
use brokerage_proto::order::v1::OrderStatus;
use brokerage_types::Amount;
use prost_types::Timestamp;
use test_mesh::{ALICE, BOB, Brokerage, Person, holding};

#[tokio::test]
async fn an_order_costs_what_its_fills_cost_and_the_rest_comes_back() {
    let brokerage = Brokerage::start().await;
    // 0.2 %.
    brokerage.charges(2_000).await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    admin.deposits(ALICE, "TRY", "1000").await;
    admin.deposits(BOB, "THYAO", "100").await;

    let first_ask = bob.sells("THYAO", "40", "7.95").await;
    let bid = alice.buys("THYAO", "100", "8.00").await;
    let second_ask = bob.sells("THYAO", "25", "7.99").await;
    assert_eq!(alice.has("TRY").await, holding("198.4", "801.6"), "800 and 1.60 of commission");
    // A rate that rises now is for orders to come.
    brokerage.charges(500_000).await;

    // The ask was there first, so its price counts: 318.00, and 0.64 from each side.
    let trade = admin.matches(&bid, &first_ask).await;
    assert_eq!((trade.quantity.as_str(), trade.price.as_str()), ("40", "7.95"));
    assert_eq!(bob.has("TRY").await, holding("317.36", "0"));
    // What remains may cost 480.00 and 1.60 in all, of which 0.64 is paid; the improvement of 2.00 is back.
    assert_eq!(alice.has("TRY").await, holding("200.4", "480.96"));
    assert_eq!(alice.has("THYAO").await, holding("40", "0"));

    // Now the bid was there first: 200.00; the commission on 518.00 is 1.04, of which 0.64 is paid.
    let trade = admin.matches(&bid, &second_ask).await;
    assert_eq!((trade.quantity.as_str(), trade.price.as_str()), ("25", "8"));
    assert_eq!(alice.has("TRY").await, holding("200.4", "280.56"));
    assert_eq!(bob.has("TRY").await, holding("516.96", "0"));

    alice.cancels(&bid).await;
    assert_eq!(alice.has("TRY").await, holding("480.96", "0"));
    assert_eq!(alice.has("THYAO").await, holding("65", "0"));
    assert_eq!(bob.has("THYAO").await, holding("35", "0"));
    assert_eq!(house_fees(&brokerage).await, "2.08");

    let order = alice.sees(&bid).await;
    assert_eq!(order.status(), OrderStatus::Canceled);
    let parts = [&order.quantity, &order.cum_quantity, &order.canceled_quantity, &order.leaves_quantity];
    assert_eq!(parts, ["100", "65", "35", "0"]);
    assert_eq!((order.cum_notional.as_str(), order.average_price.as_str()), ("518", "7.96923077"));
    for ask in [&first_ask, &second_ask] {
        assert_eq!(bob.status(ask).await, OrderStatus::Matched);
    }
    for person in [&alice, &bob] {
        for asset in ["TRY", "THYAO"] {
            explains(person, asset).await;
        }
    }
    brokerage.audit().await;
}

/// What the house has earned.
async fn house_fees(brokerage: &Brokerage) -> String {
    let query = "SELECT trim_scale(sum(amount))::text FROM postings WHERE owner = 'house' AND asset = 'TRY'";
    sqlx::query_scalar(query).fetch_one(&mut brokerage.databases.asset().await).await.unwrap()
}

/// A statement's postings sum up to the balance, account by account, line by line and without gaps.
async fn explains(person: &Person, asset: &str) {
    let has = person.has(asset).await;
    let statement = person.statement(asset).await;
    for (kind, balance) in [(AccountKind::Available, &has.usable), (AccountKind::Held, &has.held)] {
        let lines: Vec<&Posting> = statement.iter().filter(|line| line.account() == kind).collect();
        let mut sum = Amount::ZERO;
        for (nth, line) in (1..).zip(&lines) {
            sum = sum.checked_add(Amount::parse(&line.amount).unwrap()).unwrap();
            assert_eq!(line.account_seq, nth, "{asset}: {line:?}");
            assert_eq!(Amount::parse(&line.balance_after).unwrap(), sum, "{asset}: {line:?}");
        }
        assert_eq!(sum, Amount::parse(balance).unwrap(), "{asset} {kind:?}");
    }
    let at = |seconds: i64| GetBalanceAtRequest {
        asset: asset.to_owned(),
        at: Some(Timestamp { seconds, nanos: 0 }),
        ..Default::default()
    };
    let then = person.assets.clone().get_balance_at(at(0)).await.unwrap().into_inner();
    assert_eq!((then.usable.as_str(), then.held.as_str()), ("0", "0"), "before there was anything");
    let in_the_end = person.assets.clone().get_balance_at(at(32_503_680_000)).await.unwrap().into_inner();
    assert_eq!((in_the_end.usable, in_the_end.held), (has.usable, has.held), "after everything");
}

#[tokio::test]
async fn many_small_fills_cost_the_commission_of_one() {
    let brokerage = Brokerage::start().await;
    // 0.1 % of four lira is less than half a kuruş; of forty lira it is four kuruş.
    brokerage.charges(1_000).await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    admin.deposits(ALICE, "TRY", "100").await;
    admin.deposits(BOB, "THYAO", "10").await;
    let bid = alice.buys("THYAO", "10", "4.00").await;
    let ask = bob.sells("THYAO", "10", "4.00").await;
    assert_eq!(alice.has("TRY").await, holding("59.96", "40.04"));
    for _ in 0..10 {
        admin.matches_part(&bid, &ask, "1").await;
    }
    assert_eq!(alice.has("TRY").await, holding("59.96", "0"));
    assert_eq!(bob.has("TRY").await, holding("39.96", "0"));
    assert_eq!(house_fees(&brokerage).await, "0.08");
    brokerage.audit().await;
}
