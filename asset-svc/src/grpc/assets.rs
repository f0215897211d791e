//! AssetService: movements that need no other service. Its reads are in `balances`.

use brokerage_proto::asset::v1 as wire;
use brokerage_proto::asset::v1::asset_service_server::AssetService;
use brokerage_types::{FieldViolation, Reason};
use prost::Message;
use service_kit::auth::Principal;
use service_kit::database::Reads;
use service_kit::executor::{Executor, Once};
use service_kit::fault::{ApiError, ApiResult, Fault};
use tonic::{Request, Response, Status};

use super::parse;
use crate::domain::command::{Command, OpenAsset};
use crate::store::AssetBooks;

/// The handlers.
pub struct Assets {
    /// The write path.
    pub executor: Executor<AssetBooks>,
    /// The read path.
    pub reads: Reads,
}

/// Runs a one-service command and reads its remembered answer.
pub(super) async fn once<T: Message + Default>(
    executor: &Executor<AssetBooks>,
    principal: &Principal,
    (rpc, request_id): (&'static str, &str),
    command: Command,
) -> ApiResult<(T, bool)> {
    let once = Once { caller: &principal.subject, rpc, request_id };
    let answered = executor.once(once, command).await.map_err(named)?;
    let answer = T::decode(answered.answer)
        .map_err(|error| Fault::internal(format!("read the stored answer of {rpc}"), error))?;
    Ok((answer, answered.replayed))
}

/// Names the field of a refusal that only the ledger could give, because it knows the asset's scales.
fn named(error: ApiError) -> ApiError {
    let ApiError::Refusal(refusal) = error else { return error };
    let field = if refusal.reason == Reason::TooManyDecimals {
        "amount"
    } else if refusal.reason == Reason::ScaleImmutable {
        "asset"
    } else {
        return refusal.into();
    };
    let violation = FieldViolation::new(field, refusal.reason, refusal.message.clone());
    refusal.violations(vec![violation]).into()
}

impl Assets {
    async fn do_upsert_asset(
        &self,
        request: Request<wire::UpsertAssetRequest>,
    ) -> ApiResult<wire::UpsertAssetResponse> {
        let principal = Principal::of(&request)?;
        let request = request.into_inner();
        let command = parse::upsert_asset(&request)?;
        let key = ("UpsertAsset", request.request_id.as_str());
        let (answer, replayed) =
            once::<wire::UpsertAssetResponse>(&self.executor, &principal, key, command).await?;
        Ok(wire::UpsertAssetResponse { replayed, ..answer })
    }

    async fn do_open_asset(
        &self,
        request: Request<wire::OpenAssetRequest>,
    ) -> ApiResult<wire::OpenAssetResponse> {
        let principal = Principal::of(&request)?;
        let request = request.into_inner();
        let customer = principal.customer_or_self(&request.customer_id)?;
        let asset = parse::asset_code("asset", &request.asset)?;
        let command = Command::OpenAsset(OpenAsset { customer, asset });
        let key = ("OpenAsset", request.request_id.as_str());
        let (answer, replayed) =
            once::<wire::OpenAssetResponse>(&self.executor, &principal, key, command).await?;
        Ok(wire::OpenAssetResponse { replayed, ..answer })
    }

    async fn do_deposit(&self, request: Request<wire::DepositRequest>) -> ApiResult<wire::MovementResponse> {
        let principal = Principal::of(&request)?;
        let request = request.into_inner();
        let customer = principal.customer_or_self(&request.customer_id)?;
        let command = parse::deposit(&request, customer, principal.actor())?;
        self.moved(&principal, ("Deposit", &request.request_id), command).await
    }

    async fn do_withdraw(
        &self,
        request: Request<wire::WithdrawRequest>,
    ) -> ApiResult<wire::MovementResponse> {
        let principal = Principal::of(&request)?;
        let request = request.into_inner();
        let customer = principal.customer_or_self(&request.customer_id)?;
        let command = parse::withdraw(&request, customer, principal.actor())?;
        self.moved(&principal, ("Withdraw", &request.request_id), command).await
    }

    async fn do_transfer(
        &self,
        request: Request<wire::TransferRequest>,
    ) -> ApiResult<wire::MovementResponse> {
        let principal = Principal::of(&request)?;
        let request = request.into_inner();
        let customer = principal.customer_or_self(&request.customer_id)?;
        let command = parse::transfer(&request, customer, principal.actor())?;
        self.moved(&principal, ("Transfer", &request.request_id), command).await
    }

    async fn moved(
        &self,
        principal: &Principal,
        key: (&'static str, &str),
        command: Command,
    ) -> ApiResult<wire::MovementResponse> {
        let (answer, replayed) =
            once::<wire::MovementResponse>(&self.executor, principal, key, command).await?;
        Ok(wire::MovementResponse { replayed, ..answer })
    }
}

#[tonic::async_trait]
impl AssetService for Assets {
    async fn upsert_asset(
        &self,
        request: Request<wire::UpsertAssetRequest>,
    ) -> Result<Response<wire::UpsertAssetResponse>, Status> {
        self.do_upsert_asset(request).await.map(Response::new).map_err(Status::from)
    }

    async fn open_asset(
        &self,
        request: Request<wire::OpenAssetRequest>,
    ) -> Result<Response<wire::OpenAssetResponse>, Status> {
        self.do_open_asset(request).await.map(Response::new).map_err(Status::from)
    }

    async fn deposit(
        &self,
        request: Request<wire::DepositRequest>,
    ) -> Result<Response<wire::MovementResponse>, Status> {
        self.do_deposit(request).await.map(Response::new).map_err(Status::from)
    }

    async fn withdraw(
        &self,
        request: Request<wire::WithdrawRequest>,
    ) -> Result<Response<wire::MovementResponse>, Status> {
        self.do_withdraw(request).await.map(Response::new).map_err(Status::from)
    }

    async fn transfer(
        &self,
        request: Request<wire::TransferRequest>,
    ) -> Result<Response<wire::MovementResponse>, Status> {
        self.do_transfer(request).await.map(Response::new).map_err(Status::from)
    }

    async fn list_assets(
        &self,
        request: Request<wire::ListAssetsRequest>,
    ) -> Result<Response<wire::ListAssetsResponse>, Status> {
        self.do_list_assets(request).await.map(Response::new).map_err(Status::from)
    }

    async fn list_postings(
        &self,
        request: Request<wire::ListPostingsRequest>,
    ) -> Result<Response<wire::ListPostingsResponse>, Status> {
        self.do_list_postings(request).await.map(Response::new).map_err(Status::from)
    }

    async fn get_balance_at(
        &self,
        request: Request<wire::GetBalanceAtRequest>,
    ) -> Result<Response<wire::Balance>, Status> {
        self.do_get_balance_at(request).await.map(Response::new).map_err(Status::from)
    }
}
