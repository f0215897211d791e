//! Holds and settlement through the real server: who gets what, who is refused, and nothing lost between them.

use brokerage_proto::asset::v1 as wire;
use brokerage_proto::asset::v1::asset_command::Kind;
use futures::future::join_all;

use crate::audit::audit;
use crate::harness::{ADMIN, World, buy, deposit, fresh, reason, sell, trade, verdict};

fn pair(usable: &str, held: &str) -> (String, String) {
    (usable.to_owned(), held.to_owned())
}

#[tokio::test]
async fn ten_holds_of_10_000_against_75_000_are_exactly_seven() {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "75000").await;
    let holds: Vec<_> = (0..10).map(|_| buy("customer-a", "THYAO", "100", "100")).collect();
    let replies = join_all(holds.iter().map(|hold| world.place(hold))).await;
    let accepted = replies.iter().filter(|reply| verdict(reply) == "DONE").count();
    let refused = replies.iter().filter(|reply| verdict(reply) == "REJECTED(INSUFFICIENT_USABLE)").count();
    assert_eq!((accepted, refused), (7, 3));
    assert_eq!(world.has("customer-a", "TRY").await, pair("5000", "70000"));
    audit(&world.pool).await;
}

#[tokio::test]
async fn two_orders_on_different_instruments_lose_no_update_of_one_cash_row() {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "100000").await;
    for share in ["THYAO", "GARAN"] {
        world.deposit("customer-b", share, "1000").await;
    }
    let rounds = (0..20).map(|_| async {
        for share in ["THYAO", "GARAN"] {
            let (bid, ask) = (buy("customer-a", share, "2", "10"), sell("customer-b", share, "2", "9"));
            let (first, second) = tokio::join!(world.place(&bid), world.place(&ask));
            assert_eq!((verdict(&first), verdict(&second)), ("DONE".to_owned(), "DONE".to_owned()));
            assert_eq!(verdict(&world.settle(&trade(&bid, &ask, "1", "9")).await), "DONE");
            assert_eq!(verdict(&world.release(&fresh(), &bid.hold_id).await), "DONE");
        }
    });
    join_all(rounds).await;
    // 40 trades of one share at 9; everything else went back.
    assert_eq!(world.has("customer-a", "TRY").await, pair("99640", "0"));
    assert_eq!(world.has("customer-b", "TRY").await, pair("360", "0"));
    assert_eq!(world.has("customer-a", "THYAO").await, pair("20", "0"));
    assert_eq!(world.has("customer-b", "GARAN").await, pair("960", "20"));
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_fully_invested_customer_can_be_matched_and_cancelled() {
    let world = World::with_customers().await;
    world.rate("STANDARD", 1_500).await;
    // 10 × 100 and 0.15 % of it, to the last kuruş.
    world.deposit("customer-a", "TRY", "1001.5").await;
    world.deposit("customer-b", "THYAO", "10").await;
    let (bid, ask) = (buy("customer-a", "THYAO", "10", "100"), sell("customer-b", "THYAO", "10", "100"));
    assert_eq!(verdict(&world.place(&bid).await), "DONE");
    assert_eq!(verdict(&world.place(&ask).await), "DONE");
    assert_eq!(world.has("customer-a", "TRY").await, pair("0", "1001.5"));
    assert_eq!(verdict(&world.settle(&trade(&bid, &ask, "4", "100")).await), "DONE");
    assert_eq!(world.has("customer-a", "TRY").await, pair("0", "600.9"));
    // The seller has no cash of his own: his commission comes out of the proceeds.
    assert_eq!(world.has("customer-b", "TRY").await, pair("399.4", "0"));
    assert_eq!(verdict(&world.release(&fresh(), &bid.hold_id).await), "DONE");
    assert_eq!(world.has("customer-a", "TRY").await, pair("600.9", "0"));
    audit(&world.pool).await;
}

#[tokio::test]
async fn commission_does_not_depend_on_how_an_order_is_filled() {
    let world = World::with_customers().await;
    world.rate("STANDARD", 1_230).await;
    world.rate("VIP", 70).await;
    world.customer("customer-b", wire::Tier::Vip, wire::CustomerState::Active).await;
    world.deposit("customer-a", "TRY", "1000000").await;
    world.deposit("customer-b", "GARAN", "1000").await;
    let (bid, ask) =
        (buy("customer-a", "GARAN", "33.3", "17.13"), sell("customer-b", "GARAN", "33.3", "17.01"));
    world.place(&bid).await;
    world.place(&ask).await;
    // A tier that changes later does not change an order that is placed.
    world.rate("STANDARD", 500_000).await;
    for (quantity, price) in
        [("0.0001", "17.05"), ("11.1", "17.13"), ("7.7777", "17.01"), ("14.4222", "17.1")]
    {
        assert_eq!(verdict(&world.settle(&trade(&bid, &ask, quantity, price)).await), "DONE");
    }
    // 0.123 % and 0.007 % of 569.063002, each rounded once.
    let (buyer, seller, notional): (String, String, String) = sqlx::query_as(
        "SELECT (SELECT trim_scale(cum_fee)::text FROM holds WHERE side = 1),
                (SELECT trim_scale(cum_fee)::text FROM holds WHERE side = 2),
                (SELECT trim_scale(cum_notional)::text FROM holds WHERE side = 2)",
    )
    .fetch_one(&world.pool)
    .await
    .unwrap();
    assert_eq!((buyer.as_str(), seller.as_str(), notional.as_str()), ("0.7", "0.04", "569.063002"));
    assert_eq!(world.has("customer-a", "TRY").await.1, "0");
    assert_eq!(world.has("customer-b", "GARAN").await, pair("966.7", "0"));
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_balance_is_never_clamped() {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "100").await;
    assert_eq!(verdict(&world.place(&buy("customer-a", "THYAO", "1", "60")).await), "DONE");
    let request = |amount: &str| wire::WithdrawRequest {
        request_id: fresh(),
        customer_id: "customer-a".to_owned(),
        asset: "TRY".to_owned(),
        amount: amount.to_owned(),
    };
    // What is held is not there to be withdrawn.
    let refused = world.assets(ADMIN).withdraw(request("40.01")).await;
    assert_eq!(reason(refused).as_str(), "INSUFFICIENT_USABLE");
    assert_eq!(
        verdict(&world.place(&buy("customer-a", "THYAO", "1", "40.01")).await),
        "REJECTED(INSUFFICIENT_USABLE)"
    );
    assert_eq!(world.has("customer-a", "TRY").await, pair("40", "60"));
    world.assets(ADMIN).withdraw(request("40")).await.unwrap();
    assert_eq!(world.has("customer-a", "TRY").await, pair("0", "60"));
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_frozen_customer_trades_nothing_and_is_released_as_ever() {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "1000").await;
    world.deposit("customer-b", "THYAO", "10").await;
    let (bid, ask) = (buy("customer-a", "THYAO", "5", "100"), sell("customer-b", "THYAO", "5", "100"));
    world.place(&bid).await;
    world.place(&ask).await;
    for frozen in ["customer-a", "customer-b"] {
        world.customer(frozen, wire::Tier::Standard, wire::CustomerState::Frozen).await;
        let refused = world.settle(&trade(&bid, &ask, "1", "100")).await;
        assert_eq!(verdict(&refused), "REJECTED(CUSTOMER_FROZEN)");
        world.customer(frozen, wire::Tier::Standard, wire::CustomerState::Active).await;
    }
    world.customer("customer-a", wire::Tier::Standard, wire::CustomerState::Frozen).await;
    assert_eq!(
        verdict(&world.place(&buy("customer-a", "THYAO", "1", "1")).await),
        "REJECTED(CUSTOMER_FROZEN)"
    );
    let request = wire::WithdrawRequest {
        request_id: fresh(),
        customer_id: "customer-a".to_owned(),
        asset: "TRY".to_owned(),
        amount: "1".to_owned(),
    };
    assert_eq!(reason(world.assets(ADMIN).withdraw(request).await).as_str(), "CUSTOMER_FROZEN");
    world.assets(ADMIN).deposit(deposit("customer-a", "TRY", "1")).await.unwrap();
    assert_eq!(verdict(&world.release(&fresh(), &bid.hold_id).await), "DONE");
    assert_eq!(world.has("customer-a", "TRY").await, pair("1001", "0"));
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_hold_is_refused_for_its_reason() {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "1000").await;
    let placed = buy("customer-a", "THYAO", "1", "10");
    assert_eq!(verdict(&world.place(&placed).await), "DONE");
    let again = wire::PlaceHoldRequest {
        context: crate::harness::context(&fresh(), 1),
        command: Some(placed.clone()),
    };
    let exists = world.participant().place_hold(again).await.unwrap().into_inner();
    assert_eq!(verdict(&exists), "REJECTED(HOLD_EXISTS)");
    let before = world.effects().await;
    for (hold, why) in [
        (buy("nobody", "THYAO", "1", "10"), "CUSTOMER_NOT_FOUND"),
        (buy("customer-a", "NOTHING", "1", "10"), "ASSET_NOT_FOUND"),
        (
            wire::PlaceHold { quote_asset: "USD".to_owned(), ..buy("customer-a", "THYAO", "1", "10") },
            "ASSET_NOT_FOUND",
        ),
        (buy("customer-a", "TRY", "1", "10"), "HOLD_MISMATCH"),
        // THYAO has no fractions; GARAN has four decimals, and TRY six.
        (buy("customer-a", "THYAO", "1.5", "10"), "SCALE_EXCEEDED"),
        (buy("customer-a", "GARAN", "1.0001", "10.001"), "SCALE_EXCEEDED"),
        (sell("customer-a", "GARAN", "1.00001", "10"), "SCALE_EXCEEDED"),
        (buy("customer-a", "THYAO", "100", "10"), "INSUFFICIENT_USABLE"),
        (sell("customer-a", "THYAO", "1", "10"), "INSUFFICIENT_USABLE"),
        (buy("customer-a", "THYAO", "999999999999999999", "999999999999999999"), "BALANCE_OVERFLOW"),
    ] {
        assert_eq!(verdict(&world.place(&hold).await), format!("REJECTED({why})"), "{hold:?}");
    }
    assert_eq!(world.effects().await, before);
}

#[tokio::test]
async fn a_settlement_is_refused_for_its_reason() {
    let world = World::with_customers().await;
    world.customer("customer-c", wire::Tier::Standard, wire::CustomerState::Active).await;
    for (customer, asset) in
        [("customer-a", "TRY"), ("customer-a", "THYAO"), ("customer-b", "THYAO"), ("customer-b", "GARAN")]
    {
        world.deposit(customer, asset, "1000").await;
    }
    let (bid, ask) = (buy("customer-a", "THYAO", "5", "10"), sell("customer-b", "THYAO", "5", "9"));
    let (own, other) = (sell("customer-a", "THYAO", "5", "9"), sell("customer-b", "GARAN", "5", "9"));
    let closed = sell("customer-b", "THYAO", "5", "9");
    for hold in [&bid, &ask, &own, &other, &closed] {
        assert_eq!(verdict(&world.place(hold).await), "DONE");
    }
    world.release(&fresh(), &closed.hold_id).await;
    let good = || trade(&bid, &ask, "1", "9.5");
    let unknown = wire::PlaceHold { hold_id: fresh(), ..ask.clone() };
    let before = world.effects().await;
    for (trade, why) in [
        (trade(&bid, &own, "1", "9.5"), "SELF_TRADE"),
        (trade(&bid, &unknown, "1", "9.5"), "HOLD_NOT_FOUND"),
        (trade(&bid, &closed, "1", "9.5"), "HOLD_CLOSED"),
        (trade(&bid, &other, "1", "9.5"), "HOLD_MISMATCH"),
        (wire::SettleTrade { seller_id: "customer-c".to_owned(), ..good() }, "HOLD_MISMATCH"),
        (wire::SettleTrade { buy_hold_id: own.hold_id.clone(), ..good() }, "HOLD_MISMATCH"),
        (trade(&bid, &ask, "6", "9.5"), "HOLD_INSUFFICIENT"),
        (trade(&bid, &ask, "1", "10.01"), "PRICE_OUTSIDE_LIMITS"),
        (trade(&bid, &ask, "1", "8.99"), "PRICE_OUTSIDE_LIMITS"),
        (trade(&bid, &ask, "0.5", "9.5"), "SCALE_EXCEEDED"),
    ] {
        assert_eq!(verdict(&world.settle(&trade).await), format!("REJECTED({why})"), "{trade:?}");
    }
    assert_eq!(world.effects().await, before);
    // Over-matching on the second partial fill, and one trade id for two sagas.
    let first = trade(&bid, &ask, "3", "9.5");
    assert_eq!(verdict(&world.settle(&first).await), "DONE");
    assert_eq!(verdict(&world.settle(&trade(&bid, &ask, "3", "9.5")).await), "REJECTED(HOLD_INSUFFICIENT)");
    let request =
        wire::SettleTradeRequest { context: crate::harness::context(&fresh(), 1), command: Some(first) };
    let twice = world.participant().settle_trade(request).await.unwrap().into_inner();
    assert_eq!(verdict(&twice), "REJECTED(HOLD_MISMATCH)");
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_place_and_its_compensation_leave_a_journal_that_nets_to_zero() {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "1000").await;
    let hold = buy("customer-a", "THYAO", "5", "10");
    let saga = hold.hold_id.clone();
    world.place(&hold).await;
    world.compensate((&saga, 1), Kind::PlaceHold(hold)).await;
    let kinds: Vec<(String, Option<String>)> =
        sqlx::query_as("SELECT kind, reason FROM ledger_tx ORDER BY kind")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let kinds: Vec<_> = kinds.iter().map(|(kind, reason)| (kind.as_str(), reason.as_deref())).collect();
    assert_eq!(kinds, [("DEPOSIT", None), ("HOLD", None), ("RELEASE", Some("GAVE_UP"))]);
    assert_eq!(world.has("customer-a", "TRY").await, pair("1000", "0"));
    audit(&world.pool).await;
}
