//! The domain against the model, without a database: a thousand runs of sixty commands, compared after each.

use std::collections::BTreeMap;

use asset_svc::domain::asset::Asset;
use asset_svc::domain::command::Command;
use asset_svc::domain::customer::Tier;
use asset_svc::domain::decide::{compensate, execute};
use asset_svc::domain::hold::State;
use asset_svc::domain::ledger::{Account, Part};
use asset_svc::domain::plan::Moment;
use asset_svc::domain::world::World;
use brokerage_types::{Amount, FeeRate, Reason};
use chrono::DateTime;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::asks::{ASSETS, CUSTOMERS, RATES, asks, beginnings};
use crate::model::{Expected, Model, code};

fn world() -> World {
    let mut world = World::default();
    for (tier, ppm) in Tier::ALL.into_iter().zip(RATES) {
        world.rates.insert(tier, FeeRate::from_ppm(ppm).unwrap());
    }
    for (nth, scales) in [(6, 2), (0, 0), (4, 4)].into_iter().enumerate() {
        let asset = Asset { asset: code(nth), ledger_scale: scales.0, transfer_scale: scales.1 };
        world.assets.insert(asset.asset.clone(), asset);
    }
    world
}

fn run(world: &mut World, expected: &Expected) -> Result<(), Reason> {
    let moment = Moment { saga_id: expected.saga_id, now: DateTime::UNIX_EPOCH };
    let outcome = match &expected.command {
        Command::PlaceHold(hold) if expected.undo => compensate(world, moment, hold.hold_id, Reason::GaveUp),
        command => execute(world, moment, command).map(|_| ()),
    };
    outcome.map_err(|refused| refused.reason())
}

/// P1, P2, A1 to A5, from the journal alone.
fn check_invariants(world: &World) {
    let mut sums: BTreeMap<_, i128> = BTreeMap::new();
    let mut accounts: BTreeMap<_, (i128, i64)> = BTreeMap::new();
    for recorded in &world.journal {
        let mut of_tx: BTreeMap<_, i128> = BTreeMap::new();
        for entry in &recorded.entries {
            let (posting, amount) = (&entry.posting, entry.posting.amount.units());
            *of_tx.entry(&posting.asset).or_default() += amount;
            *sums.entry(&posting.asset).or_default() += amount;
            let (balance, count) = accounts.entry((&posting.account, &posting.asset)).or_default();
            *balance += amount;
            *count += 1;
            assert_eq!(entry.running.is_some(), matches!(posting.account, Account::Customer(..)));
            if let Some(running) = entry.running {
                assert_eq!((running.balance_after.units(), running.account_seq), (*balance, *count));
                assert!(*balance >= 0);
            }
        }
        assert!(of_tx.values().all(|sum| *sum == 0), "a movement that does not sum to zero: {recorded:?}");
    }
    assert!(sums.values().all(|sum| *sum == 0));
    for ((owner, asset), kept) in &world.balances {
        let account = |part| {
            let account = Account::Customer(owner.clone(), part);
            accounts.get(&(&account, asset)).map_or((0, 0), |(balance, count)| (*balance, *count))
        };
        let balance = &kept.row;
        assert_eq!(account(Part::Available), (balance.available.units(), balance.available_seq));
        assert_eq!(account(Part::Held), (balance.held.units(), balance.held_seq));
    }
    let mut held: BTreeMap<_, Amount> = BTreeMap::new();
    for hold in world.holds.values().map(|kept| &kept.row) {
        let remaining = hold.remaining().unwrap();
        assert_eq!(hold.state == State::Closed, remaining.is_zero(), "{hold:?}");
        let sum = held.entry((hold.terms.customer.clone(), hold.terms.held_asset().clone())).or_default();
        *sum = sum.checked_add(remaining).unwrap();
    }
    for (key, kept) in &world.balances {
        assert_eq!(kept.row.held, held.get(key).copied().unwrap_or_default());
    }
}

fn compare(world: &World, model: &Model) {
    for who in 0..CUSTOMERS {
        for (asset, (name, _)) in ASSETS.iter().enumerate() {
            let balance = world.balance(&model.customer(who), &code(asset));
            assert_eq!(
                (balance.available.units(), balance.held.units()),
                model.has(who, asset),
                "{who} {name}"
            );
        }
    }
    let mut sums: BTreeMap<_, i128> = BTreeMap::new();
    for entry in world.journal.iter().flat_map(|recorded| &recorded.entries) {
        let external = entry.posting.account == Account::External;
        if external || matches!(entry.posting.account, Account::House(_)) {
            *sums.entry((entry.posting.asset.clone(), external)).or_default() += entry.posting.amount.units();
        }
    }
    for asset in 0..ASSETS.len() {
        let sum = |external| sums.get(&(code(asset), external)).copied().unwrap_or_default();
        assert_eq!((sum(false), sum(true)), (model.house[asset], model.outside[asset]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_ledger_does_what_the_model_does(asks in asks(60)) {
        let (mut world, mut model) = (world(), Model::new(1));
        for ask in beginnings().iter().chain(&asks) {
            let expected = model.ask(ask);
            let before = expected.outcome.is_err().then(|| world.clone());
            prop_assert_eq!(run(&mut world, &expected), expected.outcome, "{:?}", ask);
            if let Some(before) = before {
                prop_assert_eq!(&world, &before, "a refusal changed something: {:?}", ask);
            }
            check_invariants(&world);
            compare(&world, &model);
        }
    }
}

/// The model must see trades, refusals and closed orders, or it proves nothing.
#[test]
fn the_sequences_reach_what_they_are_meant_to_reach() {
    let mut reached: BTreeMap<String, u32> = BTreeMap::new();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..200 {
        let sequence = asks(60).new_tree(&mut runner).unwrap().current();
        let mut model = Model::new(1);
        for ask in beginnings().iter().chain(&sequence) {
            let expected = model.ask(ask);
            let what = match (&expected.command, &expected.outcome) {
                (Command::SettleTrade(_), Ok(())) => "settled".to_owned(),
                (_, Ok(())) => continue,
                (_, Err(reason)) => reason.as_str().to_owned(),
            };
            *reached.entry(what).or_default() += 1;
        }
    }
    for wanted in [
        "settled",
        "INSUFFICIENT_USABLE",
        "CUSTOMER_FROZEN",
        "SELF_TRADE",
        "HOLD_NOT_FOUND",
        "HOLD_MISMATCH",
        "HOLD_CLOSED",
        "HOLD_INSUFFICIENT",
        "PRICE_OUTSIDE_LIMITS",
    ] {
        assert!(reached.get(wanted).copied().unwrap_or_default() >= 10, "{wanted} in {reached:?}");
    }
}
