//! Cancel order: stop new matches, wait for those in flight, release what is left of the hold, confirm.
//!
//! | step             | service | kind          | taken back by              |
//! |------------------|---------|---------------|----------------------------|
//! | `begin_cancel`   | order   | compensatable | restoring the state before |
//! | `await_drain`    | order   | check         | –                          |
//! | `release_hold`   | asset   | pivot         | –                          |
//! | `confirm_cancel` | order   | retriable     | –                          |
//!
//! `await_drain` answers *not now* while a match is in flight or the order is still being created, so the hold is
//! never released under a trade. It refuses with TOO_LATE_TO_CANCEL when the order got filled or rejected meanwhile.

use brokerage_types::{Actor, HoldId, OrderId};
use serde::{Deserialize, Serialize};

use super::command::{asset, order};
use crate::engine::definition::{INTERACTIVE, Kind, Pivot, Retriable, Saga, Step, UNTIL_ANSWERED};

/// Everything the saga will ever need to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The order to cancel.
    pub order_id: OrderId,
    /// Who asked.
    pub requested_by: Actor,
}

/// The definition.
pub const SAGA: Saga<Input> = Saga {
    kind: "cancel_order",
    version: 1,
    stages: &[
        &[Step {
            name: "begin_cancel",
            kind: Kind::Compensatable,
            patience: INTERACTIVE,
            call: |i| {
                order::BeginCancel { order_id: i.order_id, requested_by: i.requested_by.clone() }.into()
            },
        }],
        &[Step {
            name: "await_drain",
            kind: Kind::Check,
            patience: UNTIL_ANSWERED,
            call: |i| order::AwaitDrain { order_id: i.order_id }.into(),
        }],
    ],
    pivot: Pivot {
        name: "release_hold",
        patience: INTERACTIVE,
        call: |i| asset::ReleaseHold { hold_id: HoldId::of_order(i.order_id) }.into(),
    },
    retriable: &[Retriable {
        name: "confirm_cancel",
        call: |i| order::ConfirmCancel { order_id: i.order_id }.into(),
    }],
};
