//! AssetParticipant: saga steps, and what a saga's input needs to know. Internal listener only.

use brokerage_proto::asset::v1 as wire;
use brokerage_proto::asset::v1::asset_participant_server::AssetParticipant;
use brokerage_proto::common::v1::StepReply;
use brokerage_types::{CustomerId, Reason};
use service_kit::clock::SharedClock;
use service_kit::database::Reads;
use service_kit::executor::Executor;
use service_kit::fault::{ApiResult, Refusal};
use service_kit::validate::Fields;
use tonic::{Request, Response, Status};

use super::answer::of_state;
use super::{no_customer, parse};
use crate::domain::command::Command;
use crate::domain::plan::Moment;
use crate::store::{AssetBooks, reads};

/// The handlers.
pub struct Participant {
    /// The write path.
    pub executor: Executor<AssetBooks>,
    /// The read path.
    pub reads: Reads,
    /// For rehearsals, which keep nothing.
    pub clock: SharedClock,
}

impl Participant {
    async fn do_place_hold(&self, request: wire::PlaceHoldRequest) -> ApiResult<StepReply> {
        let hold = parse::place_hold(&request.command)?;
        self.executor.step(&request.context, Command::PlaceHold(hold)).await
    }

    async fn do_release_hold(&self, request: wire::ReleaseHoldRequest) -> ApiResult<StepReply> {
        self.executor.step(&request.context, parse::release_hold(&request.command)?).await
    }

    async fn do_settle_trade(&self, request: wire::SettleTradeRequest) -> ApiResult<StepReply> {
        self.executor.step(&request.context, parse::settle_trade(&request.command)?).await
    }

    async fn do_compensate(&self, request: wire::CompensateRequest) -> ApiResult<StepReply> {
        let command = parse::original(&request.command)?;
        self.executor.compensate(&request.context, command, &request.reason).await
    }

    async fn do_get_customer_terms(
        &self,
        request: wire::GetCustomerTermsRequest,
    ) -> ApiResult<wire::CustomerTerms> {
        let mut fields = Fields::new();
        let customer = fields.parse("customer_id", &request.customer_id);
        let id: CustomerId = fields.finish(customer)?;
        let found = {
            let id = id.clone();
            self.reads.run("get a customer", |pool| reads::customer(pool, id, None)).await?
        };
        let state = of_state(found.ok_or_else(|| no_customer(&id))?.state).into();
        let Some(hold) = &request.hold else {
            return Ok(wire::CustomerTerms { state, hold_refusal: String::new() });
        };
        let hold = parse::hold_to_rehearse(hold)?;
        if hold.customer != id {
            let description = "must be the customer who is asked about";
            return Err(Refusal::field("hold.customer_id", Reason::FieldInvalid, description).into());
        }
        let moment = Moment { saga_id: hold.hold_id.uuid(), now: self.clock.now() };
        let refused =
            self.reads.run("rehearse a hold", move |pool| reads::rehearse_hold(pool, moment, hold)).await?;
        let hold_refusal = refused.map(|refused| refused.reason().as_str().to_owned()).unwrap_or_default();
        Ok(wire::CustomerTerms { state, hold_refusal })
    }
}

#[tonic::async_trait]
impl AssetParticipant for Participant {
    async fn place_hold(
        &self,
        request: Request<wire::PlaceHoldRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.do_place_hold(request.into_inner()).await.map(Response::new).map_err(Status::from)
    }

    async fn release_hold(
        &self,
        request: Request<wire::ReleaseHoldRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.do_release_hold(request.into_inner()).await.map(Response::new).map_err(Status::from)
    }

    async fn settle_trade(
        &self,
        request: Request<wire::SettleTradeRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.do_settle_trade(request.into_inner()).await.map(Response::new).map_err(Status::from)
    }

    async fn compensate(
        &self,
        request: Request<wire::CompensateRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.do_compensate(request.into_inner()).await.map(Response::new).map_err(Status::from)
    }

    async fn get_customer_terms(
        &self,
        request: Request<wire::GetCustomerTermsRequest>,
    ) -> Result<Response<wire::CustomerTerms>, Status> {
        self.do_get_customer_terms(request.into_inner()).await.map(Response::new).map_err(Status::from)
    }
}
