//! Orders from beginning to end, with every balance on the way.

mod commissions;
mod early_cancels;
mod reads;
mod rehearsals;
mod sagas;
mod standstill;
