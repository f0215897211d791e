//! Wire types of every service. Generated from `proto/brokerage/**`; there is no logic here.
//!
//! Deliberately not here: conversions to domain values (each service's `grpc/` does that) and error mapping
//! (`service-kit`'s fault table does that).
#![expect(missing_docs, reason = "generated code carries the comments of the proto files, not on every item")]
#![allow(clippy::all, clippy::unwrap_used, clippy::too_many_lines, reason = "generated code")]

/// The descriptors of all our files and of what they import, for reflection and descriptor walks.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fds.bin"));

/// Shared messages: paging, step context, verdicts.
pub mod common {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("brokerage.common.v1");
    }
}
/// What clients command.
pub mod trading {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("brokerage.trading.v1");
    }
}
/// Orders, trades, instruments.
pub mod order {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("brokerage.order.v1");
    }
}
/// Accounts, journal, holds, customers.
pub mod asset {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("brokerage.asset.v1");
    }
}
/// Sagas, for operators and for those who wait.
pub mod saga {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("brokerage.saga.v1");
    }
}
