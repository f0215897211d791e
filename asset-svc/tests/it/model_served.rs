//! The served ledger against the model: the real server on Postgres, compared and audited.

use std::sync::atomic::{AtomicU64, Ordering};

use asset_svc::domain::command::{Command, Direction, PlaceHold, SettleTrade};
use asset_svc::domain::customer::State;
use brokerage_proto::asset::v1 as wire;
use brokerage_proto::common::v1::{StepReply, Verdict};
use brokerage_types::{Reason, Side};
use futures::future::join_all;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use service_kit::fault::reason_of;
use tonic::Status;

use crate::asks::{ASSETS, Ask, CUSTOMERS, RATES, asks, beginnings};
use crate::audit::audit;
use crate::harness::{ADMIN, World};
use crate::model::{Expected, Model, money};

const RUNS: u32 = 30;
const COMMANDS: usize = 40;

async fn run(world: &World, expected: &Expected) -> Result<(), Reason> {
    let saga = expected.saga_id.to_string();
    match &expected.command {
        Command::PlaceHold(hold) => {
            let hold = wire_hold(hold);
            let reply = if expected.undo {
                world.compensate((&saga, 1), wire::asset_command::Kind::PlaceHold(hold)).await
            } else {
                world.place(&hold).await
            };
            verdict(&reply)
        }
        Command::ReleaseHold(release) => verdict(&world.release(&saga, &release.hold_id.to_string()).await),
        Command::SettleTrade(trade) => verdict(&world.settle(&wire_trade(trade)).await),
        command => once(world, saga, command).await.map_err(|status| reason_of(&status).unwrap()),
    }
}

/// Commands that touch this service only.
async fn once(world: &World, request_id: String, command: &Command) -> Result<(), Status> {
    let mut assets = world.assets(ADMIN);
    match command {
        Command::Deposit(deposit) => {
            let (customer, asset) = (deposit.customer.as_str(), deposit.asset.as_str());
            let request = crate::harness::deposit(customer, asset, &deposit.amount.to_string());
            assets.deposit(wire::DepositRequest { request_id, ..request }).await.map(drop)
        }
        Command::Withdraw(withdraw) => {
            let request = wire::WithdrawRequest {
                request_id,
                customer_id: withdraw.customer.to_string(),
                asset: withdraw.asset.to_string(),
                amount: withdraw.amount.to_string(),
            };
            assets.withdraw(request).await.map(drop)
        }
        Command::Transfer(transfer) => {
            let request = wire::TransferRequest {
                request_id,
                customer_id: transfer.customer.to_string(),
                house: wire::HouseAccount::Inventory.into(),
                direction: if transfer.direction == Direction::HouseToCustomer { 1 } else { 2 },
                asset: transfer.asset.to_string(),
                amount: transfer.amount.to_string(),
                reason: transfer.reason.clone(),
            };
            assets.transfer(request).await.map(drop)
        }
        Command::UpsertCustomer(customer) => {
            let customer = Some(wire::Customer {
                customer_id: customer.customer.to_string(),
                name: customer.name.clone(),
                tier: 1 + customer.tier as i32,
                state: if customer.state == State::Frozen { 2 } else { 1 },
                version: 0,
            });
            let request = wire::UpsertCustomerRequest { request_id, customer };
            world.customers(ADMIN).upsert_customer(request).await.map(drop)
        }
        other => panic!("the model does not ask for {other:?}"),
    }
}

fn wire_hold(hold: &PlaceHold) -> wire::PlaceHold {
    wire::PlaceHold {
        hold_id: hold.hold_id.to_string(),
        customer_id: hold.customer.to_string(),
        side: if hold.side == Side::Buy { 1 } else { 2 },
        base_asset: hold.base.to_string(),
        quote_asset: hold.quote.to_string(),
        limit_price: hold.limit.to_string(),
        quantity: hold.quantity.to_string(),
    }
}

fn wire_trade(trade: &SettleTrade) -> wire::SettleTrade {
    wire::SettleTrade {
        trade_id: trade.trade_id.to_string(),
        buy_hold_id: trade.buy_hold.to_string(),
        sell_hold_id: trade.sell_hold.to_string(),
        buyer_id: trade.buyer.to_string(),
        seller_id: trade.seller.to_string(),
        base_asset: trade.base.to_string(),
        quote_asset: trade.quote.to_string(),
        quantity: trade.quantity.to_string(),
        price: trade.price.to_string(),
    }
}

fn verdict(reply: &StepReply) -> Result<(), Reason> {
    match reply.verdict() {
        Verdict::Done => Ok(()),
        _ => Err(reply.reason.parse().unwrap()),
    }
}

async fn compare(world: &World, model: &Model) {
    for who in 0..CUSTOMERS {
        for (asset, (name, _)) in ASSETS.iter().enumerate() {
            let (usable, held) = model.has(who, asset);
            let wanted = (money(usable).to_string(), money(held).to_string());
            assert_eq!(world.has(model.customer(who).as_str(), name).await, wanted, "{who} {name}");
        }
    }
}

async fn start() -> World {
    let world = World::with_customers().await;
    for (tier, ppm) in ["STANDARD", "PREMIUM", "VIP"].into_iter().zip(RATES) {
        world.rate(tier, i32::try_from(ppm).unwrap()).await;
    }
    world
}

async fn one_run(world: &World, model: &mut Model, sequence: &[Ask]) {
    for ask in beginnings().iter().chain(sequence) {
        let expected = model.ask(ask);
        assert_eq!(run(world, &expected).await, expected.outcome, "{ask:?}");
    }
    compare(world, model).await;
}

/// Failing sequences are printed, shrunk, with the seed that repeats them.
#[test]
fn the_served_ledger_does_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let world = runtime.block_on(start());
    let runs = AtomicU64::new(1);
    let mut runner = TestRunner::new(Config { cases: RUNS, max_shrink_iters: 200, ..Config::default() });
    let outcome = runner.run(&asks(COMMANDS), |sequence| {
        let mut model = Model::new(runs.fetch_add(1, Ordering::Relaxed));
        let run = std::panic::AssertUnwindSafe(|| runtime.block_on(one_run(&world, &mut model, &sequence)));
        std::panic::catch_unwind(run).map_err(|_| TestCaseError::fail("differs from the model"))
    });
    outcome.unwrap();
    runtime.block_on(audit(&world.pool));
}

/// Runs of different customers at the same time share batches and accounts of the house; none disturbs another.
#[tokio::test]
async fn many_models_at_once_do_not_disturb_each_other() {
    let world = start().await;
    let mut runner = TestRunner::deterministic();
    let sequences: Vec<Vec<Ask>> =
        (0..12).map(|_| asks(COMMANDS).new_tree(&mut runner).unwrap().current()).collect();
    let runs = sequences.iter().zip(1_000_u64..).map(|(sequence, run)| {
        let world = &world;
        async move { one_run(world, &mut Model::new(run), sequence).await }
    });
    join_all(runs).await;
    audit(&world.pool).await;
}
