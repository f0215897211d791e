//! Every command with a request id, each on something that nobody has touched yet.

use brokerage_proto::asset::v1 as asset;
use brokerage_proto::order::v1 as order;
use brokerage_proto::trading::v1 as trading;
use futures::future::BoxFuture;
use test_mesh::{ALICE, BOB, Brokerage, fresh};
use tonic::Status;

/// Whether the answer is a replay, and the rest of it.
pub type Outcome = Result<(bool, String), Status>;
/// Says the command under this request id, as it is or altered.
pub type Command = Box<dyn Fn(String, bool) -> BoxFuture<'static, Outcome> + Send + Sync>;
/// Prepares a command that has not been said.
pub type Prepare = for<'b> fn(&'b Brokerage) -> BoxFuture<'b, Command>;

/// Path, and how to prepare it.
pub const COMMANDS: &[(&str, Prepare)] = &[
    ("/brokerage.trading.v1.TradingService/CreateOrder", |b| Box::pin(create_order(b))),
    ("/brokerage.trading.v1.TradingService/CancelOrder", |b| Box::pin(cancel_order(b))),
    ("/brokerage.trading.v1.TradingService/MatchOrders", |b| Box::pin(match_orders(b))),
    ("/brokerage.order.v1.OrderService/UpsertInstrument", |b| Box::pin(upsert_instrument(b))),
    ("/brokerage.order.v1.OrderService/SuspendOrder", |b| Box::pin(suspend_order(b))),
    ("/brokerage.order.v1.OrderService/ResumeOrder", |b| Box::pin(resume_order(b))),
    ("/brokerage.asset.v1.AssetService/UpsertAsset", |b| Box::pin(upsert_asset(b))),
    ("/brokerage.asset.v1.AssetService/OpenAsset", |b| Box::pin(open_asset(b))),
    ("/brokerage.asset.v1.AssetService/Deposit", |b| Box::pin(deposit(b))),
    ("/brokerage.asset.v1.AssetService/Withdraw", |b| Box::pin(withdraw(b))),
    ("/brokerage.asset.v1.AssetService/Transfer", |b| Box::pin(transfer(b))),
    ("/brokerage.asset.v1.CustomerService/UpsertCustomer", |b| Box::pin(upsert_customer(b))),
];

/// Enough for everything that is tried.
pub async fn endow(brokerage: &Brokerage) {
    for customer in [ALICE, BOB] {
        for asset in ["TRY", "THYAO"] {
            brokerage.admin().deposits(customer, asset, "10000").await;
        }
    }
}

/// A closure over a client and a request, which is altered if asked, sent, and its answer split.
macro_rules! command {
    ($client:expr, $rpc:ident, $request:expr, $alter:expr) => {{
        let (client, request) = ($client.clone(), $request);
        Box::new(move |request_id: String, altered: bool| {
            let (mut client, mut request) = (client.clone(), request.clone());
            request.request_id = request_id;
            if altered {
                let alter: &dyn Fn(&mut _) = &$alter;
                alter(&mut request);
            }
            Box::pin(async move {
                let mut answer = client.$rpc(request).await?.into_inner();
                let replayed = std::mem::take(&mut answer.replayed);
                Ok((replayed, format!("{answer:?}")))
            })
        })
    }};
}

async fn create_order(brokerage: &Brokerage) -> Command {
    let alice = brokerage.alice();
    let request = alice.bid("THYAO", "1", "8.00");
    command!(alice.trading, create_order, request, |request: &mut trading::CreateOrderRequest| {
        request.quantity = "2".to_owned();
    })
}

async fn cancel_order(brokerage: &Brokerage) -> Command {
    let alice = brokerage.alice();
    let (order_id, other) = (alice.buys("THYAO", "1", "8.00").await, alice.buys("THYAO", "1", "8.00").await);
    let request = trading::CancelOrderRequest { order_id, ..Default::default() };
    command!(alice.trading, cancel_order, request, |request: &mut trading::CancelOrderRequest| {
        request.order_id.clone_from(&other);
    })
}

async fn match_orders(brokerage: &Brokerage) -> Command {
    let bid = brokerage.alice().buys("THYAO", "3", "8.00").await;
    let ask = brokerage.bob().sells("THYAO", "3", "8.00").await;
    let admin = brokerage.admin();
    let request = trading::MatchOrdersRequest { quantity: "1".to_owned(), ..admin.pair(&bid, &ask) };
    command!(admin.trading, match_orders, request, |request: &mut trading::MatchOrdersRequest| {
        request.quantity = "2".to_owned();
    })
}

async fn upsert_instrument(brokerage: &Brokerage) -> Command {
    let admin = brokerage.admin();
    let listed = order::GetInstrumentRequest { symbol: "THYAO".to_owned() };
    let mut instrument = admin.orders.clone().get_instrument(listed).await.unwrap().into_inner();
    instrument.symbol = format!("THYAO.{}", &fresh().to_uppercase()[24..]);
    let request = order::UpsertInstrumentRequest { instrument: Some(instrument), ..Default::default() };
    command!(admin.orders, upsert_instrument, request, |request: &mut order::UpsertInstrumentRequest| {
        request.instrument.as_mut().unwrap().lot = "5".to_owned();
    })
}

async fn suspend_order(brokerage: &Brokerage) -> Command {
    let order_id = brokerage.alice().buys("THYAO", "1", "8.00").await;
    let request = order::SuspendOrderRequest { order_id, reason: "a doubt".to_owned(), ..Default::default() };
    command!(brokerage.admin().orders, suspend_order, request, |request: &mut order::SuspendOrderRequest| {
        request.reason = "another doubt".to_owned();
    })
}

async fn resume_order(brokerage: &Brokerage) -> Command {
    let order_id = brokerage.alice().buys("THYAO", "1", "8.00").await;
    brokerage.admin().suspends(&order_id).await;
    let request = order::ResumeOrderRequest { order_id, reason: "no doubt".to_owned(), ..Default::default() };
    command!(brokerage.admin().orders, resume_order, request, |request: &mut order::ResumeOrderRequest| {
        request.reason = "no doubt at all".to_owned();
    })
}

async fn upsert_asset(brokerage: &Brokerage) -> Command {
    let asset = asset::Asset {
        asset: format!("A{}", &fresh().to_uppercase()[24..]),
        ledger_scale: 4,
        transfer_scale: 2,
    };
    let request = asset::UpsertAssetRequest { asset: Some(asset), ..Default::default() };
    command!(brokerage.admin().assets, upsert_asset, request, |request: &mut asset::UpsertAssetRequest| {
        request.asset.as_mut().unwrap().transfer_scale = 3;
    })
}

async fn open_asset(brokerage: &Brokerage) -> Command {
    let customer_id = fresh();
    brokerage.admin().registers(&customer_id, asset::CustomerState::Active).await;
    let request = asset::OpenAssetRequest { customer_id, asset: "GARAN".to_owned(), ..Default::default() };
    command!(brokerage.admin().assets, open_asset, request, |request: &mut asset::OpenAssetRequest| {
        request.asset = "ASELS".to_owned();
    })
}

async fn deposit(brokerage: &Brokerage) -> Command {
    let request = asset::DepositRequest {
        customer_id: ALICE.to_owned(),
        asset: "TRY".to_owned(),
        amount: "10".to_owned(),
        external_ref: fresh(),
        channel: "bank".to_owned(),
        ..Default::default()
    };
    command!(brokerage.admin().assets, deposit, request, |request: &mut asset::DepositRequest| {
        request.amount = "11".to_owned();
    })
}

async fn withdraw(brokerage: &Brokerage) -> Command {
    let request =
        asset::WithdrawRequest { asset: "TRY".to_owned(), amount: "1".to_owned(), ..Default::default() };
    command!(brokerage.alice().assets, withdraw, request, |request: &mut asset::WithdrawRequest| {
        request.amount = "2".to_owned();
    })
}

async fn transfer(brokerage: &Brokerage) -> Command {
    let request = asset::TransferRequest {
        customer_id: BOB.to_owned(),
        house: asset::HouseAccount::Inventory.into(),
        direction: asset::TransferDirection::CustomerToHouse.into(),
        asset: "TRY".to_owned(),
        amount: "0.000001".to_owned(),
        reason: "a rounding of long ago".to_owned(),
        ..Default::default()
    };
    command!(brokerage.admin().assets, transfer, request, |request: &mut asset::TransferRequest| {
        request.direction = asset::TransferDirection::HouseToCustomer.into();
    })
}

async fn upsert_customer(brokerage: &Brokerage) -> Command {
    let customer = asset::Customer {
        customer_id: fresh(),
        name: "Dave".to_owned(),
        tier: asset::Tier::Vip.into(),
        state: asset::CustomerState::Active.into(),
        version: 0,
    };
    let request = asset::UpsertCustomerRequest { customer: Some(customer), ..Default::default() };
    command!(
        brokerage.admin().customers,
        upsert_customer,
        request,
        |request: &mut asset::UpsertCustomerRequest| {
            request.customer.as_mut().unwrap().name = "David".to_owned();
        }
    )
}
