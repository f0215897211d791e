//! Every saga step: twice, altered, 64 times at once, taken back twice, taken back before it ran.

use brokerage_proto::common::v1::{Side, Verdict};
use brokerage_proto::order::v1::OrderStatus;
use brokerage_proto::order::v1::order_command::Kind;
use brokerage_types::Reason;
use futures::future::join_all;
use uuid::Uuid;

use crate::fixture::{Server, Step, draft, verdict};

/// Which step, in the situation where it is next.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Case {
    Draft,
    Open,
    BeginCancel,
    ConfirmCancel,
    ReserveMatch,
    ApplyFill,
}

const CASES: [Case; 6] =
    [Case::Draft, Case::Open, Case::BeginCancel, Case::ConfirmCancel, Case::ReserveMatch, Case::ApplyFill];

impl Case {
    /// Leads an order to where this step is next.
    async fn prepare(self, server: &Server) -> Step {
        match self {
            Case::Draft => Step::draft(&draft("customer-a", Side::Buy, "10")),
            Case::Open => Step::open(&server.drafted("customer-a", Side::Buy, "10").await),
            Case::BeginCancel => {
                let order = server.opened("customer-a", Side::Buy, "10").await;
                Step::begin_cancel(Uuid::now_v7(), &order.order_id)
            }
            Case::ConfirmCancel => {
                let order = server.opened("customer-a", Side::Buy, "10").await;
                let saga = Uuid::now_v7();
                server.done(&Step::begin_cancel(saga, &order.order_id)).await;
                Step::confirm_cancel(saga, &order.order_id)
            }
            Case::ReserveMatch => {
                let (buy, sell) = server.a_crossing_pair().await;
                Step::reserve(&buy, &sell, "4")
            }
            Case::ApplyFill => {
                let (buy, sell) = server.a_crossing_pair().await;
                let reserve = Step::reserve(&buy, &sell, "4");
                server.done(&reserve).await;
                Step::fill_of(&reserve)
            }
        }
    }

    fn is_compensatable(self) -> bool {
        match self {
            Case::Draft | Case::BeginCancel | Case::ReserveMatch => true,
            Case::Open | Case::ConfirmCancel | Case::ApplyFill => false,
        }
    }

    /// Whether it comes after its saga's pivot.
    fn is_retriable(self) -> bool {
        match self {
            Case::ConfirmCancel | Case::ApplyFill => true,
            Case::Draft | Case::Open | Case::BeginCancel | Case::ReserveMatch => false,
        }
    }
}

/// The same key with other content.
fn altered(step: &Step) -> Step {
    let mut step = step.clone();
    match &mut step.command {
        Kind::Draft(command) => command.quantity = "11".to_owned(),
        Kind::Open(command) => command.instrument = "ABC".to_owned(),
        Kind::BeginCancel(command) => command.requested_by = "admin".to_owned(),
        Kind::ConfirmCancel(command) => command.order_id = Uuid::now_v7().to_string(),
        Kind::ReserveMatch(command) => command.quantity = "5".to_owned(),
        Kind::ApplyFill(command) => command.price = "99".to_owned(),
    }
    step
}

#[tokio::test]
async fn a_step_done_twice_has_one_effect() {
    let server = Server::with_xyz().await;
    for case in CASES {
        let step = case.prepare(&server).await;
        server.done(&step).await;
        let after = server.everything().await;
        server.done(&step).await;
        assert_eq!(server.everything().await, after, "{case:?}");
    }
    server.audit().await;
}

#[tokio::test]
async fn a_step_repeated_with_other_content_is_a_mismatch_without_effect() {
    let server = Server::with_xyz().await;
    for case in CASES {
        let step = case.prepare(&server).await;
        server.done(&step).await;
        let after = server.everything().await;
        assert_eq!(verdict(&server.step(&altered(&step)).await), Verdict::Mismatch, "{case:?}");
        assert_eq!(server.everything().await, after, "{case:?}");
    }
}

#[tokio::test]
async fn equal_amounts_written_differently_are_the_same_content() {
    let server = Server::with_xyz().await;
    let mut order = draft("customer-a", Side::Buy, "10");
    server.done(&Step::draft(&order)).await;
    order.limit_price = "100".to_owned();
    order.quantity = "10.000".to_owned();
    server.done(&Step::draft(&order)).await;
}

#[tokio::test]
async fn a_step_sent_64_times_at_once_has_one_effect() {
    let server = Server::with_xyz().await;
    for case in CASES {
        let step = case.prepare(&server).await;
        let replies = join_all((0..64).map(|_| server.step(&step))).await;
        assert!(replies.iter().all(|reply| verdict(reply) == Verdict::Done), "{case:?}: {replies:?}");
        let after = server.everything().await;
        server.done(&step).await;
        assert_eq!(server.everything().await, after, "{case:?}");
    }
    server.audit().await;
}

#[tokio::test]
async fn a_step_taken_back_before_it_ran_never_runs() {
    let server = Server::with_xyz().await;
    for case in CASES.into_iter().filter(|case| !case.is_retriable()) {
        let step = case.prepare(&server).await;
        let before = server.everything().await;
        assert_eq!(verdict(&server.compensate(&step, Reason::GaveUp).await), Verdict::Done, "{case:?}");
        let after = server.everything().await;
        // The client of an order that was never drafted finds it as rejected.
        assert_eq!(before == after, case != Case::Draft, "{case:?}");
        assert_eq!(verdict(&server.compensate(&step, Reason::GaveUp).await), Verdict::Done, "{case:?}");
        let late = server.step(&step).await;
        assert_eq!((verdict(&late), late.reason.as_str()), (Verdict::Tombstone, "GAVE_UP"), "{case:?}");
        assert_eq!(server.everything().await, after, "{case:?}");
    }
    server.audit().await;
}

#[tokio::test]
async fn a_step_taken_back_twice_is_taken_back_once_and_never_runs_again() {
    let server = Server::with_xyz().await;
    for case in CASES.into_iter().filter(|case| case.is_compensatable()) {
        let step = case.prepare(&server).await;
        server.done(&step).await;
        assert_eq!(verdict(&server.compensate(&step, Reason::GaveUp).await), Verdict::Done, "{case:?}");
        let after = server.everything().await;
        assert_eq!(verdict(&server.compensate(&step, Reason::GaveUp).await), Verdict::Done, "{case:?}");
        assert_eq!(verdict(&server.step(&step).await), Verdict::Tombstone, "{case:?}");
        assert_eq!(server.everything().await, after, "{case:?}");
    }
    server.audit().await;
}

#[tokio::test]
async fn a_pivot_that_ran_refuses_to_be_taken_back() {
    let server = Server::with_xyz().await;
    let step = Case::Open.prepare(&server).await;
    server.done(&step).await;
    let after = server.everything().await;
    for _ in 0..2 {
        assert_eq!(verdict(&server.compensate(&step, Reason::GaveUp).await), Verdict::Refused);
    }
    assert_eq!(server.everything().await, after);
}

#[tokio::test]
async fn what_follows_a_pivot_is_never_taken_back_and_never_forestalled() {
    let server = Server::with_xyz().await;
    for case in CASES.into_iter().filter(|case| case.is_retriable()) {
        let step = case.prepare(&server).await;
        for round in ["before it ran", "after it ran"] {
            let before = server.everything().await;
            let refused = server.try_compensate(&step, Reason::GaveUp).await.unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{case:?} {round}: poison, not unknown");
            assert_eq!(server.everything().await, before, "{case:?} {round}");
            server.done(&step).await;
        }
    }
    server.audit().await;
}

#[tokio::test]
async fn doing_and_taking_back_at_once_ends_in_one_of_the_two() {
    let server = Server::with_xyz().await;
    for case in CASES.into_iter().filter(|case| case.is_compensatable()) {
        let step = case.prepare(&server).await;
        let does = join_all((0..8).map(|_| server.step(&step)));
        let undoes = join_all((0..8).map(|_| server.compensate(&step, Reason::GaveUp)));
        let (_, undone) = futures::join!(does, undoes);
        assert!(undone.iter().all(|reply| verdict(reply) == Verdict::Done), "{case:?}");
        assert_eq!(verdict(&server.step(&step).await), Verdict::Tombstone, "{case:?}");
    }
    server.audit().await;
}

#[tokio::test]
async fn what_a_compensation_leaves_is_what_it_found() {
    let server = Server::with_xyz().await;
    let draft = Case::Draft.prepare(&server).await;
    server.done(&draft).await;
    server.compensate(&draft, Reason::InsufficientUsable).await;
    let order = server.order(&draft.saga.to_string()).await;
    assert_eq!((order.status(), order.reason.as_str()), (OrderStatus::Rejected, "INSUFFICIENT_USABLE"));

    let reserve = Case::ReserveMatch.prepare(&server).await;
    server.done(&reserve).await;
    let Kind::ReserveMatch(deal) = &reserve.command else { panic!("{reserve:?}") };
    assert_eq!(server.order(&deal.buy_order_id).await.inflight_quantity, "4");
    server.compensate(&reserve, Reason::CustomerFrozen).await;
    for id in [&deal.buy_order_id, &deal.sell_order_id] {
        let order = server.order(id).await;
        assert_eq!((order.status(), order.inflight_quantity.as_str()), (OrderStatus::Pending, "0"));
        assert!(order.fills.is_empty());
    }
    server.audit().await;
}
