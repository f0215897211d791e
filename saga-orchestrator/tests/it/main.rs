//! Tests of the orchestrator from outside: stories of its sagas, and the whole service on a real Postgres.

mod model;
mod stories;
