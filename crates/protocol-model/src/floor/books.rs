//! The services' own books in memory: the inbox rule, then the very `Books` that the executor runs.
//!
//! One arrival is one transaction: all of it, or nothing. Not here: batches, locks, SQL.

use std::collections::BTreeMap;

use asset_svc::domain::world::World as AssetWorld;
use asset_svc::store::AssetBooks;
use brokerage_types::{Class, Reason, SagaId, TradeId};
use chrono::{DateTime, Utc};
use order_svc::domain::Status;
use order_svc::domain::cancel::{Drain, drain};
use order_svc::domain::command::Command as OrderCommand;
use order_svc::store::books::OrderBooks;
use order_svc::store::world::World as OrderWorld;
use saga_orchestrator::engine::definition::StepNo;
use saga_orchestrator::engine::reply::{Direction, Reply};
use saga_orchestrator::sagas::command::{Command, Participant};
use service_kit::executor::rule::{Due, Stored, Verdict};
use service_kit::executor::{At, Books as _, Command as _, Done, Rejection, Undo};
use service_kit::fault::Fault;

use super::ledger::Ledger;
use super::translate::{Order, to_asset, to_order};
use super::{Floor, Message, asked, standing, why};
use crate::cast::Cast;
use crate::mutant::{Mutant, Rules};

/// One stored verdict.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    pub epoch: u64,
    pub effect: serde_json::Value,
    pub command: Command,
}

/// One attempt as it arrives.
#[derive(Clone, Debug)]
pub struct Arrival<'a> {
    /// The saga.
    pub saga_id: SagaId,
    /// The step.
    pub step: StepNo,
    /// Do or undo.
    pub direction: Direction,
    /// Its command.
    pub command: &'a Command,
    /// The sender's epoch.
    pub epoch: u64,
    /// Past this instant it is void.
    pub not_after: DateTime<Utc>,
    /// The database's clock.
    pub now: DateTime<Utc>,
}

/// Both services' rows.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Of order-svc.
    pub order: OrderWorld,
    /// Of asset-svc.
    pub asset: AssetWorld,
    pub(super) inbox: BTreeMap<(SagaId, StepNo), Row>,
    pub(super) ledger: Ledger,
}

enum Refused {
    Rejected(Reason),
    Fault(String),
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        if rejection.reason.class() == Class::Internal {
            Refused::Fault(rejection.message)
        } else {
            Refused::Rejected(rejection.reason)
        }
    }
}

impl Books {
    /// An attempt arrives, and is answered.
    ///
    /// # Errors
    /// What the service could only answer with a fault; the books are broken then.
    pub fn arrive(&mut self, rules: Rules, arrival: &Arrival<'_>) -> Result<Reply, String> {
        if let Command::Order(command) = arrival.command
            && let Order::AwaitDrain(order_id) = to_order(command)
        {
            return Ok(self.check_drain(rules, order_id, arrival.saga_id));
        }
        let key = (arrival.saga_id, arrival.step);
        let row = self.inbox.get(&key);
        let stored =
            row.map(|row| Stored { verdict: row.verdict, same_command: row.command == *arrival.command });
        let reason = row.and_then(|row| row.reason);
        let mut question = asked(None, arrival.direction, arrival.epoch, arrival.not_after < arrival.now);
        question.is_pivot = match arrival.command {
            Command::Order(command) => match to_order(command) {
                Order::Command(command) => command.is_pivot(),
                Order::AwaitDrain(_) => false,
            },
            Command::Asset(command) => to_asset(command).is_pivot(),
        };
        let highest = self.highest_epoch(arrival.saga_id, arrival.command.participant());
        let due = rules.due(stored, &question, i64::try_from(highest).unwrap_or(i64::MAX));
        if let Due::Answer(answer) = due {
            return Ok(standing(answer, reason, arrival.direction, rules));
        }
        if rules.is(Mutant::CancelMarkIgnored) {
            self.ignore_mark(arrival);
        }
        let (reply, reason, effect) = match self.apply(due, arrival) {
            Ok(done) if due == Due::Decide => (Reply::Done, None, done.effect),
            Ok(_) => {
                let reason = why(arrival.direction);
                (Reply::Undone(reason), Some(reason), serde_json::Value::Null)
            }
            Err(Refused::Rejected(reason)) => {
                (Reply::Rejected(reason), Some(reason), serde_json::Value::Null)
            }
            Err(Refused::Fault(fault)) => return Err(format!("a fault: {fault}")),
        };
        let epoch = self.inbox.get(&key).map_or(arrival.epoch, |row| row.epoch);
        if let Some(verdict) = due.verdict(reply == Reply::Done) {
            self.inbox.insert(key, Row { verdict, reason, epoch, effect, command: arrival.command.clone() });
        }
        if rules.is(Mutant::NoSemanticLock) {
            self.unlock(arrival);
        }
        self.ledger.take(&mut self.asset)?;
        self.order.events.clear();
        self.order.trades.clear();
        self.order.broken.take().map_or(Ok(reply), Err)
    }

    fn apply(&mut self, due: Due, arrival: &Arrival<'_>) -> Result<Done, Refused> {
        let step = i16::try_from(arrival.step).unwrap_or(i16::MAX);
        let at = At { saga_id: arrival.saga_id.uuid(), step, now: arrival.now };
        let effect = self.inbox.get(&(arrival.saga_id, arrival.step)).map(|row| row.effect.clone());
        let effect = effect.unwrap_or_default();
        let reason = why(arrival.direction);
        let fault = |fault: Fault| Refused::Fault(fault.chain());
        match arrival.command {
            Command::Order(command) => {
                let Order::Command(command) = to_order(command) else { return Ok(Done::default()) };
                let (books, world) = (OrderBooks, &mut self.order);
                match due {
                    Due::Answer(_) => Ok(Done::default()),
                    Due::Decide => Ok(books.execute(world, &at, &command)?),
                    Due::Forestall => {
                        books.tombstone(world, &at, &command, reason).map(|()| Done::default()).map_err(fault)
                    }
                    Due::Undo => {
                        let undo = Undo { effect: &effect, reason };
                        books.compensate(world, &at, &command, undo).map(|()| Done::default()).map_err(fault)
                    }
                }
            }
            Command::Asset(command) => {
                let (books, world) = (AssetBooks::new(|_| Vec::new()), &mut self.asset);
                let command = to_asset(command);
                match due {
                    Due::Answer(_) => Ok(Done::default()),
                    Due::Decide => Ok(books.execute(world, &at, &command)?),
                    Due::Forestall => {
                        books.tombstone(world, &at, &command, reason).map(|()| Done::default()).map_err(fault)
                    }
                    Due::Undo => {
                        let undo = Undo { effect: &effect, reason };
                        books.compensate(world, &at, &command, undo).map(|()| Done::default()).map_err(fault)
                    }
                }
            }
        }
    }

    fn check_drain(&self, rules: Rules, order_id: brokerage_types::OrderId, saga_id: SagaId) -> Reply {
        let Ok(order) = self.order.order(order_id) else { return Reply::NotNow };
        let is_idle = order.inflight_qty.is_zero();
        let drained = match order.status {
            _ if rules.is(Mutant::NoDrain) => Drain::Drained,
            Status::Pending | Status::PartiallyMatched if rules.is(Mutant::NoSemanticLock) && is_idle => {
                Drain::Drained
            }
            Status::Init if rules.is(Mutant::CancelMarkIgnored) => Drain::Drained,
            status => drain(status, order.cancel, is_idle, saga_id),
        };
        match drained {
            Drain::Drained => Reply::Done,
            Drain::NotNow => Reply::NotNow,
            Drain::TooLate => Reply::Rejected(Reason::TooLateToCancel),
        }
    }

    /// Takes back the semantic lock that `begin_cancel` has just set.
    fn unlock(&mut self, arrival: &Arrival<'_>) {
        let Command::Order(command) = arrival.command else { return };
        let Order::Command(OrderCommand::BeginCancel(begin)) = to_order(command) else { return };
        if let Some(held) = self.order.orders.get_mut(&begin.order_id)
            && held.order.status == Status::CancelRequested
        {
            held.order.status = held.order.live_status();
        }
    }

    /// Takes away the mark that `open` is about to look for.
    fn ignore_mark(&mut self, arrival: &Arrival<'_>) {
        let Command::Order(command) = arrival.command else { return };
        let Order::Command(OrderCommand::Open(open)) = to_order(command) else { return };
        if let Some(held) = self.order.orders.get_mut(&open.order_id) {
            held.order.cancel = None;
        }
    }

    fn highest_epoch(&self, saga_id: SagaId, participant: Participant) -> u64 {
        let rows = self.inbox.range((saga_id, 0)..=(saga_id, StepNo::MAX));
        let epochs = rows.filter(|(_, row)| row.command.participant() == participant);
        epochs.map(|(_, row)| row.epoch).max().unwrap_or_default()
    }

    /// Books what was written without arriving: a scenario's beginning.
    pub fn close_day(&mut self) {
        let taken = self.ledger.take(&mut self.asset);
        debug_assert!(taken.is_ok(), "{taken:?}");
    }

    /// Equal when orders, matches, holds and balances are, whatever the inbox says.
    #[must_use]
    pub fn effects_key(&self) -> String {
        let orders: Vec<_> = self.order.orders.values().map(|held| &held.order).collect();
        let listings: Vec<_> = self.order.listings.values().map(|l| (l.accept_seq, l.trade_seq)).collect();
        let matches: Vec<_> = self.order.matches.values().map(|held| held.entry.state).collect();
        let holds: Vec<_> = self.asset.holds.values().map(|kept| &kept.row).collect();
        format!("{orders:?}{listings:?}{matches:?}{holds:?}{:?}", self.asset.balances)
    }

    /// The verdict on a step.
    #[must_use]
    pub fn verdict(&self, saga_id: SagaId, step: StepNo) -> Option<Verdict> {
        self.inbox.get(&(saga_id, step)).map(|row| row.verdict)
    }

    /// Trades whose money has moved, but that are not booked on their orders yet.
    pub(super) fn settled(&self) -> impl Iterator<Item = TradeId> {
        use saga_orchestrator::sagas::command::asset;
        self.inbox.values().filter(|row| row.verdict == Verdict::Done).filter_map(|row| match &row.command {
            Command::Asset(asset::Command::SettleTrade(settle)) => Some(settle.trade_id),
            Command::Asset(asset::Command::PlaceHold(_) | asset::Command::ReleaseHold(_))
            | Command::Order(_) => None,
        })
    }
}

impl Floor for Books {
    fn key(&self) -> String {
        let inbox: Vec<_> =
            self.inbox.iter().map(|(key, row)| (key, row.verdict, row.reason, row.epoch)).collect();
        format!("{}{inbox:?}", self.effects_key())
    }

    fn deliver(&self, casts: &[Cast], rules: Rules, message: &Message) -> Result<Vec<(Self, Reply)>, String> {
        let cast = &casts[message.saga];
        let mut next = self.clone();
        // Nothing in a decision depends on the hour.
        let now = DateTime::UNIX_EPOCH;
        let reply = next.arrive(
            rules,
            &Arrival {
                saga_id: cast.saga_id,
                step: message.step,
                direction: message.direction,
                command: &cast.script.commands[message.step],
                epoch: message.epoch,
                not_after: now,
                now,
            },
        )?;
        Ok(vec![(next, reply)])
    }

    fn effects(&self, casts: &[Cast], saga: usize, step: StepNo) -> i8 {
        i8::from(self.verdict(casts[saga].saga_id, step) == Some(Verdict::Done))
    }

    fn check(&self) -> Result<(), String> {
        self.check_ledger()?;
        self.check_orders()
    }

    fn check_at_rest(&self) -> Result<(), String> {
        self.check_still()
    }
}
