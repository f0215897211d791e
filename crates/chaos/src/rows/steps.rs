//! The steps of every saga, as the definitions have them, so that no row names them by hand.

use saga_orchestrator::engine::definition::Saga;
use saga_orchestrator::sagas::{cancel_order, create_order, match_orders};

/// Every step of every saga.
pub fn step_names() -> impl Iterator<Item = &'static str> {
    fn of<I>(saga: &Saga<I>) -> Vec<&'static str> {
        let stages = saga.stages.iter().flat_map(|stage| stage.iter().map(|step| step.name));
        stages.chain([saga.pivot.name]).chain(saga.retriable.iter().map(|step| step.name)).collect()
    }
    [of(&create_order::SAGA), of(&cancel_order::SAGA), of(&match_orders::SAGA)].concat().into_iter()
}
