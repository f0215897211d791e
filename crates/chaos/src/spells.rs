//! Every command with a request id, as bytes, each about something that nobody has touched yet.
//!
//! As bytes, because what is compared are whole answers: everything in them but the mark of a replay.

use anyhow::{Context, Result};
use brokerage_proto::asset::v1 as asset;
use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1 as order;
use brokerage_proto::trading::v1 as trading;
use brokerctl::api::Api;
use prost_reflect::prost::Message;
use uuid::Uuid;

use crate::load::{Command, Verdict, ask, one_share};

/// Who acts.
const CUSTOMER: &str = "customer-a";
const OTHER: &str = "customer-b";

/// One command, and another payload under the same request id.
#[derive(Clone, Debug)]
pub struct Spell {
    /// `/service/Method`.
    pub path: &'static str,
    /// The command.
    pub said: Vec<u8>,
    /// The same request id with another payload.
    pub altered: Vec<u8>,
}

/// A request with its request id, and what it becomes when it is altered.
fn spell<M: Message + Clone>(path: &'static str, request: &M, alter: impl FnOnce(&mut M)) -> Spell {
    let mut altered = request.clone();
    alter(&mut altered);
    Spell { path, said: request.encode_to_vec(), altered: altered.encode_to_vec() }
}

/// One of each, with everything it needs.
///
/// # Errors
/// The mesh refused what is needed, or could not be asked.
pub async fn all(api: &Api) -> Result<Vec<Spell>> {
    let mut all = trading(api).await?;
    all.extend(orders(api).await?);
    all.extend(assets(api).await?);
    Ok(all)
}

async fn trading(api: &Api) -> Result<Vec<Spell>> {
    let create = one_share(CUSTOMER, Side::Buy);
    // More than anybody has: a refusal is an answer too.
    let mut refused = one_share(CUSTOMER, Side::Buy);
    refused.quantity = "1000000000".to_owned();
    let (buy, sell) = (placed(api, CUSTOMER, Side::Buy).await?, placed(api, OTHER, Side::Sell).await?);
    let matched = trading::MatchOrdersRequest {
        request_id: fresh(),
        buy_order_id: buy,
        sell_order_id: sell,
        quantity: "1".to_owned(),
        ..Default::default()
    };
    let (one, another) = (placed(api, CUSTOMER, Side::Buy).await?, placed(api, CUSTOMER, Side::Buy).await?);
    let cancel = trading::CancelOrderRequest { request_id: fresh(), order_id: one, ..Default::default() };
    Ok(vec![
        spell("/brokerage.trading.v1.TradingService/CreateOrder", &create, |request| {
            request.quantity = "2".to_owned();
        }),
        spell("/brokerage.trading.v1.TradingService/CreateOrder", &refused, |request| {
            request.quantity = "2000000000".to_owned();
        }),
        spell("/brokerage.trading.v1.TradingService/MatchOrders", &matched, |request| {
            request.quantity = "2".to_owned();
        }),
        spell("/brokerage.trading.v1.TradingService/CancelOrder", &cancel, |request| {
            request.order_id = another;
        }),
    ])
}

async fn orders(api: &Api) -> Result<Vec<Spell>> {
    let listed = order::GetInstrumentRequest { symbol: "THYAO".to_owned() };
    let mut instrument = api.orders.clone().get_instrument(listed).await.context("read THYAO")?.into_inner();
    instrument.symbol = format!("X{}", &fresh().replace('-', "").to_uppercase()[20..]);
    let upsert = order::UpsertInstrumentRequest { request_id: fresh(), instrument: Some(instrument) };
    let reason = || "somebody asked".to_owned();
    let suspend = order::SuspendOrderRequest {
        request_id: fresh(),
        order_id: placed(api, CUSTOMER, Side::Buy).await?,
        reason: reason(),
    };
    let order_id = placed(api, CUSTOMER, Side::Buy).await?;
    let first =
        order::SuspendOrderRequest { request_id: fresh(), order_id: order_id.clone(), reason: reason() };
    api.orders.clone().suspend_order(first).await.context("suspend an order")?;
    let resume = order::ResumeOrderRequest { request_id: fresh(), order_id, reason: reason() };
    Ok(vec![
        spell("/brokerage.order.v1.OrderService/UpsertInstrument", &upsert, |request| {
            request.instrument.get_or_insert_default().lot = "5".to_owned();
        }),
        spell("/brokerage.order.v1.OrderService/SuspendOrder", &suspend, |request| {
            request.reason = "another reason".to_owned();
        }),
        spell("/brokerage.order.v1.OrderService/ResumeOrder", &resume, |request| {
            request.reason = "another reason".to_owned();
        }),
    ])
}

async fn assets(api: &Api) -> Result<Vec<Spell>> {
    let customer = asset::Customer {
        customer_id: fresh(),
        name: "Dave".to_owned(),
        tier: asset::Tier::Vip.into(),
        state: asset::CustomerState::Active.into(),
        version: 0,
    };
    let newcomer = asset::Customer { customer_id: fresh(), ..customer.clone() };
    let request = asset::UpsertCustomerRequest { request_id: fresh(), customer: Some(newcomer.clone()) };
    api.customers.clone().upsert_customer(request).await.context("register a customer")?;
    let upsert_customer = asset::UpsertCustomerRequest { request_id: fresh(), customer: Some(customer) };
    let code = format!("A{}", &fresh().replace('-', "").to_uppercase()[24..]);
    let new_asset = asset::Asset { asset: code, ledger_scale: 4, transfer_scale: 2 };
    let upsert = asset::UpsertAssetRequest { request_id: fresh(), asset: Some(new_asset) };
    let (request_id, customer_id) = (fresh(), newcomer.customer_id);
    let open = asset::OpenAssetRequest { request_id, customer_id, asset: "GARAN".to_owned() };
    let mut all = movements();
    all.extend([
        spell("/brokerage.asset.v1.CustomerService/UpsertCustomer", &upsert_customer, |request| {
            request.customer.get_or_insert_default().name = "David".to_owned();
        }),
        spell("/brokerage.asset.v1.AssetService/UpsertAsset", &upsert, |request| {
            request.asset.get_or_insert_default().transfer_scale = 3;
        }),
        spell("/brokerage.asset.v1.AssetService/OpenAsset", &open, |request| {
            request.asset = "AAPL".to_owned();
        }),
    ]);
    Ok(all)
}

fn movements() -> Vec<Spell> {
    let (customer_id, money) = (CUSTOMER.to_owned(), "TRY".to_owned());
    let deposit = asset::DepositRequest {
        request_id: fresh(),
        customer_id: customer_id.clone(),
        asset: money.clone(),
        amount: "10".to_owned(),
        external_ref: fresh(),
        channel: "bank".to_owned(),
    };
    let withdraw = asset::WithdrawRequest {
        request_id: fresh(),
        customer_id: customer_id.clone(),
        asset: money.clone(),
        amount: "1".to_owned(),
    };
    let transfer = asset::TransferRequest {
        request_id: fresh(),
        customer_id,
        house: asset::HouseAccount::Inventory.into(),
        direction: asset::TransferDirection::CustomerToHouse.into(),
        asset: money,
        amount: "0.000001".to_owned(),
        reason: "a rounding of long ago".to_owned(),
    };
    vec![
        spell("/brokerage.asset.v1.AssetService/Deposit", &deposit, |request| {
            request.amount = "11".to_owned()
        }),
        spell("/brokerage.asset.v1.AssetService/Withdraw", &withdraw, |request| {
            request.amount = "2".to_owned()
        }),
        spell("/brokerage.asset.v1.AssetService/Transfer", &transfer, |request| {
            request.direction = asset::TransferDirection::HouseToCustomer.into();
        }),
    ]
}

/// A new order for three shares; its id.
async fn placed(api: &Api, customer_id: &str, side: Side) -> Result<String> {
    match ask(api, &Command::create(customer_id, side, 3)).await.context("place an order")? {
        (Verdict::Done { id, .. }, _) => Ok(id),
        (Verdict::Refused(reason), _) => anyhow::bail!("an order was refused: {reason}"),
    }
}

fn fresh() -> String {
    Uuid::new_v4().to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::fuzz::rpc;

    #[test]
    fn every_command_with_a_request_id_is_said() {
        let source = include_str!("spells.rs");
        let said: BTreeSet<&str> = source.split('"').filter(|text| text.starts_with("/brokerage.")).collect();
        let all = rpc::every().unwrap();
        let with_id = all.iter().filter(|rpc| rpc.input.get_field_by_name("request_id").is_some());
        let known: BTreeSet<&str> = with_id.map(|rpc| rpc.path.as_str()).collect();
        assert_eq!(
            said.into_iter().filter(|path| path.len() > "/brokerage.".len()).collect::<BTreeSet<_>>(),
            known
        );
    }
}
