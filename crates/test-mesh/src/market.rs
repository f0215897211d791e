//! What every test finds: three assets besides money, an instrument for each, and three customers without balances.

use brokerage_proto::asset::v1 as asset;
use brokerage_proto::order::v1 as order;

use crate::person::{Person, fresh};

/// Customer A.
pub const ALICE: &str = "customer-a";
/// Customer B.
pub const BOB: &str = "customer-b";
/// Somebody without a token.
pub const CAROL: &str = "carol";

/// Assets: name, decimals in the ledger, decimals of transfers.
const ASSETS: &[(&str, u32, u32)] = &[("TRY", 6, 2), ("THYAO", 0, 0), ("GARAN", 4, 4), ("ASELS", 0, 0)];

pub(crate) async fn open(admin: &Person) {
    for (name, ledger_scale, transfer_scale) in ASSETS {
        let (ledger_scale, transfer_scale) = (*ledger_scale, *transfer_scale);
        let asset = Some(asset::Asset { asset: (*name).to_owned(), ledger_scale, transfer_scale });
        let request = asset::UpsertAssetRequest { request_id: fresh(), asset };
        admin.assets.clone().upsert_asset(request).await.unwrap();
    }
    for instrument in [thyao(), garan(), asels()] {
        admin.lists(instrument).await;
    }
    for customer in [ALICE, BOB, CAROL] {
        admin.registers(customer, asset::CustomerState::Active).await;
    }
}

/// Whole shares, one at a time, on ticks that grow with the price.
fn thyao() -> order::Instrument {
    order::Instrument {
        symbol: "THYAO".to_owned(),
        base_asset: "THYAO".to_owned(),
        quote_asset: "TRY".to_owned(),
        price_scale: 2,
        quantity_scale: 0,
        quote_ledger_scale: 6,
        tick_bands: [("0", "0.01"), ("20", "0.02"), ("50", "0.05")]
            .map(|(from, tick)| order::TickBand { from_price: from.to_owned(), tick: tick.to_owned() })
            .to_vec(),
        lot: "1".to_owned(),
        state: order::InstrumentState::Open.into(),
        ..Default::default()
    }
}

/// Fractions of shares, to four decimals.
fn garan() -> order::Instrument {
    order::Instrument {
        symbol: "GARAN".to_owned(),
        base_asset: "GARAN".to_owned(),
        quantity_scale: 4,
        lot: "0.0001".to_owned(),
        ..thyao()
    }
}

/// Lots of ten, bounded from both sides.
fn asels() -> order::Instrument {
    order::Instrument {
        symbol: "ASELS".to_owned(),
        base_asset: "ASELS".to_owned(),
        lot: "10".to_owned(),
        min_quantity: "20".to_owned(),
        max_quantity: "1000".to_owned(),
        min_notional: "100".to_owned(),
        ..thyao()
    }
}
