//! `brokerctl order …`

mod show;

use brokerage_proto::common::v1::Side;
use brokerage_proto::order::v1::{
    GetOrderRequest, ListOrdersRequest, ListOrdersResponse, OrderSort, OrderStatus,
};
use brokerage_proto::trading::v1::{CancelOrderRequest, CreateOrderRequest, MatchOrdersRequest};
use clap::{Args, Subcommand, ValueEnum};

use self::show::{fills_table, history_table, order_card, orders_table};
use super::{Limit, RequestId};
use crate::api::Api;
use crate::cli::Connection;
use crate::failure::Failure;
use crate::output::{Format, card, print, say};

/// What can be done with orders.
#[derive(Debug, Subcommand)]
pub enum OrderVerb {
    /// Place a limit order.
    Create(Create),
    /// Show one order.
    Get(Get),
    /// List orders, newest first.
    List(List),
    /// Cancel what is left of an order.
    Cancel(Cancel),
    /// Match a buy order with a sell order (administrators).
    Match(Match),
}

/// Buy or sell.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SideArg {
    /// Buy.
    Buy,
    /// Sell.
    Sell,
}

impl From<SideArg> for Side {
    fn from(side: SideArg) -> Self {
        match side {
            SideArg::Buy => Self::Buy,
            SideArg::Sell => Self::Sell,
        }
    }
}

/// A status, as typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[expect(missing_docs, reason = "the words of the proto file")]
pub enum StatusArg {
    Init,
    Pending,
    PartiallyMatched,
    CancelRequested,
    Matched,
    Canceled,
    Rejected,
    Suspended,
}

impl From<StatusArg> for OrderStatus {
    fn from(status: StatusArg) -> Self {
        match status {
            StatusArg::Init => Self::Init,
            StatusArg::Pending => Self::Pending,
            StatusArg::PartiallyMatched => Self::PartiallyMatched,
            StatusArg::CancelRequested => Self::CancelRequested,
            StatusArg::Matched => Self::Matched,
            StatusArg::Canceled => Self::Canceled,
            StatusArg::Rejected => Self::Rejected,
            StatusArg::Suspended => Self::Suspended,
        }
    }
}

/// See [`OrderVerb::Create`].
#[derive(Debug, Args)]
pub struct Create {
    /// What to trade, such as THYAO.
    #[arg(long)]
    instrument: String,
    /// Buy or sell.
    #[arg(long)]
    side: SideArg,
    /// Worst acceptable price.
    #[arg(long, allow_hyphen_values = true)]
    price: String,
    /// How much.
    #[arg(long, allow_hyphen_values = true)]
    quantity: String,
    /// Whose order; a customer's token means itself.
    #[arg(long, default_value = "")]
    customer: String,
    /// A label of your own, unique per customer for ever.
    #[arg(long, default_value = "")]
    client_order_id: String,
    /// Do every check and change nothing.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    request: RequestId,
}

/// Names one order.
#[derive(Debug, Args)]
pub struct Which {
    /// The order's id.
    #[arg(required_unless_present = "client_order_id")]
    order_id: Option<String>,
    /// Or its customer's label.
    #[arg(long, conflicts_with = "order_id")]
    client_order_id: Option<String>,
    /// Whose label; a customer's token means itself.
    #[arg(long, default_value = "")]
    customer: String,
}

/// See [`OrderVerb::Get`].
#[derive(Debug, Args)]
pub struct Get {
    #[command(flatten)]
    which: Which,
    /// Show its fills.
    #[arg(long)]
    fills: bool,
    /// Show everything that happened to it.
    #[arg(long)]
    history: bool,
}

/// See [`OrderVerb::List`].
#[derive(Debug, Args)]
pub struct List {
    /// Whose.
    #[arg(long, default_value = "")]
    customer: String,
    /// Any of these statuses.
    #[arg(long = "status", value_enum)]
    statuses: Vec<StatusArg>,
    /// One instrument only.
    #[arg(long, default_value = "")]
    instrument: String,
    /// One side only.
    #[arg(long)]
    side: Option<SideArg>,
    /// Labels that start so.
    #[arg(long, default_value = "")]
    client_order_id_prefix: String,
    /// Who placed it.
    #[arg(long, default_value = "")]
    created_by: String,
    /// Oldest first.
    #[arg(long)]
    oldest_first: bool,
    #[command(flatten)]
    limit: Limit,
}

/// See [`OrderVerb::Cancel`].
#[derive(Debug, Args)]
pub struct Cancel {
    #[command(flatten)]
    which: Which,
    /// Do every check and change nothing.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    request: RequestId,
}

/// See [`OrderVerb::Match`].
#[derive(Debug, Args)]
pub struct Match {
    /// The buy order.
    buy_order_id: String,
    /// The sell order.
    sell_order_id: String,
    /// How much. Default: as much as both have left.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    quantity: String,
    /// At which price. Default: the limit of the order that was opened first.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    price: String,
    /// Do every check and change nothing.
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    request: RequestId,
}

impl OrderVerb {
    /// Calls the server and prints the answer.
    ///
    /// # Errors
    /// What the server refused, or why it could not be asked.
    pub async fn run(self, connection: &Connection) -> Result<(), Failure> {
        let api = Api::new(&connection.server, &connection.token)?;
        match self {
            Self::Create(args) => args.run(api, connection.output).await,
            Self::Get(args) => args.run(api, connection.output).await,
            Self::List(args) => args.run(api, connection.output).await,
            Self::Cancel(args) => args.run(api, connection.output).await,
            Self::Match(args) => args.run(api, connection.output).await,
        }
    }
}

impl Create {
    async fn run(self, mut api: Api, format: Format) -> Result<(), Failure> {
        let request_id = self.request.get();
        let request = CreateOrderRequest {
            request_id: request_id.clone(),
            customer_id: self.customer,
            client_order_id: self.client_order_id,
            instrument: self.instrument,
            side: Side::from(self.side).into(),
            limit_price: self.price,
            quantity: self.quantity,
            validate_only: self.validate_only,
        };
        let answer = api.trading.create_order(request).await;
        let answer = answer.map_err(|status| Failure::from(status).of_request(&request_id))?.into_inner();
        print(format, "brokerage.trading.v1.CreateOrderResponse", &answer, |answer| {
            card(&[
                ("order", answer.order_id.clone()),
                ("label", answer.client_order_id.clone()),
                ("saga", answer.saga_id.clone()),
                ("replayed", answer.replayed.to_string()),
                ("request", request_id),
            ])
        })?;
        Ok(())
    }
}

impl Get {
    async fn run(self, mut api: Api, format: Format) -> Result<(), Failure> {
        let request = GetOrderRequest {
            order_id: self.which.order_id.unwrap_or_default(),
            client_order_id: self.which.client_order_id.unwrap_or_default(),
            customer_id: self.which.customer,
            with_fills: self.fills,
            with_history: self.history,
        };
        let order = api.orders.get_order(request).await?.into_inner();
        print(format, "brokerage.order.v1.Order", &order, order_card)?;
        if format == Format::Table && !order.fills.is_empty() {
            say(format!("\n{}", fills_table(&order)));
        }
        if format == Format::Table && !order.history.is_empty() {
            say(format!("\n{}", history_table(&order)));
        }
        Ok(())
    }
}

impl List {
    async fn run(self, mut api: Api, format: Format) -> Result<(), Failure> {
        let mut request = ListOrdersRequest {
            customer_id: self.customer,
            statuses: self.statuses.iter().map(|status| OrderStatus::from(*status).into()).collect(),
            instrument: self.instrument,
            side: self.side.map(|side| Side::from(side).into()).unwrap_or_default(),
            client_order_id_prefix: self.client_order_id_prefix,
            created_by: self.created_by,
            sort: if self.oldest_first { OrderSort::CreatedAsc } else { OrderSort::CreatedDesc }.into(),
            page_size: self.limit.page_size(0),
            ..ListOrdersRequest::default()
        };
        let mut all = ListOrdersResponse::default();
        loop {
            let page = api.orders.list_orders(request.clone()).await?.into_inner();
            all.orders.extend(page.orders);
            if !self.limit.wants_more(all.orders.len(), &page.next_page_token) {
                break;
            }
            request.page_size = self.limit.page_size(all.orders.len());
            request.page_token = page.next_page_token;
        }
        print(format, "brokerage.order.v1.ListOrdersResponse", &all, orders_table)?;
        Ok(())
    }
}

impl Cancel {
    async fn run(self, mut api: Api, format: Format) -> Result<(), Failure> {
        let request_id = self.request.get();
        let request = CancelOrderRequest {
            request_id: request_id.clone(),
            order_id: self.which.order_id.unwrap_or_default(),
            client_order_id: self.which.client_order_id.unwrap_or_default(),
            customer_id: self.which.customer,
            validate_only: self.validate_only,
        };
        let answer = api.trading.cancel_order(request).await;
        let answer = answer.map_err(|status| Failure::from(status).of_request(&request_id))?.into_inner();
        print(format, "brokerage.trading.v1.CancelOrderResponse", &answer, |answer| {
            card(&[
                ("order", answer.order_id.clone()),
                ("saga", answer.saga_id.clone()),
                ("replayed", answer.replayed.to_string()),
                ("request", request_id),
            ])
        })?;
        Ok(())
    }
}

impl Match {
    async fn run(self, mut api: Api, format: Format) -> Result<(), Failure> {
        let request_id = self.request.get();
        let request = MatchOrdersRequest {
            request_id: request_id.clone(),
            buy_order_id: self.buy_order_id,
            sell_order_id: self.sell_order_id,
            quantity: self.quantity,
            price: self.price,
            validate_only: self.validate_only,
        };
        let answer = api.trading.match_orders(request).await;
        let answer = answer.map_err(|status| Failure::from(status).of_request(&request_id))?.into_inner();
        print(format, "brokerage.trading.v1.MatchOrdersResponse", &answer, |answer| {
            card(&[
                ("trade", answer.trade_id.clone()),
                ("quantity", answer.quantity.clone()),
                ("price", answer.price.clone()),
                ("saga", answer.saga_id.clone()),
                ("replayed", answer.replayed.to_string()),
                ("request", request_id),
            ])
        })?;
        Ok(())
    }
}
