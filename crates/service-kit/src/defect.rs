//! Seeded defects: known mistakes that a debug build makes when it is asked to, so that a test can be seen to fail.
//!
//! The variable [`SEEDED`] names one of them, and it is read once. `cargo xtask mutants` runs, for each defect, the
//! test that has to notice it; its table says what each one breaks. Release builds have none of this: a call of
//! [`is_seeded`] is `false` there, and what it guards is not compiled. Not here: the defects, which are one condition
//! each at the place that they break.

/// Names the defect that is seeded in this process.
pub const SEEDED: &str = "MESH_DEFECT";

/// Whether this mistake is to be made. Never, unless a test of the tests asked for it.
#[inline]
#[must_use]
pub fn is_seeded(name: &str) -> bool {
    #[cfg(debug_assertions)]
    return seeded::name().is_some_and(|seeded| seeded == name);
    #[cfg(not(debug_assertions))]
    {
        let _ = name;
        false
    }
}

#[cfg(debug_assertions)]
mod seeded {
    use std::sync::OnceLock;

    use super::SEEDED;

    static NAME: OnceLock<Option<String>> = OnceLock::new();

    pub(super) fn name() -> Option<&'static str> {
        NAME.get_or_init(|| std::env::var(SEEDED).ok()).as_deref()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_seeded_unless_it_is_asked_for() {
        if std::env::var_os(super::SEEDED).is_none() {
            assert!(!super::is_seeded("tombstone_forgotten") && !super::is_seeded(""));
        }
    }
}
