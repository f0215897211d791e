//! Sets up assets, instruments, customers and balances through the public API.
//!
//! Request ids follow from the content, so doing the same again changes nothing: seeds can run at every start.

use anyhow::{Context, Result};
use brokerage_proto::asset::v1::{
    Asset, Customer, CustomerState, DepositRequest, Tier, UpsertAssetRequest, UpsertCustomerRequest,
};
use brokerage_proto::order::v1::{Instrument, InstrumentState, TickBand, UpsertInstrumentRequest};
use prost::Message;
use uuid::Uuid;

use crate::api::Api;

/// Decimals of every quote asset here: six in the ledger, so that price × quantity never rounds; two in transfers.
pub const MONEY_SCALES: (u32, u32) = (6, 2);
/// Decimals of a share: none.
pub const SHARE_SCALES: (u32, u32) = (0, 0);

/// An administrator's hands.
#[derive(Clone)]
pub struct Market {
    api: Api,
    purpose: String,
}

impl Market {
    /// `api` must hold an administrator's token. The same `purpose` and content mean the same command.
    #[must_use]
    pub fn new(api: Api, purpose: impl Into<String>) -> Self {
        Self { api, purpose: purpose.into() }
    }

    /// Makes sure that an asset exists.
    ///
    /// # Errors
    /// What the server refused; or it could not be asked.
    pub async fn asset(&mut self, code: &str, (ledger_scale, transfer_scale): (u32, u32)) -> Result<()> {
        let asset = Asset { asset: code.to_owned(), ledger_scale, transfer_scale };
        let request = UpsertAssetRequest { request_id: self.request_id("asset", &asset), asset: Some(asset) };
        self.api.assets.upsert_asset(request).await.with_context(|| format!("set up the asset {code}"))?;
        Ok(())
    }

    /// Makes sure that an instrument exists and is open.
    ///
    /// # Errors
    /// What the server refused; or it could not be asked.
    pub async fn instrument(&mut self, listing: &Listing<'_>) -> Result<()> {
        let instrument = listing.instrument();
        let request = UpsertInstrumentRequest {
            request_id: self.request_id("instrument", &instrument),
            instrument: Some(instrument),
        };
        let answer = self.api.orders.upsert_instrument(request).await;
        answer.with_context(|| format!("set up the instrument {}", listing.symbol))?;
        Ok(())
    }

    /// Makes sure that a customer exists.
    ///
    /// # Errors
    /// What the server refused; or it could not be asked.
    pub async fn customer(&mut self, customer_id: &str, name: &str) -> Result<()> {
        let customer = Customer {
            customer_id: customer_id.to_owned(),
            name: name.to_owned(),
            tier: Tier::Standard.into(),
            state: CustomerState::Active.into(),
            version: 0,
        };
        let request = UpsertCustomerRequest {
            request_id: self.request_id("customer", &customer),
            customer: Some(customer),
        };
        let answer = self.api.customers.upsert_customer(request).await;
        answer.with_context(|| format!("set up the customer {customer_id}"))?;
        Ok(())
    }

    /// Deposits, once.
    ///
    /// # Errors
    /// What the server refused; or it could not be asked.
    pub async fn deposit(&mut self, customer_id: &str, asset: &str, amount: &str) -> Result<()> {
        let mut request = DepositRequest {
            customer_id: customer_id.to_owned(),
            asset: asset.to_owned(),
            amount: amount.to_owned(),
            ..DepositRequest::default()
        };
        request.request_id = self.request_id("deposit", &request);
        let answer = self.api.assets.deposit(request).await;
        answer.with_context(|| format!("deposit {amount} {asset} for {customer_id}"))?;
        Ok(())
    }

    fn request_id(&self, kind: &str, content: &impl Message) -> String {
        let mut name = format!("brokerctl/{}/{kind}/", self.purpose).into_bytes();
        name.extend(content.encode_to_vec());
        Uuid::new_v5(&Uuid::NAMESPACE_OID, &name).to_string()
    }
}

/// What there is to say about an instrument of whole shares.
#[derive(Clone, Copy, Debug)]
pub struct Listing<'a> {
    /// Its name.
    pub symbol: &'a str,
    /// What is bought.
    pub base: &'a str,
    /// What is paid with.
    pub quote: &'a str,
    /// Decimals of a price.
    pub price_scale: u32,
    /// From which price which tick applies.
    pub ticks: &'a [(&'a str, &'a str)],
}

impl Listing<'_> {
    fn instrument(&self) -> Instrument {
        let band =
            |(from, tick): &(&str, &str)| TickBand { from_price: (*from).into(), tick: (*tick).into() };
        Instrument {
            symbol: self.symbol.to_owned(),
            base_asset: self.base.to_owned(),
            quote_asset: self.quote.to_owned(),
            price_scale: self.price_scale,
            quantity_scale: SHARE_SCALES.0,
            quote_ledger_scale: MONEY_SCALES.0,
            tick_bands: self.ticks.iter().map(band).collect(),
            lot: "1".to_owned(),
            state: InstrumentState::Open.into(),
            ..Instrument::default()
        }
    }
}
