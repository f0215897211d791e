//! Counters that may not go below zero: enough rules to try every path of the executor.

use std::collections::BTreeMap;

use brokerage_types::Reason;
use serde::Serialize;
use service_kit::executor::{
    Asked, At, Books, Command, Done, Event, Glimpse, Rejection, SaveError, Undo, Verdicts, Wish,
};
use service_kit::fault::Fault;
use sqlx::PgConnection;

/// The table of the counters; the row is its own event sequence.
pub const SCHEMA: &str =
    "CREATE TABLE counters (name text PRIMARY KEY, value bigint NOT NULL, version bigint NOT NULL)";

#[derive(Debug, Clone, Serialize)]
pub enum Count {
    /// Adds to a counter; refused below zero.
    Add { name: String, by: i64 },
    /// The same, but cannot be undone.
    AddForGood { name: String, by: i64 },
    /// Panics while deciding.
    Poison,
    /// Meets a row that no rule allows.
    BrokenRow,
    /// Breaks the batch's transaction in the database.
    BreakStatement,
}

impl Command for Count {
    fn name(&self) -> &'static str {
        match self {
            Count::Add { .. } => "add",
            Count::AddForGood { .. } => "add_for_good",
            Count::Poison => "poison",
            Count::BrokenRow => "broken_row",
            Count::BreakStatement => "break_statement",
        }
    }

    fn is_pivot(&self) -> bool {
        matches!(self, Count::AddForGood { .. })
    }

    fn affinity(&self) -> u64 {
        0
    }
}

#[derive(Debug, Default)]
pub struct World {
    rows: BTreeMap<String, (i64, i64)>,
    events: Vec<Event>,
    /// How often each counter has changed.
    noted: BTreeMap<String, i64>,
    broken: bool,
}

/// The rows and rules.
pub struct Counters {
    pub by: By,
}

/// Which way batches go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Locks,
    Glances,
    /// Where it can be: else by a glance.
    Memory,
}

impl By {
    pub const ALL: [By; 3] = [By::Locks, By::Glances, By::Memory];
}

impl World {
    async fn read(
        connection: &mut PgConnection,
        query: &'static str,
        commands: &[&Count],
    ) -> Result<Self, sqlx::Error> {
        let mut names: Vec<String> = commands
            .iter()
            .filter_map(|command| match command {
                Count::Add { name, .. } | Count::AddForGood { name, .. } => Some(name.clone()),
                Count::Poison | Count::BrokenRow | Count::BreakStatement => None,
            })
            .collect();
        names.sort();
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(query).bind(&names).fetch_all(connection).await?;
        let rows = rows.into_iter().map(|(name, value, version)| (name, (value, version))).collect();
        Ok(World { rows, ..World::default() })
    }

    fn add(&mut self, name: &str, by: i64, kind: &'static str) -> Result<(), Rejection> {
        let (value, version) = self.rows.get(name).copied().unwrap_or_default();
        if value + by < 0 {
            return Err(Rejection::new(Reason::InsufficientUsable, format!("{value} is less than {}", -by)));
        }
        self.rows.insert(name.to_owned(), (value + by, version + 1));
        *self.noted.entry(name.to_owned()).or_default() += 1;
        self.events.push(Event {
            aggregate: "counter",
            aggregate_id: name.to_owned(),
            seq: version + 1,
            kind,
            payload: serde_json::json!({ "by": by }),
        });
        Ok(())
    }
}

impl Books for Counters {
    type Command = Count;
    type World = World;
    /// Value and version of each counter.
    type Recollection = BTreeMap<String, (i64, i64)>;

    async fn load(&self, tx: &mut PgConnection, commands: &[&Count]) -> Result<World, sqlx::Error> {
        let locked =
            "SELECT name, value, version FROM counters WHERE name = ANY($1) ORDER BY name FOR NO KEY UPDATE";
        World::read(tx, locked, commands).await
    }

    fn execute(&self, world: &mut World, _at: &At, command: &Count) -> Result<Done, Rejection> {
        match command {
            Count::Add { name, by } | Count::AddForGood { name, by } => {
                world.add(name, *by, "Added")?;
                let value = world.rows.get(name).map(|row| row.0).unwrap_or_default();
                Ok(Done { effect: serde_json::json!({ "by": by }), answer: value.to_be_bytes().to_vec() })
            }
            Count::BrokenRow => Err(Rejection::new(Reason::InternalFault, "a row that no rule allows")),
            Count::Poison => panic!("a command that cannot be decided"),
            Count::BreakStatement => {
                world.broken = true;
                Ok(Done::default())
            }
        }
    }

    fn compensate(&self, world: &mut World, _at: &At, command: &Count, undo: Undo<'_>) -> Result<(), Fault> {
        let by = undo.effect["by"].as_i64().unwrap_or_default();
        let (Count::Add { name, .. } | Count::AddForGood { name, .. }) = command else { return Ok(()) };
        world.add(name, -by, "Undone").map_err(|_| Fault::unavailable("cannot undo"))
    }

    fn tombstone(
        &self,
        _world: &mut World,
        _at: &At,
        _command: &Count,
        _reason: Reason,
    ) -> Result<(), Fault> {
        Ok(())
    }

    fn noted(&self, world: &World) -> usize {
        world.events.len()
    }

    fn events(&self, world: &mut World) -> Vec<Event> {
        std::mem::take(&mut world.events)
    }

    async fn save(&self, tx: &mut PgConnection, world: &World) -> Result<(), SaveError> {
        if world.broken {
            sqlx::query("SELECT 1 / 0").execute(&mut *tx).await?;
        }
        write(tx, world).await
    }

    fn is_optimistic(&self, _: Wish<'_, Count>) -> bool {
        self.by != By::Locks
    }

    async fn glance(
        &self,
        connection: &mut PgConnection,
        asked: &Asked,
        wishes: &[Wish<'_, Count>],
    ) -> Result<Option<(Glimpse, World)>, sqlx::Error> {
        let glanced = service_kit::glance!(asked, "SELECT now, known FROM glimpse WHERE $5::boolean", true);
        let glanced = glanced.fetch_one(&mut *connection).await?;
        let unlocked = "SELECT name, value, version FROM counters WHERE name = ANY($1)";
        let commands: Vec<&Count> = wishes.iter().map(|wish| wish.command).collect();
        let world = World::read(connection, unlocked, &commands).await?;
        Ok(Some((Glimpse::read(glanced.now, glanced.known)?, world)))
    }

    fn recall(&self, recollection: &mut Self::Recollection, wishes: &[Wish<'_, Count>]) -> Option<World> {
        let mut world = World::default();
        for wish in wishes {
            let (Count::Add { name, .. } | Count::AddForGood { name, .. }) = wish.command else {
                return None;
            };
            world.rows.insert(name.clone(), *recollection.get(name)?);
        }
        Some(world)
    }

    fn remember(&self, recollection: &mut Self::Recollection, world: World) {
        if self.by == By::Memory {
            recollection.extend(world.rows);
        }
    }

    /// In a transaction: the table is not among those that a statement of the macro can be checked against.
    async fn save_unchanged(
        &self,
        connection: &mut PgConnection,
        world: &World,
        verdicts: &Verdicts,
    ) -> Result<(), SaveError> {
        sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
        match write_unchanged(connection, world, verdicts).await {
            Ok(()) => sqlx::raw_sql("COMMIT").execute(connection).await?,
            Err(error) => {
                sqlx::raw_sql("ROLLBACK").execute(connection).await?;
                return Err(error);
            }
        };
        Ok(())
    }
}

async fn write_unchanged(tx: &mut PgConnection, world: &World, verdicts: &Verdicts) -> Result<(), SaveError> {
    if world.broken {
        sqlx::query("SELECT 1 / 0").execute(&mut *tx).await?;
    }
    write(tx, world).await?;
    let wanted = verdicts.wanted(0);
    service_kit::save_decided!(
        tx,
        verdicts,
        "SELECT all_or_nothing((SELECT -count(*) FROM mistakes) + count(*), $25) FROM decided",
        wanted
    )?;
    Ok(())
}

/// Each counter only as it was read.
async fn write(tx: &mut PgConnection, world: &World) -> Result<(), SaveError> {
    for (name, noted) in &world.noted {
        let (value, version) = world.rows.get(name).copied().unwrap_or_default();
        let written = sqlx::query(
            "INSERT INTO counters VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value, version = excluded.version
             WHERE counters.version = excluded.version - $4",
        )
        .bind(name)
        .bind(value)
        .bind(version)
        .bind(noted)
        .execute(&mut *tx)
        .await?;
        if written.rows_affected() != 1 {
            return Err(SaveError::Conflict);
        }
    }
    Ok(())
}
