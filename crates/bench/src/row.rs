//! What is measured in a closed loop: who, and with how many clients.

use std::fmt;

use crate::client::Workload;
use crate::floor::Floor;

/// Who was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The mesh under a load.
    Mesh(Workload),
    /// A control.
    Floor(Floor),
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Who.
    pub side: Side,
    /// How many clients at a time.
    pub clients: usize,
    /// Everything on one account.
    pub hot: bool,
}

impl Row {
    /// The mesh under a load; a hot account if the load is one.
    pub fn mesh(workload: Workload, clients: usize) -> Self {
        Self { side: Side::Mesh(workload), clients, hot: workload == Workload::Hot }
    }

    /// A control over all customers.
    pub fn floor(floor: Floor, clients: usize) -> Self {
        Self { side: Side::Floor(floor), clients, hot: false }
    }

    /// A control on one hot account.
    pub fn hot_floor(floor: Floor, clients: usize) -> Self {
        Self { hot: true, ..Self::floor(floor, clients) }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.side {
            Side::Mesh(Workload::Create) => f.write_str("mesh, create")?,
            Side::Mesh(Workload::Hot) => f.write_str("mesh, create")?,
            Side::Mesh(Workload::Mixed) => f.write_str("mesh, mixed")?,
            Side::Mesh(Workload::Unaffordable) => f.write_str("mesh, create, hold refused")?,
            Side::Mesh(Workload::TakenLabel) => f.write_str("mesh, create, draft refused")?,
            Side::Mesh(Workload::Redelivered(of_hundred)) => {
                write!(f, "mesh, create, {of_hundred} % redelivered")?;
            }
            Side::Floor(floor) => f.write_str(floor.name())?,
        }
        let hot = if self.hot { ", one hot account" } else { "" };
        write!(f, "{hot}, {} client{}", self.clients, if self.clients == 1 { "" } else { "s" })
    }
}
