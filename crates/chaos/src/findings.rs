//! What a row has found out.

use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;

/// No more contradictions than this are told in words; all are counted.
const TOLD_MAX: usize = 20;

/// What a row reports. Starts as "nothing happened", which is red: a row without a fault proves nothing.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// Faults that were injected and seen to happen.
    pub faults: u64,
    /// Commands that were answered with *done*.
    pub acknowledged: u64,
    /// Commands that were answered with a refusal.
    pub refused: u64,
    /// Calls whose outcome the caller did not learn, and asked again for.
    pub unknown: u64,
    /// How many answers or books contradict each other.
    pub contradictions: u64,
    /// The first of them in words.
    pub contradicted: Vec<String>,
    /// Bars that were not met.
    pub missed: Vec<String>,
    /// The longest time from the end of a fault until all was well, in milliseconds.
    pub heal_ms_max: u64,
    /// What else is worth saying.
    pub notes: Vec<String>,
}

impl Findings {
    /// One more fault happened.
    pub fn fault(&mut self) {
        self.faults += 1;
    }

    /// All was well so long after a fault.
    pub fn healed(&mut self, after: Duration) {
        self.heal_ms_max = self.heal_ms_max.max(u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
    }

    /// Two things cannot both be true.
    pub fn contradicts(&mut self, what: impl Into<String>) {
        self.contradictions += 1;
        if self.contradicted.len() < TOLD_MAX {
            self.contradicted.push(what.into());
        }
    }

    /// A bar, whether it holds, and what was seen. What was seen is noted either way.
    pub fn bar(&mut self, bar: &str, holds: bool, seen: impl Display) {
        if holds {
            self.note(format!("{bar}: {seen}"));
        } else {
            self.missed.push(format!("{bar}: {seen}"));
        }
    }

    /// Worth saying.
    pub fn note(&mut self, what: impl Into<String>) {
        self.notes.push(what.into());
    }

    /// Adds what another part of the row has found.
    pub fn absorb(&mut self, other: Findings) {
        self.faults += other.faults;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.contradictions += other.contradictions;
        let room = TOLD_MAX.saturating_sub(self.contradicted.len());
        self.contradicted.extend(other.contradicted.into_iter().take(room));
        self.missed.extend(other.missed);
        self.heal_ms_max = self.heal_ms_max.max(other.heal_ms_max);
        self.notes.extend(other.notes);
    }

    /// Why the row is red; empty if it is green.
    #[must_use]
    pub fn objections(&self) -> Vec<String> {
        let mut objections = Vec::new();
        if self.faults == 0 {
            objections.push("no fault happened, so nothing was proven".to_owned());
        }
        if self.contradictions > 0 {
            objections.push(format!("{} contradictions", self.contradictions));
        }
        objections.extend(self.contradicted.iter().cloned());
        objections.extend(self.missed.iter().map(|bar| format!("missed: {bar}")));
        objections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_green_only_with_a_fault_and_without_a_contradiction_or_a_missed_bar() {
        let mut findings = Findings::default();
        assert_eq!(findings.objections().len(), 1);
        findings.fault();
        findings.bar("within 3 s", true, "1 s");
        assert_eq!(findings.objections(), Vec::<String>::new());
        findings.bar("within 3 s", false, "4 s");
        findings.contradicts("1 = 2");
        assert_eq!(findings.objections(), ["1 contradictions", "1 = 2", "missed: within 3 s: 4 s"]);
    }

    #[test]
    fn a_flood_of_contradictions_is_counted_and_not_told() {
        let mut findings = Findings::default();
        for _ in 0..TOLD_MAX + 5 {
            findings.contradicts("again");
        }
        let mut all = Findings::default();
        all.absorb(findings);
        assert_eq!((all.contradictions as usize, all.contradicted.len()), (TOLD_MAX + 5, TOLD_MAX));
    }
}
