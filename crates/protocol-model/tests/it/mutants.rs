//! Weaker protocols, each of which must be caught; the shortest way there is printed.

use protocol_model::model::explore;
use protocol_model::mutant::Mutant;
use protocol_model::scenarios::{Hunt, hunt};

#[test]
fn every_mutant_is_caught() {
    let mut survivors = Vec::new();
    for mutant in Mutant::ALL {
        let caught = match hunt(mutant) {
            Hunt::Alone(scenario) => explore(&scenario).err(),
            Hunt::Meeting(scenario) => explore(&scenario).err(),
        };
        match caught {
            Some(counterexample) => println!("{mutant:?}\n{counterexample}\n"),
            None => survivors.push(mutant),
        }
    }
    assert!(survivors.is_empty(), "these were not noticed: {survivors:?}");
}
