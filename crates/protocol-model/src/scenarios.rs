//! What is explored: each saga alone, and sagas that meet.

use asset_svc::domain::command::{Command as AssetCommand, Deposit, UpsertCustomer};
use asset_svc::domain::customer::{State as CustomerState, Tier};
use asset_svc::domain::decide::execute;
use asset_svc::domain::plan::Moment;
use brokerage_types::{Actor, FeeRate, Reason, Side};
use chrono::DateTime;
use order_svc::store::world::Listing;
use saga_orchestrator::engine::definition::{Patience, Role, Script, Shape, StepShape};
use saga_orchestrator::engine::reply::Direction;
use saga_orchestrator::sagas::Input;
use saga_orchestrator::sagas::command::{Participant, order};
use uuid::Uuid;

use crate::cast::{Cast, cancel, create, deal, fixed, thyao};
use crate::floor::{Arrival, Books, Sheet};
use crate::model::Scenario;
use crate::mutant::{Mutant, Rules};

const BUY: u128 = 0xA;
const SELL: u128 = 0xB;
const CANCEL: u128 = 0xC;
const TRADE: u128 = 0xD;

/// How far to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Drivers of a saga that is alone.
    pub drivers: usize,
    /// Most states of one scenario.
    pub states: usize,
}

/// What fits into every test run.
pub const SHORT: Depth = Depth { drivers: 2, states: 200_000 };
/// For an evening.
pub const DEEP: Depth = Depth { drivers: 3, states: 6_000_000 };

/// The create saga of Alice's buy order.
#[must_use]
pub fn alice_buys() -> Input {
    create(BUY, "alice", Side::Buy, fixed("100"), fixed("10"))
}

fn bob_sells() -> Input {
    create(SELL, "bob", Side::Sell, fixed("100"), fixed("10"))
}

fn meeting(quantity: &str) -> Input {
    deal(TRADE, (BUY, "alice"), (SELL, "bob"), fixed(quantity), fixed("100"))
}

/// One saga whose steps may be done or rejected at will.
#[must_use]
pub fn alone(cast: Cast, epochs: u64, states: usize) -> Scenario<Sheet> {
    let (kind, drivers) = (cast.script.shape.kind, cast.drivers);
    Scenario {
        name: format!("{kind} alone, {drivers} drivers, {epochs} epochs"),
        floor: Sheet::blank(&cast),
        casts: vec![cast],
        epochs,
        // The budget is spent, or an operator wants it.
        wishes: &[Reason::GaveUp, Reason::AbortedByOperator],
        rules: Rules::Ours,
        limit: states,
    }
}

/// A saga with three steps in one stage, a pivot and a retriable step: more than any of ours has.
#[must_use]
pub fn wide_stage(drivers: usize) -> Cast {
    let roles = [
        (Role::Compensatable, 0, Participant::Order),
        (Role::Compensatable, 0, Participant::Asset),
        (Role::Pivot, 1, Participant::Order),
        (Role::Retriable, 2, Participant::Asset),
    ];
    let names = ["left", "right", "pivot", "after"];
    let step = |((role, stage, participant), name)| StepShape {
        name,
        role,
        participant,
        stage,
        patience: Patience::Budget,
    };
    let steps = roles.into_iter().zip(names).map(step).collect();
    let shape = Shape { kind: "wide_stage", version: 1, steps, pivot: 2 };
    let nothing = order::AwaitDrain { order_id: Uuid::from_u128(1).into() }.into();
    Cast {
        saga_id: Uuid::from_u128(1).into(),
        script: Script { shape, commands: vec![nothing; 4], intent: Vec::new() },
        drivers,
    }
}

/// Each saga alone.
#[must_use]
pub fn solos(depth: Depth) -> Vec<Scenario<Sheet>> {
    let Depth { drivers, states } = depth;
    let mut solos = Vec::new();
    for (id, input) in [(BUY, alice_buys()), (CANCEL, cancel(BUY, "alice")), (TRADE, meeting("10"))] {
        solos.push(alone(Cast::new(id, &input, drivers), 2, states));
        solos.push(alone(Cast::new(id, &input, drivers + 1), 1, states));
    }
    solos.push(alone(wide_stage(drivers), 2, states));
    solos
}

/// Sagas that meet on the same orders and holds, in the services' own books.
#[must_use]
pub fn meetings(depth: Depth) -> Vec<Scenario<Books>> {
    let Depth { drivers, states } = depth;
    let scenario = |name: &str, floor: Books, casts| Scenario {
        name: name.to_owned(),
        casts,
        floor,
        epochs: 1,
        wishes: &[Reason::GaveUp],
        rules: Rules::Ours,
        limit: states,
    };
    let create = |drivers| Cast::new(BUY, &alice_buys(), drivers);
    let cancel = |drivers| Cast::new(CANCEL, &cancel(BUY, "alice"), drivers);
    let trade = |quantity, drivers| Cast::new(TRADE, &meeting(quantity), drivers);
    vec![
        scenario("create meets cancel, one driver each", people("5000"), vec![create(1), cancel(1)]),
        scenario("create meets cancel", people("5000"), vec![create(drivers), cancel(drivers - 1)]),
        scenario("create meets two cancels' drivers", people("5000"), vec![create(1), cancel(drivers)]),
        scenario("create without money meets cancel", people("1"), vec![create(drivers), cancel(1)]),
        scenario("match meets cancel", market(), vec![trade("10", drivers), cancel(drivers - 1)]),
        scenario("match of a part meets cancel", market(), vec![trade("6", 1), cancel(drivers)]),
        scenario(
            "two matches of one pair meet",
            market(),
            vec![trade("6", 1), {
                let input = deal(TRADE + 1, (BUY, "alice"), (SELL, "bob"), fixed("4"), fixed("100"));
                Cast::new(TRADE + 1, &input, 1)
            }],
        ),
    ]
}

/// Where a mutant shows itself.
#[must_use]
pub fn hunt(mutant: Mutant) -> Hunt {
    let states = SHORT.states;
    let rules = Rules::Broken(mutant);
    let solo = |cast, epochs| Hunt::Alone(Scenario { rules, ..alone(cast, epochs, states) });
    let create = |drivers| Cast::new(BUY, &alice_buys(), drivers);
    let meeting = |number: usize| {
        let scenario = meetings(SHORT).swap_remove(number);
        Hunt::Meeting(Scenario { rules, ..scenario })
    };
    match mutant {
        Mutant::NoTombstones
        | Mutant::NoInbox
        | Mutant::RejectionForgotten
        | Mutant::LateActionSucceeds
        | Mutant::PivotCanBeUndone
        | Mutant::PlainReverseOrder
        | Mutant::LeaseDecides => solo(create(1), 1),
        Mutant::SiblingsSkipped => solo(wide_stage(1), 1),
        Mutant::StoredReasonUntold | Mutant::LatchAcknowledgesAtPivot | Mutant::LatchAndRefusingPivot => {
            solo(create(2), 1)
        }
        Mutant::EpochBumpLost | Mutant::StaleEpochIsFinal => solo(create(1), 2),
        Mutant::NoDrain | Mutant::NoSemanticLock => meeting(4),
        Mutant::CancelMarkIgnored => meeting(0),
    }
}

/// A scenario for a mutant.
pub enum Hunt {
    /// One saga.
    Alone(Scenario<Sheet>),
    /// Several.
    Meeting(Scenario<Books>),
}

/// Alice and Bob with money and shares, and an instrument.
#[must_use]
pub fn people(money: &str) -> Books {
    let mut books = Books::default();
    books.order.listings.insert(
        fixed("THYAO"),
        Listing {
            definition: thyao(),
            version: 1,
            accept_seq: 0,
            trade_seq: 0,
            stored: None,
            changed_at: DateTime::UNIX_EPOCH,
        },
    );
    for tier in Tier::ALL {
        books.asset.rates.extend(FeeRate::from_ppm(2_000).map(|rate| (tier, rate)));
    }
    let asset = |code: &str, ledger_scale, transfer_scale| {
        AssetCommand::UpsertAsset(asset_svc::domain::asset::Asset {
            asset: fixed(code),
            ledger_scale,
            transfer_scale,
        })
    };
    let mut commands = vec![asset("TRY", 6, 2), asset("THYAO", 0, 0)];
    for name in ["alice", "bob"] {
        commands.push(AssetCommand::UpsertCustomer(UpsertCustomer {
            customer: fixed(name),
            name: name.to_owned(),
            tier: Tier::Standard,
            state: CustomerState::Active,
        }));
        for (code, amount) in [("TRY", money), ("THYAO", "100")] {
            commands.push(AssetCommand::Deposit(Deposit {
                customer: fixed(name),
                asset: fixed(code),
                amount: fixed(amount),
                external: None,
                actor: fixed::<Actor>("admin"),
            }));
        }
    }
    for (number, command) in commands.iter().enumerate() {
        let moment = Moment { saga_id: Uuid::from_u128(0x1000 + number as u128), now: DateTime::UNIX_EPOCH };
        let done = execute(&mut books.asset, moment, command);
        debug_assert!(done.is_ok(), "{command:?}: {done:?}");
    }
    books.close_day();
    books
}

/// The same, with both orders in the market.
fn market() -> Books {
    let mut books = people("5000");
    for (id, input) in [(BUY, alice_buys()), (SELL, bob_sells())] {
        let cast = Cast::new(id, &input, 1);
        for (step, command) in cast.script.commands.iter().enumerate() {
            let now = DateTime::UNIX_EPOCH;
            let arrival = Arrival {
                saga_id: cast.saga_id,
                step,
                direction: Direction::Do,
                command,
                epoch: 1,
                not_after: now,
                now,
            };
            let done = books.arrive(Rules::Ours, &arrival);
            debug_assert!(done.is_ok(), "{done:?}");
        }
    }
    books
}
