//! The scripts of the controls: what pgbench runs. Their SQL is in `control/`.

use std::fmt::Write as _;

use serde::Serialize;

use crate::client::{MIXED_TURN, Move};

/// Which control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Floor {
    /// Five short transactions a saga, with the effects that the mesh has.
    Naive,
    /// One transaction a saga, with the same effects.
    Monolith,
    /// Five short transactions a saga that leave out what can be left out. No bar is measured against it.
    Bare,
    /// The mixed run as the naive floor would do it: the same sagas in the same order as a client of the mesh.
    Mixed,
}

/// A number for a new saga, different for each run, client and turn.
const NUMBER: &str = "\\set n :n + 1\n\\set id :run * 1000000000000 + :client_id * 1000000000 + :n\n";
const CREATE: &str = include_str!("../control/naive_create.sql");
const MATCH: &str = include_str!("../control/naive_match.sql");
const CANCEL: &str = include_str!("../control/naive_cancel.sql");

impl Floor {
    /// What tables call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive floor",
            Self::Monolith => "monolith floor",
            Self::Bare => "bare floor",
            Self::Mixed => "naive floor, mixed",
        }
    }

    /// What pgbench runs, again and again.
    pub fn script(self) -> String {
        match self {
            Self::Naive => format!("\\set customer random(:first, :last)\n{NUMBER}{}", create(true)),
            Self::Monolith => include_str!("../control/monolith.sql").to_owned(),
            Self::Bare => include_str!("../control/bare.sql").to_owned(),
            Self::Mixed => mixed(),
        }
    }
}

fn create(is_buy: bool) -> String {
    let words = if is_buy { ["BUY", "1", "BTRY", "100"] } else { ["SELL", "2", "BENCH", "1"] };
    let names = ["{SIDE}", "{SIDE_CODE}", "{ASSET}", "{HELD}"];
    names.iter().zip(words).fold(CREATE.to_owned(), |script, (name, word)| script.replace(name, word))
}

/// One saga a run, in the order of a client of the mesh: pgbench's variables stay with the client.
fn mixed() -> String {
    let branch = |made: Move| {
        let places = MIXED_TURN.iter().enumerate().filter(|(_, planned)| **planned == made);
        let places: Vec<String> = places.map(|(place, _)| format!(":place = {place}")).collect();
        places.join(" OR ")
    };
    let buy = format!(
        "\\set buyer random(:first, :last)\n\\set customer :buyer\n{NUMBER}{}\\set buy :id\n",
        create(true)
    );
    let sell = format!(
        "\\set seller (:buyer + random(1, :last)) % (:last + 1)\n\\set customer :seller\n{NUMBER}{}\\set sell :id\n",
        create(false)
    );
    let matched = format!("{NUMBER}{MATCH}");
    let canceled = format!("\\set customer :buyer\n\\set order :buy\n{NUMBER}{CANCEL}");
    let mut script = format!("\\set place :n % {}\n", MIXED_TURN.len());
    let branches = [(Move::Buy, buy), (Move::Sell, sell), (Move::Match, matched), (Move::Cancel, canceled)];
    for (number, (made, sql)) in branches.into_iter().enumerate() {
        let word = if number == 0 { "if" } else { "elif" };
        // Writing to a string cannot fail.
        let _ = write!(script, "\\{word} {}\n{sql}", branch(made));
    }
    script + "\\endif\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_placeholder_is_left_in_a_script() {
        for floor in [Floor::Naive, Floor::Monolith, Floor::Bare, Floor::Mixed] {
            let script = floor.script();
            assert!(!script.contains('{') && !script.contains('}'), "{floor:?}");
        }
    }

    #[test]
    fn each_place_of_a_mixed_turn_has_one_branch() {
        let script = Floor::Mixed.script();
        for place in 0..MIXED_TURN.len() {
            let branches = script
                .lines()
                .filter(|line| line.split(" OR ").any(|part| part.ends_with(&format!(":place = {place}"))));
            assert_eq!(branches.count(), 1, "{place}");
        }
    }
}
