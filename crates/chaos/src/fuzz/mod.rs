//! Messages that nobody meant, for every RPC there is: drawn from the descriptors, and bytes that are no message.
//!
//! [`rpc`] lists the RPCs, [`message`] draws values, [`frame`] makes bodies of them or breaks them, [`wire`] sends them
//! below any client library's checks and reads what comes back.

pub mod frame;
pub mod message;
pub mod rpc;
pub mod wire;
