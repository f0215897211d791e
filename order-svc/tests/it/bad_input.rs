//! What cannot be read is refused with a reason and has no effect.

use brokerage_proto::common::v1::{Side, StepContext};
use brokerage_proto::order::v1 as proto;
use brokerage_types::Reason;

use crate::fixture::{Server, Step, draft, new_id, reason, xyz};

/// Makes a good message bad.
type Spoil<T> = fn(&mut T);

#[tokio::test]
async fn a_draft_that_cannot_be_read_is_no_verdict() {
    let server = Server::with_xyz().await;
    let mut orchestrator = server.orchestrator();
    let context = || Some(StepContext { saga_id: new_id(), step: 0, epoch: 1, ..Default::default() });
    let before = server.everything().await;
    let cases: [(Spoil<proto::Draft>, Reason); 12] = [
        (|d| d.quantity = "0".to_owned(), Reason::AmountNotPositive),
        (|d| d.quantity = "-1".to_owned(), Reason::AmountNotPositive),
        (|d| d.quantity = "+5".to_owned(), Reason::AmountGrammar),
        (|d| d.limit_price = "1e3".to_owned(), Reason::AmountGrammar),
        (|d| d.limit_price = "0".to_owned(), Reason::AmountNotPositive),
        (|d| d.limit_price = "1".repeat(40), Reason::AmountTooLarge),
        (|d| d.limit_price = String::new(), Reason::FieldRequired),
        (|d| d.side = 0, Reason::FieldRequired),
        (|d| d.side = 9, Reason::FieldInvalid),
        (|d| d.order_id = "x".to_owned(), Reason::FieldInvalid),
        (|d| d.customer_id = "no spaces".to_owned(), Reason::FieldInvalid),
        (|d| d.client_order_id = String::new(), Reason::FieldRequired),
    ];
    for (spoil, expected) in cases {
        let mut command = draft("customer-a", Side::Buy, "10");
        spoil(&mut command);
        let request = proto::DraftRequest { context: context(), command: Some(command.clone()) };
        assert_eq!(reason(orchestrator.draft(request).await), expected, "{command:?}");
    }
    let empty = proto::DraftRequest { context: context(), command: None };
    assert_eq!(reason(orchestrator.draft(empty).await), Reason::FieldRequired);
    let nobody = proto::DraftRequest { context: None, command: Some(draft("customer-a", Side::Buy, "10")) };
    assert_eq!(reason(orchestrator.draft(nobody).await), Reason::FieldInvalid);
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn a_draft_that_the_instrument_does_not_take_is_rejected() {
    let server = Server::with_xyz().await;
    let mut coarse = xyz();
    coarse.symbol = "COARSE".to_owned();
    coarse.tick_bands[0].tick = "0.05".to_owned();
    coarse.lot = "10".to_owned();
    coarse.max_quantity = "1000".to_owned();
    coarse.min_notional = "500".to_owned();
    server.upsert(coarse).await;
    let before = server.everything().await;
    let cases: [(Spoil<proto::Draft>, &str); 7] = [
        (|d| d.limit_price = "100.01".to_owned(), "OFF_TICK"),
        (|d| d.limit_price = "100.001".to_owned(), "TOO_MANY_DECIMALS"),
        (|d| d.quantity = "15".to_owned(), "OFF_LOT"),
        (|d| d.quantity = "10.5".to_owned(), "TOO_MANY_DECIMALS"),
        (|d| d.quantity = "1010".to_owned(), "ABOVE_MAX_QUANTITY"),
        (|d| d.limit_price = "1".to_owned(), "BELOW_MIN_NOTIONAL"),
        (|d| d.instrument = "NONE".to_owned(), "INSTRUMENT_NOT_FOUND"),
    ];
    for (spoil, expected) in cases {
        let mut order = draft("customer-a", Side::Buy, "10");
        order.instrument = "COARSE".to_owned();
        spoil(&mut order);
        assert_eq!(server.refused(&Step::draft(&order)).await, expected, "{order:?}");
    }
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn an_instrument_that_would_round_or_says_nothing_is_refused_by_field() {
    let server = Server::start().await;
    let mut admin = server.user("token-admin");
    let cases: [(Spoil<proto::Instrument>, Reason); 8] = [
        (|i| i.price_scale = 5, Reason::FieldInvalid),
        (|i| i.quote_ledger_scale = 9, Reason::FieldInvalid),
        (|i| i.quote_asset.clone_from(&i.base_asset), Reason::FieldInvalid),
        (|i| i.tick_bands.clear(), Reason::FieldRequired),
        (|i| i.tick_bands[0].tick = "0.001".to_owned(), Reason::TooManyDecimals),
        (|i| i.lot = "0".to_owned(), Reason::AmountNotPositive),
        (|i| i.state = 0, Reason::FieldRequired),
        (|i| i.symbol = "lower".to_owned(), Reason::FieldInvalid),
    ];
    for (spoil, expected) in cases {
        let mut instrument = xyz();
        if expected == Reason::FieldInvalid {
            instrument.quantity_scale = 2;
        }
        spoil(&mut instrument);
        let request =
            proto::UpsertInstrumentRequest { request_id: new_id(), instrument: Some(instrument.clone()) };
        assert_eq!(reason(admin.upsert_instrument(request).await), expected, "{instrument:?}");
    }
    let anonymous = proto::UpsertInstrumentRequest { request_id: "7".to_owned(), instrument: Some(xyz()) };
    assert_eq!(reason(admin.upsert_instrument(anonymous).await), Reason::RequestIdInvalid);
}

#[tokio::test]
async fn an_order_must_be_named_one_way_and_a_suspension_have_a_reason() {
    let server = Server::with_xyz().await;
    let mut admin = server.user("token-admin");
    assert_eq!(reason(admin.get_order(proto::GetOrderRequest::default()).await), Reason::FieldRequired);
    let both = proto::GetOrderRequest {
        order_id: new_id(),
        client_order_id: "label".to_owned(),
        ..Default::default()
    };
    assert_eq!(reason(admin.get_order(both).await), Reason::FieldInvalid);
    let missing = proto::GetOrderRequest { order_id: new_id(), ..Default::default() };
    assert_eq!(reason(admin.get_order(missing).await), Reason::OrderNotFound);
    let silent =
        proto::SuspendOrderRequest { request_id: new_id(), order_id: new_id(), ..Default::default() };
    assert_eq!(reason(admin.suspend_order(silent).await), Reason::FieldRequired);
    let missing =
        proto::ResumeOrderRequest { request_id: new_id(), order_id: new_id(), reason: "why not".to_owned() };
    assert_eq!(reason(admin.resume_order(missing).await), Reason::OrderNotFound);
}

#[tokio::test]
async fn steps_need_the_services_secret_and_are_not_public() {
    let server = Server::with_xyz().await;
    let request = || proto::OpenRequest::default();
    let mut stranger = server.stranger();
    assert_eq!(reason(stranger.open(request()).await), Reason::ServiceSecretInvalid);
    let mut intruder = server.steps_on_the_public_listener("token-admin");
    let refused = intruder.open(request()).await.expect_err("steps are not public");
    assert_eq!(refused.code(), tonic::Code::Unimplemented, "{refused:?}");
}

#[tokio::test]
async fn unknown_and_expired_tokens_are_refused() {
    let server = Server::with_xyz().await;
    let order = || proto::GetOrderRequest::default();
    assert_eq!(reason(server.user("token-nobody").get_order(order()).await), Reason::TokenUnknown);
    assert_eq!(reason(server.user("token-expired").get_order(order()).await), Reason::TokenExpired);
}
