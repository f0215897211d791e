//! The protocol's model and simulator, as every test run runs them.

mod explored;
mod mutants;
mod simulated;
