//! AssetService's reads: what a customer has, what moved, what he had.

use brokerage_proto::asset::v1 as wire;
use brokerage_types::{AssetCode, Reason};
use service_kit::auth::Principal;
use service_kit::fault::{ApiResult, Refusal};
use service_kit::page::PageRequest;
use tonic::Request;

use super::answer::{of_holding, of_line};
use super::assets::Assets;
use super::{no_customer, parse};
use crate::store::reads::{self, BalanceFilter, StatementFilter};

/// A position in a statement: how many postings of the available and of the held account have been seen.
type Position = (i64, i64);

impl Assets {
    pub(super) async fn do_list_assets(
        &self,
        request: Request<wire::ListAssetsRequest>,
    ) -> ApiResult<wire::ListAssetsResponse> {
        let principal = Principal::of(&request)?;
        let request = request.into_inner();
        let customer = principal.customer_or_self(&request.customer_id)?;
        let asset =
            if request.asset.is_empty() { None } else { Some(parse::asset_code("asset", &request.asset)?) };
        let page =
            PageRequest::parse(request.page_size, &request.page_token, &("ListAssets", &customer, &asset))?;
        let after = page.after.as_ref().map(|cursor| cursor.read::<String>()).transpose()?;
        let visible = principal.scope().as_sql();
        let filter = BalanceFilter { customer: customer.clone(), visible, asset, after, limit: page.limit() };
        let found = self.reads.run("list assets", |pool| reads::balances(pool, filter)).await?;
        let (holdings, next_page_token) =
            page.cut(found.ok_or_else(|| no_customer(&customer))?, |holding| holding.asset.to_string())?;
        Ok(wire::ListAssetsResponse { balances: holdings.iter().map(of_holding).collect(), next_page_token })
    }

    pub(super) async fn do_list_postings(
        &self,
        request: Request<wire::ListPostingsRequest>,
    ) -> ApiResult<wire::ListPostingsResponse> {
        let principal = Principal::of(&request)?;
        let request = request.into_inner();
        let customer = principal.customer_or_self(&request.customer_id)?;
        let asset = parse::asset_code("asset", &request.asset)?;
        let account = account(request.account)?;
        let from = parse::instant("from", request.from.as_ref())?;
        let to = parse::instant("to", request.to.as_ref())?;
        let shape = ("ListPostings", &customer, &asset, account, from, to);
        let page = PageRequest::parse(request.page_size, &request.page_token, &shape)?;
        let after = page.after.as_ref().map(|cursor| cursor.read::<Position>()).transpose()?;
        let filter = StatementFilter {
            customer: customer.clone(),
            visible: principal.scope().as_sql(),
            asset: asset.clone(),
            account,
            from,
            to,
            after: after.unwrap_or_default(),
            limit: page.limit(),
        };
        let found = self.reads.run("list postings", |pool| reads::statement(pool, filter)).await?;
        let (lines, next_page_token) =
            page.cut(found.ok_or_else(|| no_customer(&customer))?, |line| line.position())?;
        let postings = lines.into_iter().map(|line| of_line(asset.as_str(), line)).collect();
        Ok(wire::ListPostingsResponse { postings, next_page_token })
    }

    pub(super) async fn do_get_balance_at(
        &self,
        request: Request<wire::GetBalanceAtRequest>,
    ) -> ApiResult<wire::Balance> {
        let principal = Principal::of(&request)?;
        let request = request.into_inner();
        let customer = principal.customer_or_self(&request.customer_id)?;
        let asset = parse::asset_code("asset", &request.asset)?;
        let at = parse::instant("at", request.at.as_ref())?
            .ok_or_else(|| Refusal::field("at", Reason::FieldRequired, "must be given"))?;
        self.must_exist(&asset).await?;
        let filter = BalanceFilter {
            customer: customer.clone(),
            visible: principal.scope().as_sql(),
            asset: None,
            after: None,
            limit: 1,
        };
        let found =
            self.reads.run("sum a balance", |pool| reads::balance_at(pool, filter, asset, at)).await?;
        Ok(of_holding(&found.ok_or_else(|| no_customer(&customer))?))
    }

    async fn must_exist(&self, asset: &AssetCode) -> ApiResult<()> {
        let code = asset.clone();
        if self.reads.run("find an asset", |pool| reads::asset_exists(pool, code)).await? {
            return Ok(());
        }
        Err(Refusal::new(Reason::AssetNotFound, format!("no asset {asset}"))
            .with("asset", asset.as_str())
            .into())
    }
}

/// Which account a statement is limited to, as the journal numbers it: like the wire.
fn account(number: i32) -> ApiResult<Option<i16>> {
    match wire::AccountKind::try_from(number) {
        Ok(wire::AccountKind::Unspecified) => Ok(None),
        Ok(wire::AccountKind::Available) => Ok(Some(1)),
        Ok(wire::AccountKind::Held) => Ok(Some(2)),
        Err(_) => Err(Refusal::field("account", Reason::FieldInvalid, "is no account").into()),
    }
}
