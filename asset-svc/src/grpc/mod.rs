//! The wire: read a request, check it, hand a command to the executor or a query to the store, answer.
//!
//! Who may call what is the kit's table; whose rows a caller may see is passed into every query.

pub mod answer;
mod assets;
mod balances;
mod customers;
mod events;
mod parse;
mod participant;

pub use assets::Assets;
pub use customers::Customers;
pub use events::Events;
pub use participant::Participant;

use brokerage_types::{CustomerId, Reason};
use service_kit::fault::Refusal;

/// No such customer, or not the caller's to see: nobody can tell which.
fn no_customer(customer: &CustomerId) -> Refusal {
    Refusal::new(Reason::CustomerNotFound, format!("no customer {customer}"))
        .with("customer_id", customer.as_str())
}
