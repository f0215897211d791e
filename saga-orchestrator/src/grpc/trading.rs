//! TradingService: create, cancel, match.

use brokerage_proto::trading::v1 as wire;
use brokerage_proto::trading::v1::trading_service_server::TradingService;
use service_kit::auth::Principal;
use tonic::{Request, Response, Status};

use super::Desk;

/// The service.
pub struct TradingApi {
    desk: Desk,
}

impl TradingApi {
    /// Works at this desk.
    #[must_use]
    pub fn new(desk: Desk) -> Self {
        Self { desk }
    }
}

#[tonic::async_trait]
impl TradingService for TradingApi {
    async fn create_order(
        &self,
        request: Request<wire::CreateOrderRequest>,
    ) -> Result<Response<wire::CreateOrderResponse>, Status> {
        let principal = Principal::of(&request)?;
        let created = self.desk.create(&principal, request.into_inner()).await;
        created.map(Response::new).map_err(Status::from)
    }

    async fn cancel_order(
        &self,
        request: Request<wire::CancelOrderRequest>,
    ) -> Result<Response<wire::CancelOrderResponse>, Status> {
        let principal = Principal::of(&request)?;
        let canceled = self.desk.cancel(&principal, request.into_inner()).await;
        canceled.map(Response::new).map_err(Status::from)
    }

    async fn match_orders(
        &self,
        request: Request<wire::MatchOrdersRequest>,
    ) -> Result<Response<wire::MatchOrdersResponse>, Status> {
        let principal = Principal::of(&request)?;
        let matched = self.desk.match_orders(&principal, request.into_inner()).await;
        matched.map(Response::new).map_err(Status::from)
    }
}
