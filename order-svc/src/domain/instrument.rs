//! Instruments change as data, but their scales and assets never do (L-3).

use brokerage_types::Instrument;

use super::Rejection;

/// Whether `next` may take the place of `current`. That `next` is valid in itself was checked before.
pub fn may_become(current: &Instrument, next: &Instrument) -> Result<(), Rejection> {
    let fixed = [
        ("base_asset", current.base == next.base),
        ("quote_asset", current.quote == next.quote),
        ("price_scale", current.price_scale == next.price_scale),
        ("quantity_scale", current.quantity_scale == next.quantity_scale),
        ("quote_ledger_scale", current.quote_ledger_scale == next.quote_ledger_scale),
    ];
    match fixed.into_iter().find(|(_, same)| !same) {
        Some((field, _)) => Err(Rejection::ScaleImmutable(field)),
        None => Ok(()),
    }
}
