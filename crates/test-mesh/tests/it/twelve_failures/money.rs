//! Money that others make, lose or round.

use brokerage_types::{Amount, Reason};
use futures::future::join_all;
use test_mesh::{ALICE, BOB, Brokerage, CAROL, expect_refusal, holding};

#[tokio::test]
async fn a_fully_invested_customer_can_be_matched() {
    let brokerage = Brokerage::start().await;
    brokerage.charges(2_000).await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    // The buyer has what the order may cost and no more; the seller has no money at all.
    admin.deposits(ALICE, "TRY", "80.16").await;
    admin.deposits(BOB, "THYAO", "10").await;
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "10", "8.00").await;
    assert_eq!(alice.has("TRY").await, holding("0", "80.16"));
    assert_eq!(bob.has("TRY").await, holding("0", "0"));
    admin.matches_part(&bid, &ask, "3").await;
    admin.matches(&bid, &ask).await;
    assert_eq!(alice.has("TRY").await, holding("0", "0"));
    assert_eq!(alice.has("THYAO").await, holding("10", "0"));
    assert_eq!(bob.has("TRY").await, holding("79.84", "0"));
    assert_eq!(bob.has("THYAO").await, holding("0", "0"));
    brokerage.audit().await;
}

#[tokio::test]
async fn a_balance_that_does_not_suffice_is_refused_and_never_clamped_at_zero() {
    let brokerage = Brokerage::start().await;
    let (admin, alice) = (brokerage.admin(), brokerage.alice());
    admin.deposits(ALICE, "TRY", "10").await;
    let before = brokerage.snapshot().await;
    expect_refusal(alice.tries_to_withdraw("TRY", "10.01").await, Reason::InsufficientUsable);
    let too_dear = alice.bid("THYAO", "1", "10.01");
    expect_refusal(alice.tries_to_place(too_dear).await, Reason::InsufficientUsable);
    brokerage.snapshot().await.is(&before, "spending a kuruş too much");
    // Twelve at once want four each: two get it, and what is left is what is left.
    let withdrawals = join_all((0..12).map(|_| alice.tries_to_withdraw("TRY", "4"))).await;
    assert_eq!(withdrawals.iter().filter(|answer| answer.is_ok()).count(), 2);
    assert_eq!(alice.has("TRY").await, holding("2", "0"));
    alice.tries_to_withdraw("TRY", "2").await.unwrap();
    assert_eq!(alice.has("TRY").await, holding("0", "0"));
    // Not even the database would take less than nothing.
    let negative = sqlx::query("UPDATE balances SET available = -1 WHERE owner = 'customer-a'")
        .execute(&mut brokerage.databases.asset().await)
        .await
        .unwrap_err();
    assert!(negative.to_string().contains("balances_available_not_negative"), "{negative}");
    brokerage.audit().await;
}

#[tokio::test]
async fn no_update_of_the_cash_row_is_lost_by_orders_on_different_instruments() {
    const PAIRS: usize = 16;
    let brokerage = Brokerage::start().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    admin.deposits(ALICE, "TRY", "100000").await;
    for asset in ["THYAO", "GARAN"] {
        admin.deposits(BOB, asset, "1000").await;
    }
    let symbols = ["THYAO", "GARAN"].into_iter().cycle().take(2 * PAIRS);
    // Thirty-two holds on one cash row, on two instruments, at once.
    let bids = join_all(symbols.clone().map(|symbol| alice.buys(symbol, "10", "8.00"))).await;
    assert_eq!(alice.has("TRY").await, holding("97440", "2560"));
    let asks = join_all(symbols.map(|symbol| bob.sells(symbol, "10", "7.00"))).await;
    // The first of each four trades, and the rest is canceled, everything at once.
    let mut matching = Vec::new();
    let mut canceling = Vec::new();
    for (nth, (bid, ask)) in bids.iter().zip(&asks).enumerate() {
        if nth % 4 < 2 {
            matching.push(admin.matches(bid, ask));
        } else {
            canceling.push(alice.cancels(bid));
        }
    }
    let (trades, cancels) = futures::future::join(join_all(matching), join_all(canceling)).await;
    assert_eq!((trades.len(), cancels.len()), (PAIRS, PAIRS));
    assert!(trades.iter().all(|trade| trade.price == "8"), "the bid came first: {trades:?}");
    assert_eq!(alice.has("TRY").await, holding("98720", "0"));
    assert_eq!(bob.has("TRY").await, holding("1280", "0"));
    assert_eq!(alice.has("THYAO").await, holding("80", "0"));
    assert_eq!(alice.has("GARAN").await, holding("80", "0"));
    brokerage.audit().await;
}

#[tokio::test]
async fn customers_who_trade_both_ways_do_not_block_each_other() {
    const PAIRS: usize = 12;
    let brokerage = Brokerage::start().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    for customer in [ALICE, BOB] {
        admin.deposits(customer, "TRY", "10000").await;
        admin.deposits(customer, "THYAO", "1000").await;
    }
    let mut pairs = Vec::new();
    for nth in 0..PAIRS {
        let (buyer, seller) = if nth % 2 == 0 { (&alice, &bob) } else { (&bob, &alice) };
        pairs.push((buyer.buys("THYAO", "10", "8.00").await, seller.sells("THYAO", "10", "8.00").await));
    }
    join_all(pairs.iter().map(|(bid, ask)| admin.matches(bid, ask))).await;
    for person in [&alice, &bob] {
        assert_eq!(person.has("TRY").await, holding("10000", "0"));
        assert_eq!(person.has("THYAO").await, holding("1000", "0"));
    }
    brokerage.audit().await;
}

#[tokio::test]
async fn a_fractional_product_is_exact_to_its_last_digit() {
    let brokerage = Brokerage::start().await;
    let (admin, alice, carol) = (brokerage.admin(), brokerage.alice(), brokerage.carol());
    admin.deposits(ALICE, "TRY", "1000000").await;
    admin.deposits(CAROL, "GARAN", "100000").await;
    let mut spent = Amount::ZERO;
    for (quantity, price, product) in [
        ("0.0001", "0.01", "0.000001"),
        ("0.0003", "11.37", "0.003411"),
        ("33.3333", "19.99", "666.332667"),
        ("7777.7777", "47.98", "373177.774046"),
    ] {
        let ask = carol.sells("GARAN", quantity, price).await;
        let bid = alice.buys("GARAN", quantity, price).await;
        let product = Amount::parse(product).unwrap();
        assert_eq!(Amount::parse(&alice.has("TRY").await.held).unwrap(), product, "{quantity} × {price}");
        admin.matches(&bid, &ask).await;
        spent = spent.checked_add(product).unwrap();
        let order = alice.sees(&bid).await;
        assert_eq!(Amount::parse(&order.cum_notional).unwrap(), product, "{quantity} × {price}");
        let proceeds = Amount::parse(&carol.has("TRY").await.usable).unwrap();
        assert_eq!(proceeds, spent, "what was paid came in, to the last digit");
    }
    assert_eq!(alice.has("TRY").await, holding("626155.889875", "0"));
    assert_eq!(carol.has("TRY").await, holding("373844.110125", "0"));
    // One hundred fills of a ten-thousandth each are one hundredth.
    let bid = alice.buys("GARAN", "0.01", "0.01").await;
    let ask = carol.sells("GARAN", "0.01", "0.01").await;
    join_all((0..100).map(|_| admin.matches_part(&bid, &ask, "0.0001"))).await;
    assert_eq!(alice.sees(&bid).await.cum_notional, "0.0001");
    assert_eq!(carol.has("TRY").await, holding("373844.110225", "0"));
    brokerage.audit().await;
}
