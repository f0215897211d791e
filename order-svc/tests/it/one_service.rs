//! Commands of this service alone: instruments and suspension, each by request id.

use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1 as proto;
use brokerage_proto::order::v1::OrderStatus;
use brokerage_types::Reason;
use futures::future::join_all;

use crate::fixture::{Server, Step, new_id, reason, xyz};

fn upsert(instrument: proto::Instrument) -> proto::UpsertInstrumentRequest {
    proto::UpsertInstrumentRequest { request_id: new_id(), instrument: Some(instrument) }
}

fn suspend(order_id: &str) -> proto::SuspendOrderRequest {
    proto::SuspendOrderRequest {
        request_id: new_id(),
        order_id: order_id.to_owned(),
        reason: "poison pair".to_owned(),
    }
}

fn resume(order_id: &str) -> proto::ResumeOrderRequest {
    proto::ResumeOrderRequest {
        request_id: new_id(),
        order_id: order_id.to_owned(),
        reason: "mended".to_owned(),
    }
}

#[tokio::test]
async fn an_instrument_upserted_twice_is_answered_as_the_first_time() {
    let server = Server::start().await;
    let mut admin = server.user("token-admin");
    let request = upsert(xyz());
    let first = admin.upsert_instrument(request.clone()).await.unwrap().into_inner();
    assert!(!first.replayed);
    assert_eq!(first.instrument.as_ref().map(|i| i.version), Some(1));
    let again = admin.upsert_instrument(request.clone()).await.unwrap().into_inner();
    assert!(again.replayed);
    assert_eq!(again.instrument, first.instrument);

    let before = server.everything().await;
    let mut other = request;
    other.instrument.as_mut().unwrap().lot = "2".to_owned();
    assert_eq!(reason(admin.upsert_instrument(other).await), Reason::RequestIdReused);
    assert_eq!(server.everything().await, before);
}

#[tokio::test]
async fn an_instrument_upserted_64_times_at_once_is_created_once() {
    let server = Server::start().await;
    let request = upsert(xyz());
    let answers = join_all((0..64).map(|_| {
        let (mut admin, request) = (server.user("token-admin"), request.clone());
        async move { admin.upsert_instrument(request).await.unwrap().into_inner() }
    }))
    .await;
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.instrument.as_ref().is_some_and(|i| i.version == 1)));
}

#[tokio::test]
async fn only_the_scales_and_assets_of_an_instrument_are_for_ever() {
    let server = Server::with_xyz().await;
    let mut admin = server.user("token-admin");
    let change = |change: fn(&mut proto::Instrument)| {
        let mut instrument = xyz();
        change(&mut instrument);
        upsert(instrument)
    };
    for request in [
        change(|i| i.base_asset = "ABC".to_owned()),
        change(|i| i.quote_asset = "USD".to_owned()),
        change(|i| i.price_scale = 3),
        change(|i| i.quantity_scale = 1),
        change(|i| i.quote_ledger_scale = 5),
    ] {
        assert_eq!(reason(admin.upsert_instrument(request).await), Reason::ScaleImmutable);
    }
    let tick = |i: &mut proto::Instrument| i.tick_bands[0].tick = "0.05".to_owned();
    let changed = admin.upsert_instrument(change(tick)).await.unwrap().into_inner().instrument.unwrap();
    assert_eq!((changed.version, changed.tick_bands[0].tick.as_str()), (2, "0.05"));
    let same = admin.upsert_instrument(change(tick)).await.unwrap().into_inner().instrument.unwrap();
    assert_eq!(same.version, 2, "nothing changed");
}

#[tokio::test]
async fn a_suspended_order_is_out_of_the_market_until_it_is_resumed() {
    let server = Server::with_xyz().await;
    let (buy, sell) = server.a_crossing_pair().await;
    let in_flight = Step::reserve(&buy, &sell, "4");
    server.done(&in_flight).await;
    let mut admin = server.user("token-admin");

    let request = suspend(&buy.order_id);
    let first = admin.suspend_order(request.clone()).await.unwrap().into_inner();
    assert_eq!((first.status(), first.version, first.replayed), (OrderStatus::Suspended, 4, false));
    assert_eq!(server.refused(&Step::reserve(&buy, &sell, "1")).await, "NOT_MATCHABLE");
    // What was in flight still lands.
    server.done(&Step::fill_of(&in_flight)).await;
    assert_eq!(server.status(&buy.order_id).await, OrderStatus::Suspended);

    let again = admin.suspend_order(request.clone()).await.unwrap().into_inner();
    assert_eq!((again.version, again.replayed), (4, true));
    let mut other = request;
    other.reason = "another".to_owned();
    assert_eq!(reason(admin.suspend_order(other).await), Reason::RequestIdReused);
    assert_eq!(reason(admin.suspend_order(suspend(&buy.order_id)).await), Reason::IllegalTransition);

    let request = resume(&buy.order_id);
    let resumed = join_all((0..64).map(|_| {
        let (mut admin, request) = (server.user("token-admin"), request.clone());
        async move { admin.resume_order(request).await.unwrap().into_inner() }
    }))
    .await;
    assert!(resumed.iter().all(|r| (r.status(), r.version) == (OrderStatus::PartiallyMatched, 6)));
    assert_eq!(resumed.iter().filter(|answer| !answer.replayed).count(), 1);
    let mut other = request;
    other.order_id.clone_from(&sell.order_id);
    assert_eq!(reason(admin.resume_order(other).await), Reason::RequestIdReused);
    server.done(&Step::reserve(&buy, &sell, "6")).await;
    server.audit().await;
}

#[tokio::test]
async fn an_order_suspended_64_times_at_once_is_suspended_once() {
    let server = Server::with_xyz().await;
    let order = server.opened("customer-a", Side::Buy, "10").await;
    let request = suspend(&order.order_id);
    let answers = join_all((0..64).map(|_| {
        let (mut admin, request) = (server.user("token-admin"), request.clone());
        async move { admin.suspend_order(request).await.unwrap().into_inner() }
    }))
    .await;
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| answer.version == 3));
}

#[tokio::test]
async fn a_refused_command_stays_refused_under_its_request_id() {
    let server = Server::with_xyz().await;
    let order = server.drafted("customer-a", Side::Buy, "10").await;
    let mut admin = server.user("token-admin");
    let request = suspend(&order.order_id);
    assert_eq!(reason(admin.suspend_order(request.clone()).await), Reason::IllegalTransition);
    server.done(&Step::open(&order)).await;
    assert_eq!(reason(admin.suspend_order(request).await), Reason::IllegalTransition);
    assert!(admin.suspend_order(suspend(&order.order_id)).await.is_ok());
}

#[tokio::test]
async fn only_an_admin_commands() {
    let server = Server::with_xyz().await;
    let order = server.opened("customer-a", Side::Buy, "10").await;
    for token in ["token-employee", "token-customer-a", "token-auditor"] {
        let mut user = server.user(token);
        assert_eq!(reason(user.upsert_instrument(upsert(xyz())).await), Reason::RoleNotAllowed);
        assert_eq!(reason(user.suspend_order(suspend(&order.order_id)).await), Reason::RoleNotAllowed);
        assert_eq!(reason(user.resume_order(resume(&order.order_id)).await), Reason::RoleNotAllowed);
    }
}
