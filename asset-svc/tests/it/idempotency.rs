//! Every mutating public RPC: twice, altered, and at the same time 64 times. One effect, one answer.

use brokerage_proto::asset::v1 as wire;
use futures::future::join_all;
use tonic::Status;

use crate::audit::audit;
use crate::harness::{ADMIN, World, fresh, reason};

/// A mutating RPC with a payload and an altered one.
#[derive(Debug, Clone, Copy)]
enum Rpc {
    UpsertAsset,
    OpenAsset,
    Deposit,
    Withdraw,
    Transfer,
    UpsertCustomer,
}

const ALL: [Rpc; 6] =
    [Rpc::UpsertAsset, Rpc::OpenAsset, Rpc::Deposit, Rpc::Withdraw, Rpc::Transfer, Rpc::UpsertCustomer];

/// The answer without `replayed`, and `replayed`.
type Answer = Result<(String, bool), Status>;

impl Rpc {
    async fn call(self, world: &World, request_id: &str, altered: bool) -> Answer {
        let request_id = request_id.to_owned();
        let mut assets = world.assets(ADMIN);
        let (customer_id, asset) = ("customer-a".to_owned(), "TRY".to_owned());
        let amount = if altered { "2" } else { "1" }.to_owned();
        match self {
            Rpc::UpsertAsset => {
                let asset = if altered { "USD" } else { "EUR" }.to_owned();
                let asset = Some(wire::Asset { asset, ledger_scale: 6, transfer_scale: 2 });
                let answer =
                    assets.upsert_asset(wire::UpsertAssetRequest { request_id, asset }).await?.into_inner();
                Ok((format!("{:?}", answer.asset), answer.replayed))
            }
            Rpc::OpenAsset => {
                let asset = if altered { "THYAO" } else { "GARAN" }.to_owned();
                let request = wire::OpenAssetRequest { request_id, customer_id, asset };
                let answer = assets.open_asset(request).await?.into_inner();
                Ok((format!("{:?}", answer.balance), answer.replayed))
            }
            Rpc::Deposit => {
                let request =
                    wire::DepositRequest { request_id, customer_id, asset, amount, ..Default::default() };
                moved(assets.deposit(request).await)
            }
            Rpc::Withdraw => {
                let request = wire::WithdrawRequest { request_id, customer_id, asset, amount };
                moved(assets.withdraw(request).await)
            }
            Rpc::Transfer => {
                let request = wire::TransferRequest {
                    request_id,
                    customer_id,
                    house: wire::HouseAccount::Inventory.into(),
                    direction: wire::TransferDirection::HouseToCustomer.into(),
                    asset,
                    amount,
                    reason: "a promotion".to_owned(),
                };
                moved(assets.transfer(request).await)
            }
            Rpc::UpsertCustomer => {
                let name = if altered { "Altered" } else { "Carol" }.to_owned();
                let customer = Some(wire::Customer {
                    customer_id: "customer-c".to_owned(),
                    name,
                    tier: wire::Tier::Premium.into(),
                    state: wire::CustomerState::Active.into(),
                    version: 0,
                });
                let request = wire::UpsertCustomerRequest { request_id, customer };
                let answer = world.customers(ADMIN).upsert_customer(request).await?.into_inner();
                Ok((format!("{:?}", answer.customer), answer.replayed))
            }
        }
    }
}

fn moved(answer: Result<tonic::Response<wire::MovementResponse>, Status>) -> Answer {
    let answer = answer?.into_inner();
    Ok((format!("{} {:?}", answer.tx_id, answer.balance), answer.replayed))
}

async fn alice_with_money() -> World {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "1000").await;
    world
}

#[tokio::test]
async fn the_second_call_gets_the_first_answer_and_another_payload_none() {
    let world = alice_with_money().await;
    for rpc in ALL {
        let (id, before) = (fresh(), world.effects().await);
        let (first, replayed) = rpc.call(&world, &id, false).await.unwrap();
        assert!(!replayed, "{rpc:?}");
        let after = world.effects().await;
        assert_ne!(before, after, "{rpc:?}");
        assert_eq!(rpc.call(&world, &id, false).await.unwrap(), (first, true), "{rpc:?}");
        assert_eq!(reason(rpc.call(&world, &id, true).await).as_str(), "REQUEST_ID_REUSED", "{rpc:?}");
        assert_eq!(
            reason(rpc.call(&world, "not a UUID", false).await).as_str(),
            "REQUEST_ID_INVALID",
            "{rpc:?}"
        );
        assert_eq!(world.effects().await, after, "{rpc:?}");
    }
    audit(&world.pool).await;
}

#[tokio::test]
async fn sixty_four_at_once_have_one_effect_and_one_answer() {
    let world = alice_with_money().await;
    let count = "SELECT count(*) FROM outbox";
    for rpc in ALL {
        let id = fresh();
        let before: i64 = sqlx::query_scalar(count).fetch_one(&world.pool).await.unwrap();
        let answers = join_all((0..64).map(|_| rpc.call(&world, &id, false))).await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers.iter().filter(|(_, replayed)| !replayed).count(), 1, "{rpc:?}");
        assert!(answers.iter().all(|(answer, _)| *answer == answers[0].0), "{rpc:?}");
        let after: i64 = sqlx::query_scalar(count).fetch_one(&world.pool).await.unwrap();
        assert_eq!(after, before + 1, "{rpc:?}");
    }
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_refusal_is_remembered_like_an_answer() {
    let world = World::with_customers().await;
    let id = fresh();
    assert_eq!(reason(Rpc::Withdraw.call(&world, &id, false).await).as_str(), "INSUFFICIENT_USABLE");
    world.deposit("customer-a", "TRY", "10").await;
    let before = world.effects().await;
    assert_eq!(reason(Rpc::Withdraw.call(&world, &id, false).await).as_str(), "INSUFFICIENT_USABLE");
    assert_eq!(world.effects().await, before);
    Rpc::Withdraw.call(&world, &fresh(), false).await.unwrap();
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_replayed_answer_is_the_first_though_the_balance_moved_on() {
    let world = alice_with_money().await;
    let id = fresh();
    let (first, _) = Rpc::Deposit.call(&world, &id, false).await.unwrap();
    world.deposit("customer-a", "TRY", "500").await;
    assert_eq!(Rpc::Deposit.call(&world, &id, false).await.unwrap(), (first, true));
}

#[tokio::test]
async fn a_payment_from_outside_is_booked_once_whoever_brings_it() {
    let world = World::with_customers().await;
    let payment = |reference: &str, channel: &str| wire::DepositRequest {
        external_ref: reference.to_owned(),
        channel: channel.to_owned(),
        ..crate::harness::deposit("customer-a", "TRY", "10")
    };
    let answers =
        join_all((0..16).map(|_| async { world.assets(ADMIN).deposit(payment("EFT-1", "bank")).await }))
            .await;
    let (booked, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(booked.len(), 1);
    assert!(refused.into_iter().all(|answer| reason(answer).as_str() == "DUPLICATE_EXTERNAL_REF"));
    // The same reference on another channel is another payment.
    world.assets(ADMIN).deposit(payment("EFT-1", "card")).await.unwrap();
    assert_eq!(world.has("customer-a", "TRY").await.0, "20");
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_customer_who_is_like_that_already_is_not_changed() {
    let world = World::with_customers().await;
    let before = world.effects().await;
    world.customer("customer-a", wire::Tier::Standard, wire::CustomerState::Active).await;
    world.asset("TRY", 6, 2).await;
    let request = wire::OpenAssetRequest {
        request_id: fresh(),
        customer_id: "customer-a".to_owned(),
        asset: "TRY".to_owned(),
    };
    world.assets(ADMIN).open_asset(request).await.unwrap();
    let opened = world.effects().await;
    assert_ne!(before, opened);
    let request = wire::OpenAssetRequest {
        request_id: fresh(),
        customer_id: "customer-a".to_owned(),
        asset: "TRY".to_owned(),
    };
    world.assets(ADMIN).open_asset(request).await.unwrap();
    assert_eq!(world.effects().await, opened);
}
