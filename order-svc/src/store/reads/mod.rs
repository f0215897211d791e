//! Reads: their own queries over the same tables, possibly on a replica. Nothing here locks or writes.
//!
//! Whose rows a caller may see is decided in SQL, by the scope that every query of orders takes.

mod history;
mod instruments;
mod list;
mod order;
mod terms;
mod trades;

use brokerage_types::{ClientOrderId, CustomerId, OrderId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use history::{events_of, orders_after, orders_told_of};
pub use instruments::{Listed, instrument, instruments};
pub use list::{OrderFilter, OrderSort, orders};
pub use order::{Detail, Fill, HistoryEntry, OrderView, order};
pub use terms::{DrainRow, TermsView, drain_row, terms};
pub use trades::{TradeFilter, TradeView, is_visible, trades};

/// Customers whose rows may be seen; none: everybody's.
pub type Visible = Option<Vec<String>>;

/// Which order.
#[derive(Clone, Debug)]
pub enum OrderKey {
    /// By id.
    Id(OrderId),
    /// By its customer's label.
    Label(CustomerId, ClientOrderId),
}

impl OrderKey {
    fn parts(&self) -> (Option<Uuid>, Option<&str>, Option<&str>) {
        match self {
            OrderKey::Id(id) => (Some(id.uuid()), None, None),
            OrderKey::Label(customer, label) => (None, Some(customer.as_str()), Some(label.as_str())),
        }
    }
}

/// Where a page of a list that is sorted by time ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The time of the last row.
    pub at: DateTime<Utc>,
    /// Its id, which breaks ties.
    pub id: Uuid,
}
