//! The ways in which one step can go wrong, and how a saga must end all the same.

use brokerage_types::{Actor, HoldId, OrderId, Price, Quantity, Symbol};
use saga_orchestrator::engine::definition::Role;
use saga_orchestrator::sagas::command::{Command, asset, order};
use uuid::Uuid;

/// What is done to one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// It is sent twice.
    Repeat,
    /// The first request is lost; the driver asks again.
    LoseRequest,
    /// The first request is lost; the driver gives up.
    LoseRequestAndGiveUp,
    /// The first reply is lost, after the commit; the driver asks again.
    LoseReply,
    /// The first reply is lost, after the commit; the driver gives up.
    LoseReplyAndGiveUp,
    /// Its compensation is sent twice.
    CompensateTwice,
    /// Its compensation overtakes it.
    CompensateBeforeDo,
    /// It is sent once more after its compensation.
    DoAfterCompensate,
    /// It comes once more with other content.
    AlterCommand,
    /// Its compensation comes with other content.
    AlterCompensation,
}

/// How a saga ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All effects, as without a fault.
    Completed,
    /// No effect.
    RolledBack,
}

impl Fault {
    /// Each of them.
    pub const ALL: [Fault; 10] = [
        Fault::Repeat,
        Fault::LoseRequest,
        Fault::LoseRequestAndGiveUp,
        Fault::LoseReply,
        Fault::LoseReplyAndGiveUp,
        Fault::CompensateTwice,
        Fault::CompensateBeforeDo,
        Fault::DoAfterCompensate,
        Fault::AlterCommand,
        Fault::AlterCompensation,
    ];

    /// The pivot decides. A step that nothing takes back cannot turn a saga round.
    pub fn ending(self, role: Role) -> Ending {
        let may_turn_round = match self {
            Fault::Repeat
            | Fault::LoseRequest
            | Fault::LoseReply
            | Fault::AlterCommand
            | Fault::AlterCompensation => return Ending::Completed,
            Fault::LoseRequestAndGiveUp => [Role::Compensatable, Role::Check, Role::Pivot].contains(&role),
            Fault::LoseReplyAndGiveUp => [Role::Compensatable, Role::Check].contains(&role),
            Fault::CompensateTwice | Fault::CompensateBeforeDo | Fault::DoAfterCompensate => {
                [Role::Compensatable, Role::Pivot].contains(&role)
            }
        };
        if may_turn_round { Ending::RolledBack } else { Ending::Completed }
    }
}

/// The same kind of command with other content.
pub fn altered(command: &Command) -> Command {
    let (three, price) = (Quantity::parse("3").unwrap(), Price::parse("98.01").unwrap());
    let (other_order, other_hold) = (OrderId::from(Uuid::now_v7()), HoldId::from(Uuid::now_v7()));
    match command.clone() {
        Command::Order(command) => match command {
            order::Command::Draft(command) => order::Draft { quantity: three, ..command }.into(),
            order::Command::Open(command) => {
                order::Open { instrument: Symbol::parse("OTHER").unwrap(), ..command }.into()
            }
            order::Command::BeginCancel(command) => {
                order::BeginCancel { requested_by: Actor::parse("another").unwrap(), ..command }.into()
            }
            order::Command::AwaitDrain(_) => order::AwaitDrain { order_id: other_order }.into(),
            order::Command::ConfirmCancel(_) => order::ConfirmCancel { order_id: other_order }.into(),
            order::Command::ReserveMatch(command) => {
                order::ReserveMatch { quantity: three, ..command }.into()
            }
            order::Command::ApplyFill(command) => order::ApplyFill { price, ..command }.into(),
        },
        Command::Asset(command) => match command {
            asset::Command::PlaceHold(command) => asset::PlaceHold { limit_price: price, ..command }.into(),
            asset::Command::ReleaseHold(_) => asset::ReleaseHold { hold_id: other_hold }.into(),
            asset::Command::SettleTrade(command) => asset::SettleTrade { quantity: three, ..command }.into(),
        },
    }
}
