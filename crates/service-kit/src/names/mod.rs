//! Every name that leaves a process as telemetry: spans and their attributes here, metrics in [`metric`].
//!
//! They follow the semantic conventions of OpenTelemetry, which still move: whoever renames something does it here, and
//! in `docs/metrics.md`. Dashboards and alerts are built on these names. Not here: when a span begins, what is counted.

pub mod metric;

use std::borrow::Cow;

/// Keys of attributes.
pub mod attribute {
    /// `grpc`.
    pub const RPC_SYSTEM: &str = "rpc.system.name";
    /// `package.Service/Method`.
    pub const RPC_METHOD: &str = "rpc.method";
    /// `OK`, `UNAVAILABLE`.
    pub const RPC_STATUS: &str = "rpc.response.status_code";
    /// The configured target, not an address that was found.
    pub const SERVER_ADDRESS: &str = "server.address";
    /// Its port.
    pub const SERVER_PORT: &str = "server.port";
    /// What kind of error it was; absent if it was none.
    pub const ERROR_TYPE: &str = "error.type";
    /// `postgresql`.
    pub const DB_SYSTEM: &str = "db.system.name";
    /// `read` or `transaction`.
    pub const DB_OPERATION: &str = "db.operation.name";
    /// What is read, or the lane.
    pub const DB_SUMMARY: &str = "db.query.summary";
    /// How many items shared a transaction.
    pub const DB_BATCH_SIZE: &str = "db.operation.batch.size";
    /// The `x-request-id` of a call.
    pub const REQUEST_ID: &str = "brokerage.request.id";
    /// A saga.
    pub const SAGA_ID: &str = "brokerage.saga.id";
    /// `create_order`, `cancel_order`, `match_orders`.
    pub const SAGA_KIND: &str = "brokerage.saga.kind";
    /// How often it has changed its driver.
    pub const SAGA_EPOCH: &str = "brokerage.saga.epoch";
    /// `COMPLETED`, `ROLLED_BACK`, or `LEFT` to another driver.
    pub const SAGA_OUTCOME: &str = "brokerage.saga.outcome";
    /// A step's position.
    pub const STEP: &str = "brokerage.step";
    /// A step's command.
    pub const COMMAND: &str = "brokerage.command";
    /// `do` or `undo`.
    pub const DIRECTION: &str = "brokerage.direction";
    /// Counts the attempts of a step in one direction, from 1.
    pub const ATTEMPT: &str = "brokerage.attempt";
    /// Who is asked.
    pub const PARTICIPANT: &str = "brokerage.participant";
    /// What a participant has stored, or that nothing is known.
    pub const VERDICT: &str = "brokerage.verdict";
    /// Whether it had been decided before.
    pub const REPLAYED: &str = "brokerage.replayed";
    /// Of the catalogue of reasons.
    pub const REASON: &str = "brokerage.reason";
    /// Why one span points to another: see [`super::link`].
    pub const LINK: &str = "brokerage.link";
    /// Which lane.
    pub const LANE: &str = "brokerage.lane";
    /// How many steps travel together.
    pub const STEPS: &str = "brokerage.steps";
}

/// Why one span points to another.
pub mod link {
    /// To the span of the driver that the saga was taken over from.
    pub const ADOPTED: &str = "adopted";
    /// From a batch to what it serves.
    pub const SERVES: &str = "serves";
    /// From what was served to its batch.
    pub const BATCH: &str = "batch";
}

/// What happens within a saga's span.
pub mod event {
    /// It began to undo, and why.
    pub const TURNED_ROUND: &str = "turned_round";
    /// It cannot go on by itself, and why.
    pub const PARKED: &str = "parked";
    /// It goes on.
    pub const RESUMED: &str = "resumed";
}

/// The driver's span of one saga.
#[must_use]
pub fn saga(kind: &str) -> Cow<'static, str> {
    format!("saga {kind}").into()
}

/// The driver's span of one attempt of one step.
#[must_use]
pub fn attempt(command: &str, is_undo: bool) -> Cow<'static, str> {
    if is_undo { format!("compensate {command}") } else { format!("attempt {command}") }.into()
}

/// The participant's span of one command, from its arrival to its verdict.
#[must_use]
pub fn execute(command: &str, is_undo: bool) -> Cow<'static, str> {
    if is_undo { format!("undo {command}") } else { format!("execute {command}") }.into()
}

/// The span of one transaction, as each of those sees it that share it.
#[must_use]
pub fn transaction(lane: &str) -> Cow<'static, str> {
    format!("transaction {lane}").into()
}

/// The span of one transaction as such: a trace of its own, with links to those that share it.
#[must_use]
pub fn batch(lane: &str) -> Cow<'static, str> {
    format!("batch {lane}").into()
}

/// The span of steps that travel together: a trace of its own, with links to them.
pub const DELIVER: &str = "deliver steps";
