//! Bad input: a status with its reason, and no effect.

use brokerage_proto::asset::v1 as wire;
use brokerage_proto::common::v1 as common;

use crate::harness::{ADMIN, World, buy, context, deposit, fresh, reason, violated};

#[tokio::test]
async fn amounts_that_are_none_are_refused_for_their_reason() {
    let world = World::with_customers().await;
    let before = world.effects().await;
    for (amount, why) in [
        ("", "FIELD_REQUIRED"),
        ("0", "AMOUNT_NOT_POSITIVE"),
        ("-1", "AMOUNT_NOT_POSITIVE"),
        ("1e3", "AMOUNT_GRAMMAR"),
        ("+5", "AMOUNT_GRAMMAR"),
        ("1_000", "AMOUNT_GRAMMAR"),
        (" 5", "AMOUNT_GRAMMAR"),
        ("1.123456789", "AMOUNT_GRAMMAR"),
        ("1.001", "TOO_MANY_DECIMALS"),
        ("1111111111222222222233333333334444444444", "AMOUNT_TOO_LARGE"),
        ("1000000000000000000", "AMOUNT_TOO_LARGE"),
    ] {
        let answer = world.assets(ADMIN).deposit(deposit("customer-a", "TRY", amount)).await;
        assert_eq!(violated(&answer), ["amount"], "deposit of {amount:?}");
        assert_eq!(reason(answer).as_str(), why, "deposit of {amount:?}");
        let hold = wire::PlaceHold { quantity: amount.to_owned(), ..buy("customer-a", "GARAN", "1", "1") };
        let request = wire::PlaceHoldRequest { context: context(&fresh(), 1), command: Some(hold) };
        if why != "TOO_MANY_DECIMALS" {
            assert_eq!(
                reason(world.participant().place_hold(request).await).as_str(),
                why,
                "hold of {amount:?}"
            );
        }
    }
    assert_eq!(world.effects().await, before);
}

#[tokio::test]
async fn the_most_that_a_ledger_holds_is_not_exceeded() {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "999999999999999999").await;
    let more = world.assets(ADMIN).deposit(deposit("customer-a", "TRY", "1")).await;
    assert_eq!(reason(more).as_str(), "BALANCE_OVERFLOW");
    assert_eq!(world.has("customer-a", "TRY").await.0, "999999999999999999");
}

#[tokio::test]
async fn unknown_things_are_not_found() {
    let world = World::with_customers().await;
    let answer = world.assets(ADMIN).deposit(deposit("nobody", "TRY", "1")).await;
    assert_eq!(reason(answer).as_str(), "CUSTOMER_NOT_FOUND");
    let answer = world.assets(ADMIN).deposit(deposit("customer-a", "USD", "1")).await;
    assert_eq!(reason(answer).as_str(), "ASSET_NOT_FOUND");
    let list = wire::ListAssetsRequest { customer_id: "nobody".to_owned(), ..Default::default() };
    assert_eq!(reason(world.assets(ADMIN).list_assets(list).await).as_str(), "CUSTOMER_NOT_FOUND");
    let get = wire::GetCustomerRequest { customer_id: "nobody".to_owned() };
    assert_eq!(reason(world.customers(ADMIN).get_customer(get).await).as_str(), "CUSTOMER_NOT_FOUND");
    let terms = wire::GetCustomerTermsRequest { customer_id: "nobody".to_owned(), hold: None };
    assert_eq!(reason(world.participant().get_customer_terms(terms).await).as_str(), "CUSTOMER_NOT_FOUND");
}

#[tokio::test]
async fn somebody_elses_things_do_not_exist() {
    let world = World::with_customers().await;
    world.deposit("customer-b", "TRY", "10").await;
    let mut a = world.assets("token-customer-a");
    let foreign = "customer-b".to_owned();
    let list = wire::ListAssetsRequest { customer_id: foreign.clone(), ..Default::default() };
    assert_eq!(reason(a.list_assets(list.clone()).await).as_str(), "CUSTOMER_NOT_FOUND");
    // An employee sees the customers assigned to him.
    assert_eq!(reason(world.assets("token-employee").list_assets(list).await).as_str(), "CUSTOMER_NOT_FOUND");
    let withdraw = wire::WithdrawRequest {
        request_id: fresh(),
        customer_id: foreign.clone(),
        asset: "TRY".to_owned(),
        amount: "1".to_owned(),
    };
    assert_eq!(reason(a.withdraw(withdraw).await).as_str(), "CUSTOMER_NOT_FOUND");
    let get = wire::GetCustomerRequest { customer_id: foreign };
    assert_eq!(
        reason(world.customers("token-customer-a").get_customer(get).await).as_str(),
        "CUSTOMER_NOT_FOUND"
    );
    let deposit = deposit("customer-a", "TRY", "1");
    assert_eq!(reason(a.deposit(deposit).await).as_str(), "ROLE_NOT_ALLOWED");
    let own = wire::GetCustomerRequest::default();
    let me = world.customers("token-customer-a").get_customer(own).await.unwrap().into_inner();
    assert_eq!(me.customer_id, "customer-a");
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let world = World::with_customers().await;
    let transfer = wire::TransferRequest {
        request_id: fresh(),
        customer_id: "customer-a".to_owned(),
        asset: "try".to_owned(),
        amount: "x".to_owned(),
        ..Default::default()
    };
    let status = world.assets(ADMIN).transfer(transfer).await.unwrap_err();
    for field in ["house", "direction", "asset", "amount", "reason"] {
        assert!(status.message().contains(field), "{field}: {}", status.message());
    }
    assert_eq!(reason::<()>(Err(status)).as_str(), "VALIDATION_FAILED");
    for (id, ledger_scale, transfer_scale, why) in
        [("TRY", 6, 4, "SCALE_IMMUTABLE"), ("BIG", 9, 2, "FIELD_INVALID"), ("ODD", 2, 3, "FIELD_INVALID")]
    {
        let asset = Some(wire::Asset { asset: id.to_owned(), ledger_scale, transfer_scale });
        let request = wire::UpsertAssetRequest { request_id: fresh(), asset };
        assert_eq!(reason(world.assets(ADMIN).upsert_asset(request).await).as_str(), why, "{id}");
    }
    for reserved in ["house", "external"] {
        let customer = Some(wire::Customer {
            customer_id: reserved.to_owned(),
            name: "x".to_owned(),
            tier: 1,
            state: 1,
            version: 0,
        });
        let request = wire::UpsertCustomerRequest { request_id: fresh(), customer };
        assert_eq!(reason(world.customers(ADMIN).upsert_customer(request).await).as_str(), "FIELD_INVALID");
    }
    let half = wire::DepositRequest { external_ref: "E1".to_owned(), ..deposit("customer-a", "TRY", "1") };
    assert_eq!(reason(world.assets(ADMIN).deposit(half).await).as_str(), "FIELD_REQUIRED");
}

#[tokio::test]
async fn a_compensation_needs_its_command_and_a_reason_of_the_catalogue() {
    let world = World::with_customers().await;
    let ask = |reason: &str, kind| wire::CompensateRequest {
        context: context(&fresh(), 1),
        reason: reason.to_owned(),
        command: Some(wire::AssetCommand { kind }),
    };
    let release = wire::asset_command::Kind::ReleaseHold(wire::ReleaseHold { hold_id: fresh() });
    let mut participant = world.participant();
    assert_eq!(reason(participant.compensate(ask("GAVE_UP", None)).await).as_str(), "FIELD_REQUIRED");
    assert_eq!(reason(participant.compensate(ask("BORED", Some(release))).await).as_str(), "FIELD_INVALID");
    let no_context =
        wire::PlaceHoldRequest { context: None, command: Some(buy("customer-a", "THYAO", "1", "1")) };
    assert_eq!(reason(participant.place_hold(no_context).await).as_str(), "FIELD_INVALID");
    let no_side =
        wire::PlaceHold { side: common::Side::Unspecified.into(), ..buy("customer-a", "THYAO", "1", "1") };
    let no_side = wire::PlaceHoldRequest { context: context(&fresh(), 1), command: Some(no_side) };
    assert_eq!(reason(participant.place_hold(no_side).await).as_str(), "FIELD_REQUIRED");
}
