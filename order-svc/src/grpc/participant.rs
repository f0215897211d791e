//! `OrderParticipant`: saga steps, and what a saga reads before it starts. Internal listener only.

use brokerage_proto::common::v1::{StepReply, Verdict};
use brokerage_proto::order::v1 as proto;
use brokerage_proto::order::v1::order_participant_server::OrderParticipant;
use brokerage_proto::order::v1::order_step::Kind;
use brokerage_types::{OrderId, Reason, SagaId, Symbol};
use service_kit::database::Reads;
use service_kit::executor::{Executor, do_together};
use service_kit::fault::{ApiResult, Refusal};
use service_kit::validate::Fields;
use tonic::{Request, Response, Status};

use super::{commands, instrument_not_found, order_not_found, read, respond, wire};
use crate::domain::cancel::{Drain, drain};
use crate::store::books::OrderBooks;
use crate::store::reads;

/// Answers the orchestrator.
#[derive(Clone)]
pub struct Participant {
    executor: Executor<OrderBooks>,
    reads: Reads,
}

impl Participant {
    /// Over a service's write path and reads.
    pub fn new(executor: Executor<OrderBooks>, reads: Reads) -> Self {
        Self { executor, reads }
    }

    /// One step, however it came.
    async fn step(&self, step: Kind) -> Result<Response<StepReply>, Status> {
        let (context, command) = match step {
            Kind::Draft(request) => (request.context, commands::draft(request.command.as_ref())),
            Kind::Open(request) => (request.context, commands::open(request.command.as_ref())),
            Kind::BeginCancel(request) => (request.context, commands::begin_cancel(request.command.as_ref())),
            Kind::ConfirmCancel(request) => {
                (request.context, commands::confirm_cancel(request.command.as_ref()))
            }
            Kind::ReserveMatch(request) => {
                (request.context, commands::reserve_match(request.command.as_ref()))
            }
            Kind::ApplyFill(request) => (request.context, commands::apply_fill(request.command.as_ref())),
            Kind::Compensate(request) => {
                let command = commands::original(request.command.as_ref()).map_err(Status::from)?;
                return respond(self.executor.compensate(&request.context, command, &request.reason).await);
            }
        };
        respond(self.executor.step(&context, command.map_err(Status::from)?).await)
    }

    /// One step of several. An unknown kind is a newer caller's.
    async fn step_of_many(&self, step: Option<Kind>) -> Result<Response<StepReply>, Status> {
        match step {
            Some(step) => self.step(step).await,
            None => Err(Refusal::field("steps.kind", Reason::FieldRequired, "is missing or unknown").into()),
        }
    }

    async fn check_drain(&self, request: proto::AwaitDrainRequest) -> ApiResult<StepReply> {
        let mut fields = Fields::new();
        let saga = request.context.as_ref().map(|context| context.saga_id.as_str()).unwrap_or_default();
        let saga = fields.parse::<SagaId>("context.saga_id", saga);
        let order = fields.parse::<OrderId>("order_id", &request.order_id);
        let (saga, order) = fields.finish(saga.zip(order))?;
        let (row, read_at) = self.reads.run("check a drain", |pool| reads::drain_row(pool, order)).await?;
        // BeginCancel has found the order; what has not arrived here yet will.
        let drained =
            row.map_or(Drain::NotNow, |row| drain(row.status, row.cancel, row.inflight.is_zero(), saga));
        let (verdict, reason) = match drained {
            Drain::Drained => (Verdict::Done, ""),
            Drain::NotNow => (Verdict::NotNow, ""),
            Drain::TooLate => (Verdict::Rejected, Reason::TooLateToCancel.as_str()),
        };
        Ok(StepReply {
            verdict: verdict.into(),
            reason: reason.to_owned(),
            database_time: Some(wire::timestamp(read_at)),
            highest_epoch: 0,
        })
    }

    async fn read_terms(&self, request: proto::GetTermsRequest) -> ApiResult<proto::OrderTerms> {
        let (key, visible) = read::terms_request(&request)?;
        let terms = self.reads.run("read terms", |pool| reads::terms(pool, key, visible)).await?;
        Ok(wire::terms(&terms.ok_or_else(order_not_found)?))
    }

    async fn read_instrument(&self, symbol: &str) -> ApiResult<proto::Instrument> {
        let mut fields = Fields::new();
        let parsed = fields.parse::<Symbol>("symbol", symbol);
        let parsed = fields.finish(parsed)?;
        let listed = self.reads.run("read an instrument", |pool| reads::instrument(pool, parsed)).await?;
        Ok(wire::listed(&listed.ok_or_else(|| instrument_not_found(symbol))?))
    }
}

#[tonic::async_trait]
impl OrderParticipant for Participant {
    async fn draft(&self, request: Request<proto::DraftRequest>) -> Result<Response<StepReply>, Status> {
        self.step(Kind::Draft(request.into_inner())).await
    }

    async fn open(&self, request: Request<proto::OpenRequest>) -> Result<Response<StepReply>, Status> {
        self.step(Kind::Open(request.into_inner())).await
    }

    async fn begin_cancel(
        &self,
        request: Request<proto::BeginCancelRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.step(Kind::BeginCancel(request.into_inner())).await
    }

    async fn await_drain(
        &self,
        request: Request<proto::AwaitDrainRequest>,
    ) -> Result<Response<StepReply>, Status> {
        respond(self.check_drain(request.into_inner()).await)
    }

    async fn confirm_cancel(
        &self,
        request: Request<proto::ConfirmCancelRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.step(Kind::ConfirmCancel(request.into_inner())).await
    }

    async fn reserve_match(
        &self,
        request: Request<proto::ReserveMatchRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.step(Kind::ReserveMatch(request.into_inner())).await
    }

    async fn apply_fill(
        &self,
        request: Request<proto::ApplyFillRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.step(Kind::ApplyFill(request.into_inner())).await
    }

    async fn compensate(
        &self,
        request: Request<proto::CompensateRequest>,
    ) -> Result<Response<StepReply>, Status> {
        self.step(Kind::Compensate(request.into_inner())).await
    }

    async fn do_steps(
        &self,
        request: Request<proto::DoStepsRequest>,
    ) -> Result<Response<proto::DoStepsReply>, Status> {
        let steps = request.into_inner().steps.into_iter().map(|step| (step.traceparent, step.kind));
        let outcomes = do_together(steps.collect(), |step| self.step_of_many(step)).await?;
        Ok(Response::new(proto::DoStepsReply { outcomes }))
    }

    async fn get_terms(
        &self,
        request: Request<proto::GetTermsRequest>,
    ) -> Result<Response<proto::OrderTerms>, Status> {
        respond(self.read_terms(request.into_inner()).await)
    }

    async fn get_instrument_terms(
        &self,
        request: Request<proto::GetInstrumentTermsRequest>,
    ) -> Result<Response<proto::Instrument>, Status> {
        respond(self.read_instrument(&request.into_inner().symbol).await)
    }
}
