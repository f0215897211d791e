//! What a fresh mesh holds: assets, instruments, two customers with balances. All of it through the public API.

use anyhow::Result;

use crate::api::Api;
use crate::market::{Listing, MONEY_SCALES, Market, SHARE_SCALES};

const MONEY: &[&str] = &["TRY", "USD"];
const SHARES: &[&str] = &["THYAO", "GARAN", "AAPL"];

/// Borsa İstanbul's ticks grow with the price.
const TRY_TICKS: &[(&str, &str)] = &[("0", "0.01"), ("20", "0.02"), ("50", "0.05"), ("100", "0.1")];
const USD_TICKS: &[(&str, &str)] = &[("0", "0.01")];

const LISTINGS: &[Listing<'static>] = &[
    Listing { symbol: "THYAO", base: "THYAO", quote: "TRY", price_scale: 2, ticks: TRY_TICKS },
    Listing { symbol: "GARAN", base: "GARAN", quote: "TRY", price_scale: 2, ticks: TRY_TICKS },
    Listing { symbol: "AAPL", base: "AAPL", quote: "USD", price_scale: 2, ticks: USD_TICKS },
];

const CUSTOMERS: &[(&str, &str)] = &[("customer-a", "Customer A"), ("customer-b", "Customer B")];

const DEPOSITS: &[(&str, &str, &str)] = &[
    ("customer-a", "TRY", "1000000"),
    ("customer-a", "USD", "100000"),
    ("customer-b", "TRY", "1000000"),
    ("customer-b", "THYAO", "10000"),
    ("customer-b", "GARAN", "10000"),
    ("customer-b", "AAPL", "1000"),
];

/// Seeds the mesh. Doing it again changes nothing.
///
/// # Errors
/// What the mesh refused; or it could not be asked.
pub async fn seed(api: Api) -> Result<()> {
    let mut market = Market::new(api, "seed");
    for code in MONEY {
        market.asset(code, MONEY_SCALES).await?;
    }
    for code in SHARES {
        market.asset(code, SHARE_SCALES).await?;
    }
    for listing in LISTINGS {
        market.instrument(listing).await?;
    }
    for (id, name) in CUSTOMERS {
        market.customer(id, name).await?;
    }
    for (customer, asset, amount) in DEPOSITS {
        market.deposit(customer, asset, amount).await?;
    }
    Ok(())
}
