//! What a row is given: how much to do, its seed, and worlds to break.

use anyhow::{Context, Result};

use crate::rows::Row;
use crate::world::{Plan, World};

/// How much a row shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Small, stated counts: for CI.
    Short,
    /// The counts of the bars.
    Long,
}

/// The stage of one run of one row.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Which row.
    pub row: &'static Row,
    /// How much.
    pub form: Form,
    /// Where the row's randomness starts.
    pub seed: u64,
    /// What the services log.
    pub log: String,
}

impl Stage {
    /// The long form.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.form == Form::Long
    }

    /// A stated count of the row, in this form.
    ///
    /// # Errors
    /// The table of rows states no such count.
    pub fn count(&self, what: &str) -> Result<usize> {
        let found = self.row.counts.iter().find(|count| count.what == what);
        let count = found.with_context(|| format!("{} states no count of {what}", self.row.id))?;
        Ok(count.in_form(self.form))
    }

    /// The row's source of randomness: the same seed gives the same choices.
    #[must_use]
    pub fn rng(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed)
    }

    /// Tells whoever watches how far the row is.
    pub fn say(&self, what: impl std::fmt::Display) {
        eprintln!("    {} {what}", self.row.id);
    }

    /// A new mesh of real processes with databases of its own.
    ///
    /// # Errors
    /// It does not start.
    pub async fn world(&self, plan: Plan) -> Result<World> {
        World::start(plan, &self.log).await.with_context(|| format!("start the mesh of {}", self.row.id))
    }
}
