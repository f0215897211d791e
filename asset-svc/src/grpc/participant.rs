//! AssetParticipant: saga steps, and what a saga's input needs to know. Internal listener only.

use brokerage_proto::asset::v1 as wire;
use brokerage_proto::asset::v1::asset_participant_server::AssetParticipant;
use brokerage_proto::asset::v1::asset_step::Kind;
use brokerage_proto::common::v1::StepReply;
use brokerage_types::{CustomerId, Reason};
use service_kit::clock::SharedClock;
use service_kit::database::Reads;
use service_kit::executor::{Executor, do_together};
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
    /// One step, however it came.
    async fn step(&self, step: Kind) -> ApiResult<StepReply> {
        match step {
            Kind::PlaceHold(request) => {
                let hold = parse::place_hold(&request.command)?;
                self.executor.step(&request.context, Command::PlaceHold(hold)).await
            }
            Kind::ReleaseHold(request) => {
                self.executor.step(&request.context, parse::release_hold(&request.command)?).await
            }
            Kind::SettleTrade(request) => {
                self.executor.step(&request.context, parse::settle_trade(&request.command)?).await
            }
            Kind::Compensate(request) => {
                let command = parse::original(&request.command)?;
                self.executor.compensate(&request.context, command, &request.reason).await
            }
        }
    }

    async fn respond(&self, step: Kind) -> Result<Response<StepReply>, Status> {
        self.step(step).await.map(Response::new).map_err(Status::from)
    }

    /// One step of several. An unknown kind is a newer caller's.
    async fn step_of_many(&self, step: Option<Kind>) -> Result<Response<StepReply>, Status> {
        match step {
            Some(step) => self.respond(step).await,
            None => Err(Refusal::field("steps.kind", Reason::FieldRequired, "is missing or unknown").into()),
        }
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
        self.respond(Kind::PlaceHold(request.into_inner())).await
    }

    async fn release_hold(
        &self,
        request: Request<wire::ReleaseHoldRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.respond(Kind::ReleaseHold(request.into_inner())).await
    }

    async fn settle_trade(
        &self,
        request: Request<wire::SettleTradeRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.respond(Kind::SettleTrade(request.into_inner())).await
    }

    async fn compensate(
        &self,
        request: Request<wire::CompensateRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.respond(Kind::Compensate(request.into_inner())).await
    }

    async fn do_steps(
        &self,
        request: Request<wire::DoStepsRequest>,
    ) -> Result<Response<wire::DoStepsReply>, Status> {
        let steps = request.into_inner().steps.into_iter().map(|step| (step.traceparent, step.kind));
        let outcomes = do_together(steps.collect(), |step| self.step_of_many(step)).await?;
        Ok(Response::new(wire::DoStepsReply { outcomes }))
    }

    async fn get_customer_terms(
        &self,
        request: Request<wire::GetCustomerTermsRequest>,
    ) -> Result<Response<wire::CustomerTerms>, Status> {
        self.do_get_customer_terms(request.into_inner()).await.map(Response::new).map_err(Status::from)
    }
}
