//! Faults of the network: what stands between two processes of the mesh and loses, delays, repeats or cuts.
//!
//! A [`Wire`] carries bytes: it can hold either direction, cut connections, and cut at a word. A [`Gate`] carries
//! calls, and plays one [`Trick`] on the next call that carries a certain step. Both change nothing by themselves.
//! A [`Crossing`] is both, one behind the other, for every process at the far end of a link.

mod carried;
mod crossing;
mod gate;
mod wire;

pub use carried::Carried;
pub use crossing::Crossing;
pub use gate::{Gate, Plot, Trick};
pub use wire::{Flow, Wire};
