//! `brokerctl asset …`

use brokerage_proto::asset::v1::{
    AccountKind, DepositRequest, ListAssetsRequest, ListAssetsResponse, ListPostingsRequest,
    ListPostingsResponse, MovementResponse, WithdrawRequest,
};
use clap::{Args, Subcommand};
use comfy_table::Table;
use tonic::{Response, Status};

use super::{Limit, RequestId};
use crate::api::Api;
use crate::cli::Connection;
use crate::failure::Failure;
use crate::output::{Format, card, print, short, table, time};

/// What can be done with assets.
#[derive(Debug, Subcommand)]
pub enum AssetVerb {
    /// List what a customer has.
    List(List),
    /// Bring money or shares in from outside.
    Deposit(Deposit),
    /// Take usable money or shares out.
    Withdraw(Withdraw),
    /// List the postings of an asset, oldest first, with running balances.
    Statement(Statement),
}

/// See [`AssetVerb::List`].
#[derive(Debug, Args)]
pub struct List {
    /// Whose; a customer's token means itself.
    #[arg(long, default_value = "")]
    customer: String,
    /// One asset only.
    #[arg(long, default_value = "")]
    asset: String,
    #[command(flatten)]
    limit: Limit,
}

/// See [`AssetVerb::Deposit`].
#[derive(Debug, Args)]
pub struct Deposit {
    /// Which asset, such as TRY.
    asset: String,
    /// How much.
    #[arg(allow_hyphen_values = true)]
    amount: String,
    /// Whose.
    #[arg(long)]
    customer: String,
    /// The payment's reference outside.
    #[arg(long, default_value = "", requires = "channel")]
    external_ref: String,
    /// The channel the payment came by, such as bank.
    #[arg(long, default_value = "")]
    channel: String,
    #[command(flatten)]
    request: RequestId,
}

/// See [`AssetVerb::Withdraw`].
#[derive(Debug, Args)]
pub struct Withdraw {
    /// Which asset, such as TRY.
    asset: String,
    /// How much.
    #[arg(allow_hyphen_values = true)]
    amount: String,
    /// Whose; a customer's token means itself.
    #[arg(long, default_value = "")]
    customer: String,
    #[command(flatten)]
    request: RequestId,
}

/// See [`AssetVerb::Statement`].
#[derive(Debug, Args)]
pub struct Statement {
    /// Which asset, such as TRY.
    asset: String,
    /// Whose; a customer's token means itself.
    #[arg(long, default_value = "")]
    customer: String,
    #[command(flatten)]
    limit: Limit,
}

impl AssetVerb {
    /// Calls the server and prints the answer.
    ///
    /// # Errors
    /// What the server refused, or why it could not be asked.
    pub async fn run(self, connection: &Connection) -> Result<(), Failure> {
        let api = Api::new(&connection.server, &connection.token)?;
        match self {
            Self::List(args) => args.run(api, connection.output).await,
            Self::Deposit(args) => args.run(api, connection.output).await,
            Self::Withdraw(args) => args.run(api, connection.output).await,
            Self::Statement(args) => args.run(api, connection.output).await,
        }
    }
}

impl List {
    async fn run(self, mut api: Api, format: Format) -> Result<(), Failure> {
        let mut request = ListAssetsRequest {
            customer_id: self.customer,
            page_size: self.limit.page_size(0),
            page_token: String::new(),
            asset: self.asset,
        };
        let mut all = ListAssetsResponse::default();
        loop {
            let page = api.assets.list_assets(request.clone()).await?.into_inner();
            all.balances.extend(page.balances);
            if !self.limit.wants_more(all.balances.len(), &page.next_page_token) {
                break;
            }
            request.page_size = self.limit.page_size(all.balances.len());
            request.page_token = page.next_page_token;
        }
        print(format, "brokerage.asset.v1.ListAssetsResponse", &all, balances_table)?;
        Ok(())
    }
}

impl Deposit {
    async fn run(self, mut api: Api, format: Format) -> Result<(), Failure> {
        let request_id = self.request.get();
        let request = DepositRequest {
            request_id: request_id.clone(),
            customer_id: self.customer,
            asset: self.asset,
            amount: self.amount,
            external_ref: self.external_ref,
            channel: self.channel,
        };
        moved(api.assets.deposit(request).await, format, &request_id)
    }
}

impl Withdraw {
    async fn run(self, mut api: Api, format: Format) -> Result<(), Failure> {
        let request_id = self.request.get();
        let request = WithdrawRequest {
            request_id: request_id.clone(),
            customer_id: self.customer,
            asset: self.asset,
            amount: self.amount,
        };
        moved(api.assets.withdraw(request).await, format, &request_id)
    }
}

impl Statement {
    async fn run(self, mut api: Api, format: Format) -> Result<(), Failure> {
        let mut request = ListPostingsRequest {
            customer_id: self.customer,
            asset: self.asset,
            account: AccountKind::Unspecified.into(),
            page_size: self.limit.page_size(0),
            ..ListPostingsRequest::default()
        };
        let mut all = ListPostingsResponse::default();
        loop {
            let page = api.assets.list_postings(request.clone()).await?.into_inner();
            all.postings.extend(page.postings);
            if !self.limit.wants_more(all.postings.len(), &page.next_page_token) {
                break;
            }
            request.page_size = self.limit.page_size(all.postings.len());
            request.page_token = page.next_page_token;
        }
        print(format, "brokerage.asset.v1.ListPostingsResponse", &all, statement_table)?;
        Ok(())
    }
}

fn moved(
    answer: Result<Response<MovementResponse>, Status>,
    format: Format,
    request_id: &str,
) -> Result<(), Failure> {
    let answer = answer.map_err(|status| Failure::from(status).of_request(request_id))?.into_inner();
    print(format, "brokerage.asset.v1.MovementResponse", &answer, |answer| {
        let balance = answer.balance.clone().unwrap_or_default();
        card(&[
            ("transaction", answer.tx_id.clone()),
            ("asset", balance.asset),
            ("total", balance.total),
            ("usable", balance.usable),
            ("held", balance.held),
            ("replayed", answer.replayed.to_string()),
            ("request", request_id.to_owned()),
        ])
    })?;
    Ok(())
}

fn balances_table(list: &ListAssetsResponse) -> Table {
    let mut table = table(&["asset", "total", "usable", "held"]);
    for balance in &list.balances {
        table.add_row([&balance.asset, &balance.total, &balance.usable, &balance.held]);
    }
    table
}

fn statement_table(list: &ListPostingsResponse) -> Table {
    let mut table = table(&["at", "account", "seq", "kind", "amount", "balance", "caused by"]);
    for posting in &list.postings {
        table.add_row([
            time(posting.created_at.as_ref()),
            short(posting.account().as_str_name(), "ACCOUNT_KIND_"),
            posting.account_seq.to_string(),
            posting.kind.clone(),
            posting.amount.clone(),
            posting.balance_after.clone(),
            posting.caused_by.clone(),
        ]);
    }
    table
}
