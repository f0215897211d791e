//! What must hold of money, shares and orders: P1, P2, P3 and P8, from the rows alone.

use std::collections::BTreeMap;

use asset_svc::domain::hold::{Hold, State};
use asset_svc::domain::ledger::{Account, Part};
use asset_svc::domain::world::World as AssetWorld;
use brokerage_types::{AssetCode, HoldId, OrderId, Quantity, SagaId};
use order_svc::domain::matching::MatchState;
use order_svc::domain::{Order, Status};
use saga_orchestrator::sagas::command::Command;
use service_kit::executor::rule::Verdict;

use super::Books;

/// Sums of all postings, in units, by account.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    sums: BTreeMap<(Account, AssetCode), i128>,
}

impl Ledger {
    /// Books what one transaction has written, so that the world need not keep its journal.
    pub fn take(&mut self, world: &mut AssetWorld) -> Result<(), String> {
        for recorded in world.journal.drain(..) {
            let mut group: BTreeMap<&AssetCode, i128> = BTreeMap::new();
            for entry in &recorded.entries {
                let (posting, units) = (&entry.posting, entry.posting.amount.units());
                *group.entry(&posting.asset).or_default() += units;
                *self.sums.entry((posting.account.clone(), posting.asset.clone())).or_default() += units;
            }
            if group.values().any(|sum| *sum != 0) {
                return Err(format!("P1: a posting group does not sum to zero: {recorded:?}"));
            }
        }
        world.events.clear();
        world.new_assets.clear();
        Ok(())
    }
}

impl Books {
    /// P1 and P2.
    pub(super) fn check_ledger(&self) -> Result<(), String> {
        let mut totals: BTreeMap<&AssetCode, i128> = BTreeMap::new();
        for ((_, asset), sum) in &self.ledger.sums {
            *totals.entry(asset).or_default() += sum;
        }
        if totals.values().any(|total| *total != 0) {
            return Err(format!("P1: an asset does not sum to zero: {totals:?}"));
        }
        let mut held: BTreeMap<(&str, &AssetCode), i128> = BTreeMap::new();
        for hold in self.asset.holds.values().map(|kept| &kept.row) {
            let remaining = hold.remaining().map_err(|error| error.to_string())?.units();
            if remaining < 0 || (hold.state == State::Closed) != (remaining == 0) {
                return Err(format!("P2: a hold is not what remains of it: {hold:?}"));
            }
            *held.entry((hold.terms.customer.as_str(), hold.terms.held_asset())).or_default() += remaining;
        }
        for ((owner, asset), kept) in &self.asset.balances {
            let sum = |part| {
                let key = (Account::Customer(owner.clone(), part), asset.clone());
                self.ledger.sums.get(&key).copied().unwrap_or_default()
            };
            let row = &kept.row;
            let is_sum = row.available.units() == sum(Part::Available) && row.held.units() == sum(Part::Held);
            if !is_sum || row.available.is_negative() || row.held.is_negative() {
                return Err(format!("P2: {owner}'s {asset} is not the sum of its postings: {row:?}"));
            }
            if row.held.units() != held.get(&(owner.as_str(), asset)).copied().unwrap_or_default() {
                return Err(format!("P3: what {owner} has held of {asset} is not what his holds hold"));
            }
        }
        Ok(())
    }

    /// P8, and how holds and orders go together at any time.
    pub(super) fn check_orders(&self) -> Result<(), String> {
        let settled = self.settled_quantities()?;
        self.order.orders.values().try_for_each(|held| self.check_order(&held.order, &settled))
    }

    /// As [`Floor::check`](super::Floor::check), but only the rows that a command may touch.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn check_touched(&self, command: &Command) -> Result<(), String> {
        let settled = self.settled_quantities()?;
        let touched = self.order.orders.values().filter(|held| concerns(command, held.order.terms.order_id));
        touched.into_iter().try_for_each(|held| self.check_order(&held.order, &settled))
    }

    fn check_order(&self, order: &Order, settled: &BTreeMap<OrderId, Quantity>) -> Result<(), String> {
        order.check().map_err(|broken| format!("P8: {broken}"))?;
        let id = order.terms.order_id;
        let hold = self.hold_of(order);
        let of_hold = hold.map_or(Quantity::ZERO, |hold| hold.cum_quantity);
        let about_to = settled.get(&id).copied().unwrap_or(Quantity::ZERO);
        let of_order = order.cum_qty.checked_add(about_to).map_err(|error| error.to_string())?;
        if of_hold != of_order {
            return Err(format!("P8: of {id} {of_order} is filled or settled, of its hold {of_hold}"));
        }
        let is_active = hold.is_some_and(|hold| hold.state == State::Active);
        match order.status {
            Status::Pending | Status::PartiallyMatched | Status::Suspended
                if !is_active && of_order != order.terms.qty =>
            {
                Err(format!("P3: {id} is live without a hold"))
            }
            // A create saga that rolls back may reject its order first, and release the hold then.
            Status::Canceled | Status::Matched if is_active && !self.rolls_back(id) => {
                Err(format!("P3: {id} has ended, and its hold has not"))
            }
            Status::Canceled if is_active && self.is_confirmed(id) => {
                Err(format!("P6: {id} is canceled, its client was told, and its money is held"))
            }
            Status::Init
            | Status::Pending
            | Status::PartiallyMatched
            | Status::CancelRequested
            | Status::Suspended
            | Status::Matched
            | Status::Canceled
            | Status::Rejected => Ok(()),
        }
    }

    /// P3, when every saga has ended.
    pub(super) fn check_still(&self) -> Result<(), String> {
        for order in self.order.orders.values().map(|held| &held.order) {
            let id = order.terms.order_id;
            if !order.inflight_qty.is_zero() {
                return Err(format!("P3: {id} has quantity in flight, and no saga moves it"));
            }
            let hold = self.hold_of(order).filter(|hold| hold.state == State::Active);
            match (order.status, hold) {
                (Status::Init | Status::CancelRequested, _) => {
                    return Err(format!("P7: {id} is {} for ever", order.status));
                }
                (Status::Pending | Status::PartiallyMatched | Status::Suspended, Some(hold)) => {
                    if hold.leaves().map_err(|error| error.to_string())? != order.leaves() {
                        return Err(format!("P3: {id} and its hold disagree on what is left"));
                    }
                }
                (Status::Pending | Status::PartiallyMatched | Status::Suspended, None) => {
                    return Err(format!("P3: {id} is live without a hold"));
                }
                (Status::Matched | Status::Canceled | Status::Rejected, None) => {}
                (Status::Matched | Status::Canceled | Status::Rejected, Some(_)) => {
                    return Err(format!("P3: {id} has ended, and its hold has not"));
                }
            }
        }
        let known = |hold: &HoldId| self.order.orders.keys().any(|id| HoldId::of_order(*id) == *hold);
        let orphan =
            self.asset.holds.values().find(|kept| kept.row.state == State::Active && !known(&kept.row.id));
        orphan.map_or(Ok(()), |kept| Err(format!("P3: hold {} has no order", kept.row.id)))
    }

    fn hold_of(&self, order: &Order) -> Option<&Hold> {
        self.asset.hold(HoldId::of_order(order.terms.order_id))
    }

    /// Whether the order's create saga has taken back, or forestalled, its draft.
    fn rolls_back(&self, id: OrderId) -> bool {
        let draft = self.verdict(SagaId::from(id.uuid()), 0);
        matches!(draft, Some(Verdict::Compensated | Verdict::Tombstone))
    }

    /// Whether a cancel of the order has run to its end.
    fn is_confirmed(&self, id: OrderId) -> bool {
        use saga_orchestrator::sagas::command::order;
        self.inbox.values().any(|row| match &row.command {
            Command::Order(order::Command::ConfirmCancel(confirm)) => {
                confirm.order_id == id && row.verdict == Verdict::Done
            }
            Command::Order(_) | Command::Asset(_) => false,
        })
    }

    /// By order: settled, and about to be filled.
    fn settled_quantities(&self) -> Result<BTreeMap<OrderId, Quantity>, String> {
        let mut sums: BTreeMap<OrderId, Quantity> = BTreeMap::new();
        for trade in self.settled() {
            let held = self.order.matches.get(&trade).map(|held| &held.entry);
            let state = held.map(|entry| entry.state);
            let Some(entry) = held.filter(|entry| entry.state != MatchState::Released) else {
                return Err(format!("P5: {trade} is settled, and its reservation is {state:?}"));
            };
            if entry.state == MatchState::Reserved {
                for id in [entry.deal.buy_order_id, entry.deal.sell_order_id] {
                    let sum = sums.entry(id).or_insert(Quantity::ZERO);
                    *sum = sum.checked_add(entry.deal.quantity).map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(sums)
    }
}

/// Whether the command may touch the order or its hold.
fn concerns(command: &Command, id: OrderId) -> bool {
    use saga_orchestrator::sagas::command::{asset, order};
    let of_hold = HoldId::of_order(id);
    match command {
        Command::Order(command) => match command {
            order::Command::Draft(asked) => asked.order_id == id,
            order::Command::Open(asked) => asked.order_id == id,
            order::Command::BeginCancel(asked) => asked.order_id == id,
            order::Command::AwaitDrain(asked) => asked.order_id == id,
            order::Command::ConfirmCancel(asked) => asked.order_id == id,
            order::Command::ReserveMatch(asked) => asked.buy_order_id == id || asked.sell_order_id == id,
            order::Command::ApplyFill(asked) => asked.buy_order_id == id || asked.sell_order_id == id,
        },
        Command::Asset(command) => match command {
            asset::Command::PlaceHold(asked) => asked.hold_id == of_hold,
            asset::Command::ReleaseHold(asked) => asked.hold_id == of_hold,
            asset::Command::SettleTrade(asked) => {
                asked.buy_hold_id == of_hold || asked.sell_hold_id == of_hold
            }
        },
    }
}
