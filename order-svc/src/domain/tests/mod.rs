//! The state machine, checked: every (situation × command), the races by name, and A11 by random histories.

pub mod fixture;
mod histories;
mod pairs;
mod races;
mod table;
