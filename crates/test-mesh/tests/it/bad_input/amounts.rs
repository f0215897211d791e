//! Prices, quantities and amounts that are none.

use brokerage_proto::asset::v1 as asset;
use brokerage_proto::trading::v1::{CreateOrderRequest, MatchOrdersRequest};
use brokerage_types::Reason;
use test_mesh::{ALICE, BOB, Brokerage, expect_refusal, fresh};
use tonic::Code;

/// Forty digits: more than any amount has.
const FORTY: &str = "1234567890123456789012345678901234567890";

/// Wrong whatever the instrument is.
const NOT_POSITIVE_NUMBERS: &[(&str, Reason)] = &[
    ("", Reason::FieldRequired),
    ("0", Reason::AmountNotPositive),
    ("0.00", Reason::AmountNotPositive),
    ("-1", Reason::AmountNotPositive),
    ("1e3", Reason::AmountGrammar),
    ("+5", Reason::AmountGrammar),
    ("5.", Reason::AmountGrammar),
    (".5", Reason::AmountGrammar),
    ("05", Reason::AmountGrammar),
    (" 5", Reason::AmountGrammar),
    ("5,0", Reason::AmountGrammar),
    ("1_000", Reason::AmountGrammar),
    ("NaN", Reason::AmountGrammar),
    ("٥", Reason::AmountGrammar),
    ("1.123456789", Reason::AmountGrammar),
    (FORTY, Reason::AmountTooLarge),
];

#[tokio::test]
async fn an_order_needs_a_price_and_a_quantity() {
    let brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "1000000").await;
    let good = || alice.bid("THYAO", "10", "8.00");
    let mut cases: Vec<(CreateOrderRequest, &str, Reason)> = Vec::new();
    for (text, reason) in NOT_POSITIVE_NUMBERS {
        let text = (*text).to_owned();
        cases.push((CreateOrderRequest { limit_price: text.clone(), ..good() }, "limit_price", *reason));
        cases.push((CreateOrderRequest { quantity: text, ..good() }, "quantity", *reason));
    }
    let before = (brokerage.snapshot().await, brokerage.saga_count().await);
    for (request, field, reason) in cases {
        let what = format!("{request:?}");
        let refusal = expect_refusal(alice.tries_to_place(request).await, reason);
        assert_eq!(refusal.code, Code::InvalidArgument, "{what}");
        refusal.blames(&[field]);
    }
    brokerage.snapshot().await.is(&before.0, "orders without price or quantity");
    assert_eq!(brokerage.saga_count().await, before.1);
    brokerage.audit().await;
}

#[tokio::test]
async fn an_order_fits_its_instrument() {
    let brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(ALICE, "TRY", "1000000").await;
    let before = (brokerage.snapshot().await, brokerage.saga_count().await);
    for (symbol, quantity, price, field, reason) in [
        ("THYAO", "10", "8.001", "limit_price", Reason::TooManyDecimals),
        ("THYAO", "10", "20.01", "limit_price", Reason::OffTick),
        ("THYAO", "10", "50.02", "limit_price", Reason::OffTick),
        ("THYAO", "1.5", "8.00", "quantity", Reason::TooManyDecimals),
        ("GARAN", "0.00001", "8.00", "quantity", Reason::TooManyDecimals),
        ("ASELS", "25", "8.00", "quantity", Reason::OffLot),
        ("ASELS", "10", "80.00", "quantity", Reason::BelowMinQuantity),
        ("ASELS", "1010", "8.00", "quantity", Reason::AboveMaxQuantity),
        ("ASELS", "20", "1.00", "quantity", Reason::BelowMinNotional),
        ("THYAO", "999999999999999999", "999999999999999999", "quantity", Reason::AmountTooLarge),
    ] {
        for request in [alice.bid(symbol, quantity, price), alice.ask(symbol, quantity, price)] {
            for validate_only in [true, false] {
                let request = CreateOrderRequest { validate_only, ..request.clone() };
                let refusal = expect_refusal(alice.tries_to_place(request).await, reason);
                assert_eq!(refusal.code, Code::InvalidArgument, "{symbol} {quantity} at {price}");
                refusal.blames(&[field]);
            }
        }
    }
    brokerage.snapshot().await.is(&before.0, "orders that fit no instrument");
    assert_eq!(brokerage.saga_count().await, before.1);
    brokerage.audit().await;
}

#[tokio::test]
async fn everything_wrong_is_said_at_once() {
    let brokerage = Brokerage::start().await;
    let before = brokerage.snapshot().await;
    let request = CreateOrderRequest {
        request_id: "seven".to_owned(),
        side: 0,
        limit_price: "1e3".to_owned(),
        quantity: "+5".to_owned(),
        client_order_id: "x".repeat(129),
        ..brokerage.alice().bid("THYAO", "10", "8.00")
    };
    let refusal = expect_refusal(brokerage.alice().tries_to_place(request).await, Reason::ValidationFailed);
    assert_eq!(refusal.code, Code::InvalidArgument);
    let mut fields = refusal.fields();
    fields.sort_unstable();
    assert_eq!(fields, ["client_order_id", "limit_price", "quantity", "request_id", "side"]);
    let request = CreateOrderRequest {
        instrument: "no such".to_owned(),
        ..brokerage.alice().bid("THYAO", "10", "8.00")
    };
    expect_refusal(brokerage.alice().tries_to_place(request).await, Reason::FieldInvalid)
        .blames(&["instrument"]);
    brokerage.snapshot().await.is(&before, "a request that is wrong all over");
    brokerage.audit().await;
}

#[tokio::test]
async fn a_match_needs_a_price_and_a_quantity_that_fit() {
    let brokerage = Brokerage::start().await;
    let admin = brokerage.admin();
    admin.deposits(ALICE, "TRY", "1000000").await;
    admin.deposits(BOB, "THYAO", "100").await;
    let bid = brokerage.alice().buys("THYAO", "10", "30.00").await;
    let ask = brokerage.bob().sells("THYAO", "10", "20.00").await;
    let good = || admin.pair(&bid, &ask);
    let before = (brokerage.snapshot().await, brokerage.saga_count().await);
    for (text, reason) in NOT_POSITIVE_NUMBERS.iter().filter(|(text, _)| !text.is_empty()) {
        for (request, field) in [
            (MatchOrdersRequest { quantity: (*text).to_owned(), ..good() }, "quantity"),
            (MatchOrdersRequest { price: (*text).to_owned(), ..good() }, "price"),
        ] {
            let refusal = expect_refusal(admin.tries_to_match(request).await, *reason);
            assert_eq!(refusal.code, Code::InvalidArgument, "{field} {text}");
            refusal.blames(&[field]);
        }
    }
    for (quantity, price, field, reason) in [
        ("1.5", "", "quantity", Reason::OffLot),
        ("", "20.01", "price", Reason::OffTick),
        ("", "20.001", "price", Reason::OffTick),
    ] {
        let (quantity, price) = (quantity.to_owned(), price.to_owned());
        let request = MatchOrdersRequest { quantity, price, ..good() };
        let refusal = expect_refusal(admin.tries_to_match(request).await, reason);
        assert_eq!(refusal.code, Code::InvalidArgument);
        refusal.blames(&[field]);
    }
    brokerage.snapshot().await.is(&before.0, "matches without price or quantity");
    assert_eq!(brokerage.saga_count().await, before.1);
    brokerage.audit().await;
}

#[tokio::test]
async fn a_movement_needs_an_amount() {
    let brokerage = Brokerage::start().await;
    let admin = brokerage.admin();
    admin.deposits(ALICE, "TRY", "1000000").await;
    let before = brokerage.snapshot().await;
    let cases = NOT_POSITIVE_NUMBERS.iter().chain(&[("1.001", Reason::TooManyDecimals)]);
    for (text, reason) in cases {
        let deposit = asset::DepositRequest {
            request_id: fresh(),
            customer_id: ALICE.to_owned(),
            asset: "TRY".to_owned(),
            amount: (*text).to_owned(),
            ..Default::default()
        };
        let refusals = [
            expect_refusal(admin.tries_to_deposit(deposit).await, *reason),
            expect_refusal(brokerage.alice().tries_to_withdraw("TRY", text).await, *reason),
        ];
        for refusal in refusals {
            assert_eq!(refusal.code, Code::InvalidArgument, "{text}");
            // How many decimals a transfer may have, the ledger says; by then the field has been read.
            if *reason != Reason::TooManyDecimals {
                refusal.blames(&["amount"]);
            }
        }
        if *reason == Reason::TooManyDecimals {
            // A transfer inside the house goes down to the ledger's last digit.
            continue;
        }
        let transfer = asset::TransferRequest {
            request_id: fresh(),
            customer_id: ALICE.to_owned(),
            house: asset::HouseAccount::Inventory.into(),
            direction: asset::TransferDirection::HouseToCustomer.into(),
            asset: "TRY".to_owned(),
            amount: (*text).to_owned(),
            reason: "a present".to_owned(),
        };
        let refusal = expect_refusal(admin.assets.clone().transfer(transfer).await, *reason);
        refusal.blames(&["amount"]);
    }
    brokerage.snapshot().await.is(&before, "movements of nothing");
    brokerage.audit().await;
}
