//! An asset: a currency or a security, and how finely it is counted.

use brokerage_types::AssetCode;
use serde::Serialize;

/// A currency or security. Its scales never change once set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asset {
    /// Its code.
    pub asset: AssetCode,
    /// Decimals kept in the ledger, at most 8.
    pub ledger_scale: u32,
    /// Decimals of deposits, withdrawals and fees, at most the ledger's.
    pub transfer_scale: u32,
}
