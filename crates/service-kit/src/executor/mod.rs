//! The one write path: *inbox → lock → decide → save → events → answer*, for a batch of commands in one transaction.
//!
//! A service plugs in its rows and rules ([`Books`]); idempotency, remembered rejections, tombstones, batching, the
//! event outbox and safety against cancelled callers live here once.
//!
//! The inbox insert comes *last* in the transaction and is the arbiter: a batch reads what is decided, locks, decides
//! in memory and then inserts its verdicts. If another transaction was faster with one of the keys, the insert comes
//! up short, everything is rolled back and the batch runs again, now seeing that verdict. So a duplicate costs one
//! read, a verdict is written once and never updated (but by its compensation), and nothing is kept of a loser. Frequent
//! commands take a shorter way ([`optimistic`]), or the shortest ([`recollection`]), which end in the same insert.
//!
//! Not here: what a command means, and who may send it.

mod batch;
mod books;
mod first_steps;
mod inbox;
mod lag;
mod memory;
pub mod optimistic;
mod outbox;
pub mod recollection;
mod request;
pub mod rule;
mod together;

use std::sync::Arc;

use brokerage_proto::common::v1 as wire;
use brokerage_types::{Reason, RequestId};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use books::{At, Books, Command, Done, Event, Rejection, SaveError, Undo, Wish};
pub use first_steps::serve_first_steps;
pub use inbox::{Key, Sagas};
pub use optimistic::{Asked, Glimpse, Verdicts};
pub use outbox::Columns;
pub use recollection::Unread;
pub use together::{STEPS_MAX, do_together};

use crate::fault::{ApiError, ApiResult, Fault, Refusal};
use crate::lane::Lane;
use crate::metrics::Metrics;
use crate::names::{self, attribute};
use crate::run::Kit;
use crate::telemetry::{self, Kind, Scope, Span};
use crate::validate::Fields;
use batch::BookWork;
use request::{Decided, Operation, Reply, Request};

/// No intent is larger.
const INTENT_BYTES_MAX: usize = 8 * 1024;

/// Names the key of a command that touches one service only: (caller, RPC, request id).
#[derive(Debug, Clone, Copy)]
pub struct Once<'a> {
    /// Who commands, as authenticated.
    pub caller: &'a str,
    /// Which RPC.
    pub rpc: &'static str,
    /// The caller's request id, a UUID.
    pub request_id: &'a str,
}

/// The answer to a one-service command.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What [`Done::answer`] held when the command was done for the first time.
    pub answer: Bytes,
    /// Whether that was earlier.
    pub replayed: bool,
}

/// A handle to a service's write path. Clones share it.
pub struct Executor<B: Books> {
    lanes: Arc<[Lane<BookWork<B>>]>,
    metrics: Metrics,
}

impl<B: Books> Clone for Executor<B> {
    fn clone(&self) -> Self {
        Self { lanes: Arc::clone(&self.lanes), metrics: self.metrics.clone() }
    }
}

impl<B: Books> Executor<B> {
    /// Starts the service's lanes, as many as its settings say.
    pub fn start(kit: &Kit, books: B) -> Self {
        let books = Arc::new(books);
        lag::watch(kit);
        let memory = memory::Memory { days: kit.settings.retention.inbox_days };
        let lanes = (0..kit.settings.database.lanes.max(1))
            .map(|_| Lane::start(kit, "executor", BookWork::new(Arc::clone(&books), memory, &kit.metrics)))
            .collect();
        Self { lanes, metrics: kit.metrics.clone() }
    }

    /// Does a saga step, or answers what was decided about it before.
    ///
    /// Called twice with the same command, the second call changes nothing and gets the first verdict.
    ///
    /// # Errors
    /// A refusal for a context that cannot be read; a fault when the outcome is unknown.
    pub async fn step(
        &self,
        context: &Option<wire::StepContext>,
        command: B::Command,
    ) -> ApiResult<wire::StepReply> {
        let context = Context::read(context)?;
        Ok(self.submit(context, Operation::Do, command).await?.into_wire())
    }

    /// Undoes a saga step, or makes sure that it never runs. A pivot that has run refuses.
    ///
    /// Called twice, the second call changes nothing and is DONE as well.
    ///
    /// # Errors
    /// A refusal for a context or reason that cannot be read; a fault when the outcome is unknown.
    pub async fn compensate(
        &self,
        context: &Option<wire::StepContext>,
        command: B::Command,
        reason: &str,
    ) -> ApiResult<wire::StepReply> {
        let context = Context::read(context)?;
        let reason = reason.parse::<Reason>().map_err(|_| {
            Refusal::new(Reason::FieldInvalid, format!("`{reason}` is not a reason of the catalogue"))
        })?;
        Ok(self.submit(context, Operation::Compensate(reason), command).await?.into_wire())
    }

    /// Does a command that touches this service only, at most once per (caller, RPC, request id).
    ///
    /// # Errors
    /// `FIELD_REQUIRED` or `REQUEST_ID_INVALID`; `REQUEST_ID_REUSED` when the id came with another payload; the
    /// command's own rejection, the same every time; a fault when the outcome is unknown.
    pub async fn once(&self, once: Once<'_>, command: B::Command) -> ApiResult<Answered> {
        let context = Context::of_once(once)?;
        let decided = self.submit(context, Operation::Do, command).await?;
        match decided.reply {
            Reply::Done { answer, replayed } => Ok(Answered { answer: answer.into(), replayed }),
            Reply::Rejected { reason, message, replayed } => {
                Err(Refusal::new(reason, message).with("replayed", replayed.to_string()).into())
            }
            Reply::Mismatch => Err(Refusal::new(
                Reason::RequestIdReused,
                format!("request id {} was used for another payload", once.request_id),
            )
            .with("request_id", once.request_id)
            .into()),
            Reply::Tombstone { .. }
            | Reply::Undone { .. }
            | Reply::Refused
            | Reply::Expired
            | Reply::StaleEpoch { .. }
            | Reply::TooOld => Err(Fault::internal("answer a one-service command", UnexpectedReply).into()),
        }
    }

    /// How many commands wait or are being done.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.lanes.iter().map(Lane::backlog).sum()
    }

    async fn submit(
        &self,
        context: Context,
        operation: Operation,
        command: B::Command,
    ) -> Result<Decided, ApiError> {
        let hash = inbox::request_hash(&command).map_err(|error| Fault::internal("hash a command", error))?;
        let lanes = self.lanes.len() as u64;
        let lane = usize::try_from(command.affinity() % lanes).unwrap_or_default();
        // Before any database work. What undoes, or comes behind a pivot, ends something: it is never turned away here.
        let ends_something = operation != Operation::Do || command.is_pivot();
        if !ends_something && self.lanes[lane].is_busy() {
            return Err(Fault::overloaded("the lane is busy with what came before").into());
        }
        let name = command.name();
        let mut span = telemetry::span(Kind::Internal, || names::execute(name, operation != Operation::Do));
        if span.is_recorded() {
            span.set(attribute::SAGA_ID, context.key.saga_id);
            span.set(attribute::STEP, i64::from(context.key.step));
            span.set(attribute::COMMAND, name);
        }
        let scope = span.scope_or_current();
        let request = Request {
            key: context.key,
            epoch: context.epoch,
            not_after: context.not_after,
            operation,
            command,
            hash,
            intent: context.intent,
            trace: scope.as_ref().map(Scope::traceparent),
        };
        let decided = telemetry::within(scope, self.lanes[lane].submit(request)).await;
        self.show(name, &mut span, &decided);
        Ok(decided?)
    }

    /// Counts the verdict, and puts it on the span.
    fn show(&self, command: &'static str, span: &mut Span, decided: &Result<Decided, Fault>) {
        let Ok(decided) = decided else {
            return span.fail("fault");
        };
        let (verdict, reason, is_replayed) = decided.reply.told();
        self.metrics.kit.verdicts.with_label_values(&[command, verdict]).inc();
        if is_replayed {
            self.metrics.kit.replays.with_label_values(&[command]).inc();
        }
        span.set(attribute::VERDICT, verdict);
        span.set(attribute::REPLAYED, is_replayed);
        if let Some(reason) = reason {
            span.set(attribute::REASON, reason.as_str());
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a verdict that only saga steps can have")]
struct UnexpectedReply;

/// The part of a step context that decides something.
struct Context {
    key: Key,
    epoch: i64,
    not_after: Option<DateTime<Utc>>,
    /// Kept with the verdict, for anti-entropy.
    intent: Option<Vec<u8>>,
}

impl Context {
    fn read(context: &Option<wire::StepContext>) -> Result<Self, Refusal> {
        let invalid = |what: &str| Refusal::new(Reason::FieldInvalid, format!("context: {what}"));
        let context = context.as_ref().ok_or_else(|| invalid("missing"))?;
        let saga_id = Uuid::parse_str(&context.saga_id).map_err(|_| invalid("saga_id is not a UUID"))?;
        let step = i16::try_from(context.step).map_err(|_| invalid("step is too large"))?;
        let epoch = i64::try_from(context.epoch).map_err(|_| invalid("epoch is too large"))?;
        let not_after = match &context.not_after {
            None => None,
            Some(stamp) => Some(
                u32::try_from(stamp.nanos)
                    .ok()
                    .and_then(|nanos| DateTime::from_timestamp(stamp.seconds, nanos))
                    .ok_or_else(|| invalid("not_after is no instant"))?,
            ),
        };
        let intent = (!context.intent.is_empty()).then(|| context.intent.clone());
        if intent.as_ref().is_some_and(|intent| intent.len() > INTENT_BYTES_MAX) {
            return Err(invalid("intent is too large"));
        }
        Ok(Self { key: Key { saga_id, step }, epoch, not_after, intent })
    }

    fn of_once(once: Once<'_>) -> ApiResult<Self> {
        let mut fields = Fields::new();
        let request_id = fields.parse::<RequestId>("request_id", once.request_id);
        let request_id = fields.finish(request_id)?;
        // The parts are separated by a character that neither a subject nor an RPC name may hold.
        let name = format!("{}\n{}\n{request_id}", once.caller, once.rpc);
        let saga_id = once_id(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()));
        Ok(Self { key: Key { saga_id, step: 0 }, epoch: 0, not_after: None, intent: None })
    }
}

/// Sets the first bit, which no saga's number has: commands that are no saga's steps have a partition of their own
/// (`0011_once.sql`).
fn once_id(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128() | 1 << 127)
}

impl Decided {
    fn into_wire(self) -> wire::StepReply {
        let (verdict, reason, highest_epoch) = match self.reply {
            Reply::Done { .. } => (wire::Verdict::Done, String::new(), 0),
            Reply::Rejected { reason, .. } => (wire::Verdict::Rejected, reason.as_str().to_owned(), 0),
            Reply::Tombstone { reason } => (wire::Verdict::Tombstone, reason.as_str().to_owned(), 0),
            Reply::Undone { reason, .. } => (wire::Verdict::Done, reason.as_str().to_owned(), 0),
            Reply::Refused => (wire::Verdict::Refused, String::new(), 0),
            Reply::Expired => (wire::Verdict::Expired, String::new(), 0),
            Reply::StaleEpoch { highest } => (wire::Verdict::StaleEpoch, String::new(), highest),
            Reply::Mismatch => (wire::Verdict::Mismatch, String::new(), 0),
            Reply::TooOld => (wire::Verdict::TooOld, String::new(), 0),
        };
        wire::StepReply {
            verdict: verdict.into(),
            reason,
            database_time: Some(timestamp(self.database_time)),
            highest_epoch: u64::try_from(highest_epoch).unwrap_or_default(),
        }
    }
}

fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}
