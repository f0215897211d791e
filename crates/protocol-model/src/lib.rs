//! The protocol, explored (V1) and simulated (V2), over the very functions that the services run.
//!
//! [`model`] visits *every* state of a small scenario: 1–3 drivers of each saga that crash, forget, give up and wake
//! up as zombies, over a network that loses, delays, repeats and reorders. [`simulator`] runs the real engine loop
//! over large scenarios in virtual time, chosen by a seed. Both stand on a [`floor`]: the participants without I/O,
//! made of the inbox rule of the executor (`service_kit::executor::rule`) and the services' own books. [`mutant`]
//! holds weaker protocols, to show that the model would notice.
//!
//! # How to read a counterexample
//! It is the shortest way into a state that must not be, one action a line:
//! - `driver 0 of create_order sends do draft, hears DONE`: the step arrived, and its reply too.
//! - `driver 0 … sends …, hears nothing`: nobody knows whether it arrived. From now on it may, once or often.
//! - `a copy of do open (epoch 1) arrives: DONE`: a message sent earlier arrives (again); its reply is lost.
//! - `driver 0 … forgets everything, goes on with epoch 2`: crash, restart, adoption, or the loss of every lazy row.
//! - `driver 0 … gives up`: out of patience, poison, or an operator's wish.
//! - `driver 0 … answers COMPLETED`: a client was told so; from here on it must stay true.
//!
//! The last line says which promise is broken. A dead end shows the way into it; from there, on a network that works,
//! nobody can finish.
//!
//! A red seed of the simulator prints the last events, the broken promise, and the command that plays it again; add
//! the seed to [`simulator::REGRESSIONS`]. Not here: SQL, locks, batches, the wire.

pub mod cast;
pub mod floor;
pub mod model;
pub mod mutant;
pub mod scenarios;
pub mod simulator;
