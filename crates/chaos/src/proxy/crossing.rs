//! One link of the mesh, to every process at its far end: a wire in front of a gate.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

use super::carried::Carried;
use super::gate::{Gate, Plot};
use super::wire::{Flow, Wire};

/// A link. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Crossing {
    /// A trick for the next call that carries something.
    pub plot: Plot,
    lanes: Arc<Mutex<Vec<Lane>>>,
}

/// What callers come through, and what calls come through behind it.
type Lane = (Wire, Option<Gate>);

impl Crossing {
    /// A link whose tricks are those of `plot`, which other links may share.
    #[must_use]
    pub fn of(plot: &Plot) -> Self {
        Self { plot: plot.clone(), lanes: Arc::default() }
    }

    /// One more process at the far end, for calls. Where to connect to instead.
    ///
    /// # Errors
    /// No port can be had.
    pub fn calls_to(&self, target: SocketAddr) -> Result<SocketAddr> {
        let front = Arc::new(Mutex::new(None));
        let gate = Gate::to(target, self.plot.clone(), Carried::new()?, Arc::clone(&front))?;
        let wire = Wire::to(gate.address())?;
        *front.lock().unwrap_or_else(PoisonError::into_inner) = Some(wire.clone());
        let address = wire.address();
        self.lanes().push((wire, Some(gate)));
        Ok(address)
    }

    /// One more process at the far end, for bytes.
    ///
    /// # Errors
    /// No port can be had.
    pub fn bytes_to(&self, target: SocketAddr) -> Result<SocketAddr> {
        let wire = Wire::to(target)?;
        let address = wire.address();
        self.lanes().push((wire, None));
        Ok(address)
    }

    /// Holds directions of every wire, or opens them again.
    pub fn set(&self, flow: Flow) {
        self.lanes().iter().for_each(|(wire, _)| wire.set(flow));
    }

    /// Cuts every connection, now.
    pub fn cut(&self) {
        self.lanes().iter().for_each(|(wire, _)| wire.cut());
    }

    /// The connections of the first process lead nowhere any more, and nobody is told. New ones work.
    pub fn freeze_one(&self) {
        if let Some((wire, _)) = self.lanes().first() {
            wire.freeze();
        }
    }

    /// Every wire cuts the next connection that sends `word` as soon as it is answered.
    pub fn cut_at(&self, word: &str) {
        self.lanes().iter().for_each(|(wire, _)| wire.cut_at(word));
    }

    /// How often anything was held or cut.
    #[must_use]
    pub fn touched(&self) -> u64 {
        self.lanes().iter().map(|(wire, _)| wire.touched()).sum()
    }

    fn lanes(&self) -> std::sync::MutexGuard<'_, Vec<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
