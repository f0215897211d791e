//! Sagas as operators see them.

use brokerage_proto::order::v1::OrderStatus;
use brokerage_proto::saga::v1::{
    AbortSagaRequest, GetSagaRequest, ListSagasRequest, RetrySagaRequest, Saga, SagaStatus, StepKind,
    WatchSagaRequest,
};
use brokerage_types::Reason;
use test_mesh::{ALICE, BOB, Brokerage, Person, expect_refusal, fresh, holding};

/// Every state of a saga from now until it has ended.
async fn watched(person: &Person, saga_id: &str) -> Vec<Saga> {
    let request = WatchSagaRequest { saga_id: saga_id.to_owned() };
    let mut stream = person.sagas.clone().watch_saga(request).await.unwrap().into_inner();
    let mut states = Vec::new();
    while let Some(state) = stream.message().await.unwrap() {
        states.push(state);
    }
    states
}

#[tokio::test]
async fn a_saga_shows_every_step_and_a_watch_ends_with_it() {
    let brokerage = Brokerage::start().await;
    let (admin, auditor, alice) = (brokerage.admin(), brokerage.auditor(), brokerage.alice());
    admin.deposits(ALICE, "TRY", "100").await;
    let placed = alice.tries_to_place(alice.bid("THYAO", "10", "8.00")).await.unwrap();
    let states = watched(&auditor, &placed.saga_id).await;
    let saga = states.last().unwrap();
    assert_eq!((saga.kind.as_str(), saga.status()), ("create_order", SagaStatus::Completed));
    assert_eq!(saga.caller, "customer-a");
    let steps: Vec<_> =
        saga.steps.iter().map(|step| (step.name.as_str(), step.participant.as_str(), step.kind())).collect();
    let expected = [
        ("draft", "order-svc", StepKind::Compensatable),
        ("place_hold", "asset-svc", StepKind::Compensatable),
        ("open", "order-svc", StepKind::Pivot),
    ];
    assert_eq!(steps, expected);
    for step in &saga.steps {
        assert_eq!(step.attempts.last().unwrap().reply, "DONE", "{step:?}");
    }

    let too_dear = alice.tries_to_place(alice.bid("THYAO", "10", "80.00")).await;
    let too_dear = expect_refusal(too_dear, Reason::InsufficientUsable);
    let states = watched(&auditor, too_dear.metadata("saga_id").unwrap()).await;
    let saga = states.last().unwrap();
    assert_eq!((saga.status(), saga.reason.as_str()), (SagaStatus::RolledBack, "INSUFFICIENT_USABLE"));
    let drafting = &saga.steps[0].attempts;
    assert!(drafting.iter().any(|attempt| attempt.compensation && attempt.reply == "DONE"), "{drafting:?}");

    let ended = ListSagasRequest { statuses: vec![SagaStatus::RolledBack.into()], ..Default::default() };
    let listed = auditor.sagas.clone().list_sagas(ended).await.unwrap().into_inner().sagas;
    assert_eq!(listed.iter().map(|saga| saga.saga_id.as_str()).collect::<Vec<_>>(), [saga.saga_id.as_str()]);
    brokerage.audit().await;
}

#[tokio::test]
async fn an_operator_gives_up_what_can_be_given_up_and_nothing_else() {
    let brokerage = Brokerage::start().await;
    let (admin, alice, bob) = (brokerage.admin(), brokerage.alice(), brokerage.bob());
    admin.deposits(ALICE, "TRY", "100").await;
    admin.deposits(BOB, "THYAO", "10").await;
    let bid = alice.buys("THYAO", "10", "8.00").await;
    let ask = bob.sells("THYAO", "10", "8.00").await;
    // A cancel that waits for a trade in flight.
    let trade = brokerage.match_by_hand(&bid, &ask, "4", "8.00").await;
    assert_eq!(trade.reserve().await, "DONE");
    let canceling = tokio::spawn({
        let (alice, bid) = (alice.clone(), bid.clone());
        async move { alice.tries_to_cancel(&bid).await }
    });
    alice.waits_for(&bid, OrderStatus::CancelRequested).await;
    let running = ListSagasRequest { kind: "cancel_order".to_owned(), ..Default::default() };
    let sagas = admin.sagas.clone().list_sagas(running).await.unwrap().into_inner().sagas;
    let saga_id = sagas[0].saga_id.clone();
    let retry = RetrySagaRequest { saga_id: saga_id.clone(), reason: "a test".to_owned() };
    expect_refusal(admin.sagas.clone().retry_saga(retry).await, Reason::SagaNotParked);
    let abort =
        |saga_id: &str| AbortSagaRequest { saga_id: saga_id.to_owned(), reason: "a drill".to_owned() };
    admin.sagas.clone().abort_saga(abort(&saga_id)).await.unwrap();
    // The customer hears of it, and the order is what it was.
    expect_refusal(canceling.await.unwrap(), Reason::AbortedByOperator);
    assert_eq!(alice.status(&bid).await, OrderStatus::Pending);
    assert_eq!(alice.has("TRY").await, holding("20", "80"));
    assert_eq!((trade.settle().await, trade.fill().await), ("DONE".to_owned(), "DONE".to_owned()));

    let ended = watched(&admin, &saga_id).await;
    assert_eq!(ended.last().unwrap().status(), SagaStatus::RolledBack);
    expect_refusal(admin.sagas.clone().abort_saga(abort(&saga_id)).await, Reason::SagaEnded);
    let unknown = GetSagaRequest { saga_id: fresh() };
    expect_refusal(admin.sagas.clone().get_saga(unknown).await, Reason::SagaNotFound);
    // A cancel can be asked again.
    alice.cancels(&bid).await;
    assert_eq!(alice.has("TRY").await, holding("68", "0"));
    brokerage.audit().await;
}
