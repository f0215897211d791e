//! `brokerctl instrument …` and `brokerctl customer …`: what and who is known.

use brokerage_proto::asset::v1::{ListCustomersRequest, ListCustomersResponse};
use brokerage_proto::order::v1::{ListInstrumentsRequest, ListInstrumentsResponse};
use clap::Subcommand;
use comfy_table::Table;

use super::Limit;
use crate::api::Api;
use crate::cli::Connection;
use crate::failure::Failure;
use crate::output::{print, short, table};

/// What can be done with instruments.
#[derive(Debug, Subcommand)]
pub enum InstrumentVerb {
    /// List what can be traded, with ticks, lots and scales.
    List(Limit),
}

/// What can be done with customers.
#[derive(Debug, Subcommand)]
pub enum CustomerVerb {
    /// List customers by id.
    List(Limit),
}

impl InstrumentVerb {
    /// Calls the server and prints the answer.
    ///
    /// # Errors
    /// What the server refused, or why it could not be asked.
    pub async fn run(self, connection: &Connection) -> Result<(), Failure> {
        let Self::List(limit) = self;
        let mut api = Api::new(&connection.server, &connection.token)?;
        let mut request = ListInstrumentsRequest { page_size: limit.page_size(0), page_token: String::new() };
        let mut all = ListInstrumentsResponse::default();
        loop {
            let page = api.orders.list_instruments(request.clone()).await?.into_inner();
            all.instruments.extend(page.instruments);
            if !limit.wants_more(all.instruments.len(), &page.next_page_token) {
                break;
            }
            request.page_size = limit.page_size(all.instruments.len());
            request.page_token = page.next_page_token;
        }
        print(connection.output, "brokerage.order.v1.ListInstrumentsResponse", &all, instruments_table)?;
        Ok(())
    }
}

impl CustomerVerb {
    /// Calls the server and prints the answer.
    ///
    /// # Errors
    /// What the server refused, or why it could not be asked.
    pub async fn run(self, connection: &Connection) -> Result<(), Failure> {
        let Self::List(limit) = self;
        let mut api = Api::new(&connection.server, &connection.token)?;
        let mut request = ListCustomersRequest { page_size: limit.page_size(0), page_token: String::new() };
        let mut all = ListCustomersResponse::default();
        loop {
            let page = api.customers.list_customers(request.clone()).await?.into_inner();
            all.customers.extend(page.customers);
            if !limit.wants_more(all.customers.len(), &page.next_page_token) {
                break;
            }
            request.page_size = limit.page_size(all.customers.len());
            request.page_token = page.next_page_token;
        }
        print(connection.output, "brokerage.asset.v1.ListCustomersResponse", &all, customers_table)?;
        Ok(())
    }
}

fn instruments_table(list: &ListInstrumentsResponse) -> Table {
    let mut table = table(&["symbol", "base", "quote", "decimals", "ticks", "lot", "min notional", "state"]);
    for instrument in &list.instruments {
        let bands = instrument.tick_bands.iter();
        let ticks: Vec<String> = bands.map(|band| format!("{}→{}", band.from_price, band.tick)).collect();
        table.add_row([
            instrument.symbol.clone(),
            instrument.base_asset.clone(),
            instrument.quote_asset.clone(),
            format!("price {}, quantity {}", instrument.price_scale, instrument.quantity_scale),
            ticks.join(" "),
            instrument.lot.clone(),
            instrument.min_notional.clone(),
            short(instrument.state().as_str_name(), "INSTRUMENT_STATE_"),
        ]);
    }
    table
}

fn customers_table(list: &ListCustomersResponse) -> Table {
    let mut table = table(&["customer", "name", "tier", "state"]);
    for customer in &list.customers {
        table.add_row([
            customer.customer_id.clone(),
            customer.name.clone(),
            short(customer.tier().as_str_name(), "TIER_"),
            short(customer.state().as_str_name(), "CUSTOMER_STATE_"),
        ]);
    }
    table
}
