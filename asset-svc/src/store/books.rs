//! Plugs the ledger into the executor: which rows, which rules.

use std::hash::{DefaultHasher, Hash, Hasher};

use brokerage_types::{HoldId, Reason};
use serde_json::{Value, json};
use service_kit::executor::{
    Asked, At, Books, Command as Commanded, Done, Event, Glimpse, Rejection, SaveError, Undo, Verdicts, Wish,
};
use service_kit::fault::Fault;
use sqlx::PgConnection;

use super::load::{SeenAssets, load};
use super::optimistic::{glance, save_unchanged};
use super::recollection::Recollection;
use super::save::save;
use crate::domain::command::Command;
use crate::domain::decide::{Answer, compensate, execute};
use crate::domain::plan::Moment;
use crate::domain::world::World;

/// Turns an answer into the bytes that a repeated command gets again. The wire is not the store's affair.
pub type Encode = fn(&Answer) -> Vec<u8>;

/// The ledger's rows and rules.
#[derive(Debug)]
pub struct AssetBooks {
    encode: Encode,
    seen: SeenAssets,
}

impl AssetBooks {
    /// Books whose answers are kept in this encoding.
    #[must_use]
    pub fn new(encode: Encode) -> Self {
        Self { encode, seen: SeenAssets::default() }
    }
}

impl Commanded for Command {
    fn name(&self) -> &'static str {
        match self {
            Self::PlaceHold(_) => "place_hold",
            Self::ReleaseHold(_) => "release_hold",
            Self::SettleTrade(_) => "settle_trade",
            Self::UpsertAsset(_) => "upsert_asset",
            Self::OpenAsset(_) => "open_asset",
            Self::Deposit(_) => "deposit",
            Self::Withdraw(_) => "withdraw",
            Self::Transfer(_) => "transfer",
            Self::UpsertCustomer(_) => "upsert_customer",
        }
    }

    fn is_pivot(&self) -> bool {
        match self {
            Self::ReleaseHold(_) | Self::SettleTrade(_) => true,
            Self::PlaceHold(_)
            | Self::UpsertAsset(_)
            | Self::OpenAsset(_)
            | Self::Deposit(_)
            | Self::Withdraw(_)
            | Self::Transfer(_)
            | Self::UpsertCustomer(_) => false,
        }
    }

    /// By customer, so that those who wait for one balance wait in one batch.
    fn affinity(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        match self {
            Self::PlaceHold(command) => command.customer.hash(&mut hasher),
            Self::ReleaseHold(command) => command.hold_id.hash(&mut hasher),
            Self::SettleTrade(command) => command.buyer.hash(&mut hasher),
            Self::UpsertAsset(asset) => asset.asset.hash(&mut hasher),
            Self::OpenAsset(command) => command.customer.hash(&mut hasher),
            Self::Deposit(command) => command.customer.hash(&mut hasher),
            Self::Withdraw(command) => command.customer.hash(&mut hasher),
            Self::Transfer(command) => command.customer.hash(&mut hasher),
            Self::UpsertCustomer(command) => command.customer.hash(&mut hasher),
        }
        hasher.finish()
    }
}

impl Books for AssetBooks {
    type Command = Command;
    type World = World;
    type Recollection = Recollection;

    async fn load(&self, tx: &mut PgConnection, commands: &[&Command]) -> Result<World, sqlx::Error> {
        load(tx, &self.seen, commands).await
    }

    fn execute(&self, world: &mut World, at: &At, command: &Command) -> Result<Done, Rejection> {
        let answer = execute(world, moment(at), command)
            .map_err(|refused| Rejection::new(refused.reason(), refused.to_string()))?;
        let answer = match &answer {
            Answer::Step => Vec::new(),
            Answer::Asset(_) | Answer::Opened(_) | Answer::Moved(..) | Answer::Customer(_) => {
                (self.encode)(&answer)
            }
        };
        Ok(Done { effect: effect(command), answer })
    }

    fn compensate(&self, world: &mut World, at: &At, command: &Command, undo: Undo<'_>) -> Result<(), Fault> {
        let hold_id: HoldId = serde_json::from_value(undo.effect["hold_id"].clone())
            .map_err(|error| Fault::internal(format!("undo a {}", command.name()), error))?;
        compensate(world, moment(at), hold_id, undo.reason)
            .map_err(|refused| Fault::internal("release a hold whose saga gave up", refused))
    }

    /// The ledger keeps nothing of a command that never ran: the executor's inbox does.
    fn tombstone(&self, _: &mut World, _: &At, _: &Command, _: Reason) -> Result<(), Fault> {
        Ok(())
    }

    fn noted(&self, world: &World) -> usize {
        world.events.len()
    }

    fn events(&self, world: &mut World) -> Vec<Event> {
        let events = world.events.drain(..).map(|event| Event {
            aggregate: event.aggregate,
            aggregate_id: event.id,
            seq: event.seq,
            kind: event.kind,
            payload: event.payload,
        });
        events.collect()
    }

    async fn save(&self, tx: &mut PgConnection, world: &World) -> Result<(), SaveError> {
        save(tx, world).await
    }

    fn is_optimistic(&self, wish: Wish<'_, Command>) -> bool {
        match wish.command {
            Command::PlaceHold(_) => true,
            // A pivot: undone it is noted, which is rare.
            Command::ReleaseHold(_) => !wish.is_undo,
            Command::SettleTrade(_)
            | Command::UpsertAsset(_)
            | Command::OpenAsset(_)
            | Command::Deposit(_)
            | Command::Withdraw(_)
            | Command::Transfer(_)
            | Command::UpsertCustomer(_) => false,
        }
    }

    async fn glance(
        &self,
        connection: &mut PgConnection,
        asked: &Asked,
        wishes: &[Wish<'_, Command>],
    ) -> Result<Option<(Glimpse, World)>, sqlx::Error> {
        glance(connection, &self.seen, asked, wishes).await
    }

    fn recall(&self, recollection: &mut Recollection, wishes: &[Wish<'_, Command>]) -> Option<World> {
        recollection.recall(&self.seen, wishes)
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
        save_unchanged(connection, world, verdicts).await
    }
}

/// What the inverse needs to know: which hold. How much is in the hold itself, under its lock.
fn effect(command: &Command) -> Value {
    match command {
        Command::PlaceHold(command) => json!({ "hold_id": command.hold_id }),
        Command::ReleaseHold(_)
        | Command::SettleTrade(_)
        | Command::UpsertAsset(_)
        | Command::OpenAsset(_)
        | Command::Deposit(_)
        | Command::Withdraw(_)
        | Command::Transfer(_)
        | Command::UpsertCustomer(_) => Value::Null,
    }
}

fn moment(at: &At) -> Moment {
    Moment { saga_id: at.saga_id, now: at.now }
}
