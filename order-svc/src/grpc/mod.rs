//! The service's faces: `OrderService` and `EventService` for users, `OrderParticipant` for the orchestrator.
//!
//! Thin: read the request, check it, hand a command to the executor or a question to the reads, answer.

mod commands;
mod events;
mod participant;
mod public;
mod read;
mod wire;

pub use events::Events;
pub use participant::Participant;
pub use public::Public;

use brokerage_types::{OrderId, Reason};
use service_kit::fault::{ApiResult, Refusal};
use tonic::{Response, Status};

/// The answer, or the status that the fault table gives its error.
fn respond<T>(result: ApiResult<T>) -> Result<Response<T>, Status> {
    result.map(Response::new).map_err(Status::from)
}

fn order_not_found() -> Refusal {
    Refusal::new(Reason::OrderNotFound, "there is no such order")
}

fn order_id_not_found(id: OrderId) -> Refusal {
    order_not_found().with("order_id", id.to_string())
}

fn instrument_not_found(symbol: &str) -> Refusal {
    Refusal::new(Reason::InstrumentNotFound, format!("there is no instrument {symbol}"))
        .with("instrument", symbol)
}
