//! The public face: TradingService and SagaService. Read the request, check it, make an intent, wait for its fate.
//!
//! Not here: how a saga runs. A caller that stops waiting changes nothing; the same request id finds the outcome.

mod advice;
mod cancel;
mod create;
mod desk;
mod explain;
mod matching;
mod operate;
mod saga_service;
mod show;
mod trading;
mod waiting;

pub use desk::Desk;
pub use saga_service::SagaApi;
pub use trading::TradingApi;
