//! Money is spent once, however many ask for it at the same time.

use brokerage_types::Reason;
use futures::future::join_all;
use test_mesh::{ALICE, Brokerage, Identity, Options, Person, expect_refusal, holding};

/// So many buys of 10,000 at once; how many were accepted. Everybody else was told that there is not enough.
async fn accepted(buyers: impl IntoIterator<Item = Person>) -> usize {
    let buys =
        buyers.into_iter().map(async |alice| alice.tries_to_place(alice.bid("THYAO", "1000", "10.00")).await);
    let (accepted, refused): (Vec<_>, Vec<_>) = join_all(buys).await.into_iter().partition(Result::is_ok);
    for answer in refused {
        expect_refusal(answer, Reason::InsufficientUsable);
    }
    accepted.len()
}

#[tokio::test]
async fn of_ten_buys_of_ten_thousand_against_seventy_five_thousand_seven_are_accepted() {
    let brokerage = Brokerage::start().await;
    brokerage.admin().deposits(ALICE, "TRY", "75000").await;
    assert_eq!(accepted((0..10).map(|_| brokerage.alice())).await, 7);
    assert_eq!(brokerage.alice().has("TRY").await, holding("5000", "70000"));
    brokerage.audit().await;
}

#[tokio::test]
async fn of_sixty_four_buys_through_two_orchestrators_seven_are_accepted() {
    let brokerage = Brokerage::start_with(Options { orchestrators: 2, ..Options::default() }).await;
    brokerage.admin().deposits(ALICE, "TRY", "75000").await;
    let identity = Identity::user("token-customer-a");
    assert_eq!(accepted((0..64).map(|nth| brokerage.caller(&identity, ALICE, nth % 2))).await, 7);
    assert_eq!(brokerage.alice().has("TRY").await, holding("5000", "70000"));
    let mut connection = brokerage.databases.orchestrator().await;
    let owners: i64 = sqlx::query_scalar("SELECT count(DISTINCT owner) FROM sagas")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(owners, 2, "both orchestrators drove sagas");
    brokerage.audit().await;
}

#[tokio::test]
async fn shares_are_sold_once() {
    let brokerage = Brokerage::start().await;
    brokerage.admin().deposits(ALICE, "THYAO", "75").await;
    let alice = brokerage.alice();
    let sells = (0..10).map(async |_| alice.tries_to_place(alice.ask("THYAO", "10", "10.00")).await);
    let accepted = join_all(sells).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(accepted, 7);
    assert_eq!(alice.has("THYAO").await, holding("5", "70"));
    brokerage.audit().await;
}
