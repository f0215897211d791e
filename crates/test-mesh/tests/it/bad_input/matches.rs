//! Pairs that do not match.

use brokerage_proto::trading::v1::MatchOrdersRequest;
use brokerage_types::Reason;
use test_mesh::{ALICE, BOB, Brokerage, CAROL, expect_refusal, fresh};
use tonic::Code;

#[tokio::test]
async fn a_pair_that_does_not_match_is_refused_for_its_reason() {
    let brokerage = Brokerage::start().await;
    let (admin, alice, bob, carol) =
        (brokerage.admin(), brokerage.alice(), brokerage.bob(), brokerage.carol());
    for customer in [ALICE, CAROL] {
        admin.deposits(customer, "TRY", "10000").await;
    }
    for (customer, asset) in [(ALICE, "THYAO"), (BOB, "THYAO"), (BOB, "GARAN")] {
        admin.deposits(customer, asset, "100").await;
    }
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let other_bid = carol.buys("THYAO", "10", "9.00").await;
    let ask = bob.sells("THYAO", "10", "7.00").await;
    let own_ask = alice.sells("THYAO", "10", "8.00").await;
    let dear = bob.sells("THYAO", "10", "8.01").await;
    let elsewhere = bob.sells("GARAN", "10", "7.00").await;
    let gone = bob.sells("THYAO", "10", "7.00").await;
    bob.cancels(&gone).await;
    let suspended = bob.sells("THYAO", "10", "7.00").await;
    admin.suspends(&suspended).await;

    let with = |sell: &str, quantity: &str, price: &str| MatchOrdersRequest {
        quantity: quantity.to_owned(),
        price: price.to_owned(),
        ..admin.pair(&bid, sell)
    };
    let cases = [
        ("two buys", admin.pair(&bid, &other_bid), Reason::SameSide),
        ("two sells", admin.pair(&ask, &dear), Reason::SameSide),
        ("one order with itself", admin.pair(&bid, &bid), Reason::SameSide),
        ("another instrument", with(&elsewhere, "", ""), Reason::InstrumentMismatch),
        ("not crossing", with(&dear, "", ""), Reason::NotCrossing),
        ("the same owner", with(&own_ask, "", ""), Reason::SelfTrade),
        ("too much", with(&ask, "11", ""), Reason::QuantityExceedsLeaves),
        ("below the seller's limit", with(&ask, "", "6.99"), Reason::PriceOutsideLimits),
        ("above the buyer's limit", with(&ask, "", "8.01"), Reason::PriceOutsideLimits),
        ("canceled", with(&gone, "", ""), Reason::NotMatchable),
        ("suspended", with(&suspended, "", ""), Reason::NotMatchable),
    ];
    let before = brokerage.snapshot().await;
    for (what, request, reason) in cases {
        for validate_only in [true, false] {
            let request = MatchOrdersRequest { validate_only, request_id: fresh(), ..request.clone() };
            let refusal = expect_refusal(admin.tries_to_match(request).await, reason);
            assert_eq!(refusal.code, Code::FailedPrecondition, "{what}");
            assert!(refusal.violations.is_empty(), "{what}: no field is at fault");
        }
        brokerage.snapshot().await.is(&before, what);
    }
    let swapped = expect_refusal(admin.tries_to_match(admin.pair(&ask, &bid)).await, Reason::FieldInvalid);
    swapped.blames(&["buy_order_id"]);
    brokerage.snapshot().await.is(&before, "buy and sell swapped");
    brokerage.audit().await;
}
