//! Every mutating public RPC: twice, altered, and sixty-four times at once. One effect, one answer.

mod commands;

use brokerage_types::Reason;
use futures::future::join_all;
use test_mesh::{Brokerage, Snapshot, every_request_id_path, expect_refusal, fresh};
use tonic::Code;

use commands::COMMANDS;

const AT_ONCE: usize = 64;

#[test]
fn every_command_with_a_request_id_is_tried_here() {
    let mut tried: Vec<&str> = COMMANDS.iter().map(|(path, _)| *path).collect();
    tried.sort_unstable();
    assert_eq!(tried, every_request_id_path());
}

#[tokio::test]
async fn a_command_said_twice_is_done_once_and_answered_the_same() {
    let brokerage = Brokerage::start().await;
    commands::endow(&brokerage).await;
    for (path, prepare) in COMMANDS {
        let command = prepare(&brokerage).await;
        let request_id = fresh();
        let (first_replayed, first) = command(request_id.clone(), false).await.unwrap();
        assert!(!first_replayed, "{path}: the first answer is no replay");
        let after = brokerage.snapshot().await;
        for _ in 0..2 {
            let (replayed, answer) = command(request_id.clone(), false).await.unwrap();
            assert!(replayed, "{path}: the second answer says that it is a replay");
            assert_eq!(answer, first, "{path}: both answers are the same");
        }
        brokerage.snapshot().await.is(&after, path);
    }
    brokerage.audit().await;
}

#[tokio::test]
async fn a_request_id_with_another_payload_is_refused_and_changes_nothing() {
    let brokerage = Brokerage::start().await;
    commands::endow(&brokerage).await;
    for (path, prepare) in COMMANDS {
        let command = prepare(&brokerage).await;
        let request_id = fresh();
        let (_, first) = command(request_id.clone(), false).await.unwrap();
        let after = (brokerage.snapshot().await, brokerage.saga_count().await);
        for _ in 0..2 {
            let refusal = expect_refusal(command(request_id.clone(), true).await, Reason::RequestIdReused);
            assert_eq!(refusal.code, Code::AlreadyExists, "{path}");
        }
        brokerage.snapshot().await.is(&after.0, path);
        assert_eq!(brokerage.saga_count().await, after.1, "{path}");
        // The first payload still has its answer.
        assert_eq!(command(request_id, false).await.unwrap(), (true, first), "{path}");
    }
    brokerage.audit().await;
}

#[tokio::test]
async fn a_command_said_sixty_four_times_at_once_is_done_once() {
    let brokerage = Brokerage::start().await;
    commands::endow(&brokerage).await;
    for (path, prepare) in COMMANDS {
        // What one effect looks like.
        let alone = prepare(&brokerage).await;
        let before = brokerage.snapshot().await;
        alone(fresh(), false).await.unwrap();
        let one_effect = growth(&before, &brokerage.snapshot().await);

        let together = prepare(&brokerage).await;
        let before = (brokerage.snapshot().await, brokerage.saga_count().await);
        let request_id = fresh();
        let answers = join_all((0..AT_ONCE).map(|_| together(request_id.clone(), false))).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let (_, answer) = &answers[0];
        assert!(answers.iter().all(|(_, other)| other == answer), "{path}: {answers:?}");
        let first_answers = answers.iter().filter(|(replayed, _)| !replayed).count();
        assert_eq!(first_answers, 1, "{path}: one answer is no replay");
        assert_eq!(growth(&before.0, &brokerage.snapshot().await), one_effect, "{path}");
        assert!(brokerage.saga_count().await <= before.1 + 1, "{path}: one saga at most");
    }
    brokerage.audit().await;
}

/// How many rows each part has gained.
fn growth(before: &Snapshot, after: &Snapshot) -> Vec<(&'static str, usize)> {
    let pairs = before.counts().into_iter().zip(after.counts());
    pairs.map(|((part, then), (_, now))| (part, now - then)).collect()
}

#[tokio::test]
async fn a_request_id_is_a_uuid() {
    let brokerage = Brokerage::start().await;
    commands::endow(&brokerage).await;
    for (path, prepare) in COMMANDS {
        let command = prepare(&brokerage).await;
        let before = (brokerage.snapshot().await, brokerage.saga_count().await);
        for wrong in ["", "seven", "01a1fc94-2877-743a-a96d-5ab3378967fg"] {
            let status = command(wrong.to_owned(), false).await.unwrap_err();
            let refusal = test_mesh::Refusal::of(&status);
            assert_eq!(refusal.code, Code::InvalidArgument, "{path} {wrong:?}");
            assert_eq!(refusal.fields(), ["request_id"], "{path} {wrong:?}: {refusal:?}");
        }
        brokerage.snapshot().await.is(&before.0, path);
        assert_eq!(brokerage.saga_count().await, before.1, "{path}");
    }
    brokerage.audit().await;
}

#[tokio::test]
async fn a_client_that_does_not_wait_finds_its_answer_later() {
    const BUYS: usize = 20;
    let brokerage = Brokerage::start().await;
    let alice = brokerage.alice();
    brokerage.admin().deposits(test_mesh::ALICE, "TRY", "1000").await;
    let requests: Vec<_> = (0..BUYS).map(|_| alice.bid("THYAO", "1", "8.00")).collect();
    let hasty = requests.iter().zip(1..).map(async |(request, patience)| {
        let mut hurried = tonic::Request::new(request.clone());
        hurried.set_timeout(std::time::Duration::from_millis(patience));
        alice.trading.clone().create_order(hurried).await.is_err()
    });
    let unheard = join_all(hasty).await.into_iter().filter(|gone| *gone).count();
    assert!(unheard > 0, "nobody was in a hurry");
    // Whether the first call was accepted or not, the second one gives the answer, and there is one order each.
    let answers = join_all(requests.iter().map(|request| alice.tries_to_place(request.clone()))).await;
    let orders: std::collections::BTreeSet<_> =
        answers.into_iter().map(|answer| answer.unwrap().order_id).collect();
    assert_eq!(orders.len(), BUYS);
    assert_eq!(brokerage.snapshot().await.count("holds"), BUYS);
    assert_eq!(alice.has("TRY").await, test_mesh::holding("840", "160"));
    brokerage.audit().await;
}

#[tokio::test]
async fn a_restart_forgets_no_answer() {
    let mut brokerage = Brokerage::start().await;
    brokerage.admin().deposits(test_mesh::ALICE, "TRY", "10").await;
    let alice = brokerage.alice();
    let (good, too_dear) = (alice.bid("THYAO", "1", "8.00"), alice.bid("THYAO", "1", "80.00"));
    let placed = alice.tries_to_place(good.clone()).await.unwrap();
    expect_refusal(alice.tries_to_place(too_dear.clone()).await, Reason::InsufficientUsable);
    brokerage.orchestrators.remove(0).stop().await;
    brokerage.add_orchestrator(1.0).await;
    let alice = brokerage.alice();
    let again = alice.tries_to_place(good).await.unwrap();
    assert_eq!((again.order_id, again.replayed), (placed.order_id, true));
    let refused = expect_refusal(alice.tries_to_place(too_dear).await, Reason::InsufficientUsable);
    assert_eq!(refused.metadata("replayed"), Some("true"));
    brokerage.audit().await;
}

#[tokio::test]
async fn a_request_id_belongs_to_its_caller_and_its_command() {
    let brokerage = Brokerage::start().await;
    commands::endow(&brokerage).await;
    let (alice, bob, admin) = (brokerage.alice(), brokerage.bob(), brokerage.admin());
    let mut request = alice.bid("THYAO", "1", "8.00");
    request.customer_id = String::new();
    let hers = alice.tries_to_place(request.clone()).await.unwrap();
    let his = bob.tries_to_place(request.clone()).await.unwrap();
    assert_ne!(hers.order_id, his.order_id);
    assert!(!his.replayed);
    // The administrator's cancel may have the number of her order's request.
    let cancel = brokerage_proto::trading::v1::CancelOrderRequest {
        request_id: request.request_id,
        order_id: hers.order_id,
        ..Default::default()
    };
    assert!(!alice.trading.clone().cancel_order(cancel.clone()).await.unwrap().into_inner().replayed);
    // Somebody else's cancel of what is canceled comes too late; it is nobody's replay.
    expect_refusal(admin.trading.clone().cancel_order(cancel).await, Reason::TooLateToCancel);
    brokerage.audit().await;
}

#[tokio::test]
async fn amounts_that_are_equal_are_the_same_payload() {
    let brokerage = Brokerage::start().await;
    commands::endow(&brokerage).await;
    let alice = brokerage.alice();
    let request = alice.bid("THYAO", "1", "8");
    let first = alice.tries_to_place(request.clone()).await.unwrap();
    let mut written_otherwise = request;
    written_otherwise.limit_price = "8.00".to_owned();
    written_otherwise.quantity = "1.0".to_owned();
    let second = alice.tries_to_place(written_otherwise).await.unwrap();
    assert!(second.replayed);
    assert_eq!(second.order_id, first.order_id);
    brokerage.audit().await;
}

#[tokio::test]
async fn a_refusal_is_remembered_as_well() {
    let brokerage = Brokerage::start().await;
    let (admin, alice) = (brokerage.admin(), brokerage.alice());
    let request = alice.bid("THYAO", "1", "8.00");
    let first = expect_refusal(alice.tries_to_place(request.clone()).await, Reason::InsufficientUsable);
    assert_eq!(first.metadata("replayed"), Some("false"));
    // With money it would work now; but the answer to this request was no.
    admin.deposits(test_mesh::ALICE, "TRY", "100").await;
    let second = expect_refusal(alice.tries_to_place(request).await, Reason::InsufficientUsable);
    assert_eq!(second.metadata("replayed"), Some("true"));
    assert_eq!(second.metadata("order_id"), first.metadata("order_id"));
    assert_eq!(alice.has("TRY").await, test_mesh::holding("100", "0"));
    brokerage.audit().await;
}
