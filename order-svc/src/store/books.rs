//! The domain as the executor sees it: which rows a command needs, what it does to them, and how it is taken back.

use brokerage_types::{Instrument, Reason, SagaId};
use serde::{Deserialize, Serialize};
use service_kit::executor::{
    Asked, At, Books, Command as ExecutorCommand, Done, Event, Glimpse, Rejection as Refused, SaveError,
    Undo, Verdicts, Wish,
};
use service_kit::fault::Fault;
use sqlx::PgConnection;

use super::decide::{
    begin_cancel, change, draft, fill, label_is_taken, open, release, reserve, suspension, upsert,
};
use super::recollection::Recollection;
use super::world::World;
use super::{load, optimistic, save};
use crate::domain::command::Command;
use crate::domain::{Status, cancel, create, suspend};

/// The order service's rows and rules.
#[derive(Debug, Default)]
pub struct OrderBooks;

/// The stored answer of a one-service command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Receipt {
    /// Of UpsertInstrument.
    Instrument {
        /// What it was right after.
        definition: Instrument,
        /// Its version right after.
        version: i64,
    },
    /// Of SuspendOrder and ResumeOrder.
    Order {
        /// What it was right after.
        status: Status,
        /// Its version right after.
        version: i64,
    },
}

impl ExecutorCommand for Command {
    fn name(&self) -> &'static str {
        Command::name(self)
    }

    /// Of what is done, only these three are ever taken back: the rest is a pivot, comes after one, or is no saga's.
    fn is_pivot(&self) -> bool {
        match self {
            Command::Draft(_) | Command::BeginCancel(_) | Command::ReserveMatch(_) => false,
            Command::Open(_)
            | Command::ConfirmCancel(_)
            | Command::ApplyFill(_)
            | Command::UpsertInstrument(_)
            | Command::SuspendOrder(_)
            | Command::ResumeOrder(_) => true,
        }
    }

    fn affinity(&self) -> u64 {
        let key = match self {
            Command::Draft(terms) => terms.order_id.uuid().as_u128(),
            Command::Open(open) => open.order_id.uuid().as_u128(),
            Command::BeginCancel(begin) => begin.order_id.uuid().as_u128(),
            Command::ConfirmCancel(confirm) => confirm.order_id.uuid().as_u128(),
            Command::ReserveMatch(deal) | Command::ApplyFill(deal) => deal.buy_order_id.uuid().as_u128(),
            Command::SuspendOrder(wish) | Command::ResumeOrder(wish) => wish.order_id.uuid().as_u128(),
            Command::UpsertInstrument(_) => 0,
        };
        // The low half of a UUIDv7 is random.
        u64::try_from(key & u128::from(u64::MAX)).unwrap_or_default()
    }
}

impl Books for OrderBooks {
    type Command = Command;
    type World = World;
    type Recollection = Recollection;

    async fn load(&self, tx: &mut PgConnection, commands: &[&Command]) -> Result<World, sqlx::Error> {
        load::load(tx, commands).await
    }

    fn execute(&self, world: &mut World, at: &At, command: &Command) -> Result<Done, Refused> {
        let decided = match command {
            Command::Draft(terms) => draft(world, at, terms),
            Command::Open(wish) => open(world, at, wish),
            Command::BeginCancel(wish) => begin_cancel(world, at, wish),
            Command::ConfirmCancel(wish) => change(world, at, wish.order_id, cancel::confirm),
            Command::ReserveMatch(deal) => reserve(world, at, deal),
            Command::ApplyFill(deal) => fill(world, at, deal),
            Command::UpsertInstrument(definition) => upsert(world, at, definition),
            Command::SuspendOrder(wish) => suspension(world, at, wish, suspend::suspend),
            Command::ResumeOrder(wish) => suspension(world, at, wish, suspend::resume),
        };
        decided.map_err(|rejection| Refused::new(rejection.reason(), rejection.to_string()))
    }

    fn compensate(&self, world: &mut World, at: &At, command: &Command, undo: Undo<'_>) -> Result<(), Fault> {
        let undone = match command {
            Command::Draft(terms) => change(world, at, terms.order_id, |order, now| {
                create::undo_draft(order, undo.reason, now).map(Some)
            })
            .map(drop),
            Command::BeginCancel(wish) => change(world, at, wish.order_id, |order, now| {
                cancel::undo_begin(order, SagaId::from(at.saga_id), undo.reason, now)
            })
            .map(drop),
            Command::ReserveMatch(deal) => release(world, at, deal, undo.reason),
            Command::Open(_)
            | Command::ConfirmCancel(_)
            | Command::ApplyFill(_)
            | Command::UpsertInstrument(_)
            | Command::SuspendOrder(_)
            | Command::ResumeOrder(_) => {
                return Err(Fault::internal(command.name(), "it is done and cannot be taken back"));
            }
        };
        undone.map_err(|rejection| Fault::internal(format!("undo {}", command.name()), rejection))
    }

    fn tombstone(&self, world: &mut World, at: &At, command: &Command, reason: Reason) -> Result<(), Fault> {
        let Command::Draft(terms) = command else { return Ok(()) };
        // Had it run, it would have been refused and left no order either.
        if world.orders.contains_key(&terms.order_id) || label_is_taken(world, terms) {
            return Ok(());
        }
        let rejected = create::reject_unborn(terms, reason, at.now)
            .map_err(|rejection| Fault::internal("note an order that never was", rejection))?;
        world.put(rejected);
        Ok(())
    }

    fn noted(&self, world: &World) -> usize {
        world.events.len()
    }

    fn events(&self, world: &mut World) -> Vec<Event> {
        std::mem::take(&mut world.events)
    }

    async fn save(&self, tx: &mut PgConnection, world: &World) -> Result<(), SaveError> {
        save::save(tx, world).await
    }

    fn is_optimistic(&self, wish: Wish<'_, Command>) -> bool {
        optimistic::knows(wish)
    }

    async fn glance(
        &self,
        connection: &mut PgConnection,
        asked: &Asked,
        wishes: &[Wish<'_, Command>],
    ) -> Result<Option<(Glimpse, World)>, sqlx::Error> {
        optimistic::glance(connection, asked, wishes).await
    }

    fn recall(&self, recollection: &mut Recollection, wishes: &[Wish<'_, Command>]) -> Option<World> {
        recollection.recall(wishes)
    }

    fn remember(&self, recollection: &mut Recollection, world: World) {
        recollection.remember(world);
    }

    async fn save_unchanged(
        &self,
        connection: &mut PgConnection,
        world: &World,
        verdicts: &Verdicts,
    ) -> Result<(), SaveError> {
        optimistic::save_unchanged(connection, world, verdicts).await
    }
}
