//! Twelve ways in which comparable systems fail, by name, each as the claim that this one does not.
//!
//! Where an outcome would depend on timing, the test drives one of the sagas by hand and so decides what comes between.

mod cancels;
mod matches;
mod money;
mod writers;
