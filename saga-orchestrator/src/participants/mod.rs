//! The participants over gRPC: command → call → reply; and the reads that a saga's input is made from.
//!
//! Not here: retries (`engine/drive`), and what a command does (the participants' own domain).

mod classify;
mod convoy;
mod courier;
mod inboxes;
mod terms;
mod wire;

use std::time::Duration;

use brokerage_proto::asset::v1 as asset_wire;
use brokerage_proto::asset::v1::asset_participant_client::AssetParticipantClient;
use brokerage_proto::asset::v1::asset_step;
use brokerage_proto::common::v1::{StepContext, StepOutcome, StepReply};
use brokerage_proto::order::v1 as order_wire;
use brokerage_proto::order::v1::order_participant_client::OrderParticipantClient;
use brokerage_proto::order::v1::order_step;
use service_kit::channel::{self, PeerChannel};
use service_kit::names::{self, attribute};
use service_kit::run::{BootError, Kit};
use service_kit::telemetry::{self, Kind as SpanKind};
use tonic::{Response, Status};

pub use inboxes::{Inboxes, Remembered, encode};
pub use terms::{InstrumentTerms, OrderTerms, Terms, Which};

use crate::engine::pace::Pace;
use crate::engine::reply::{Answer, Direction, Participants, Reply, Request};
use crate::sagas::command::{Command, asset, order};
use courier::{Courier, Target, stamped};

type OrderClient = OrderParticipantClient<PeerChannel>;
type AssetClient = AssetParticipantClient<PeerChannel>;

/// Both participants.
#[derive(Clone)]
pub struct Grpc {
    order: OrderClient,
    asset: AssetClient,
    order_steps: Courier<OrderClient>,
    asset_steps: Courier<AssetClient>,
    attempt: Duration,
}

impl Grpc {
    /// Prepares the channels; nothing is connected yet. Must be called inside a runtime.
    ///
    /// # Errors
    /// A peer's address is wrong.
    pub fn connect(kit: &Kit, pace: &Pace) -> Result<Self, BootError> {
        let (identity, peers) = (&kit.settings.auth, &kit.settings.peers);
        let order = OrderParticipantClient::new(channel::connect(&peers.order, identity, &kit.metrics)?);
        let asset = AssetParticipantClient::new(channel::connect(&peers.asset, identity, &kit.metrics)?);
        let (first, second) = convoy::pair();
        let order_steps = Courier::start(order.clone(), pace.attempt, first);
        let asset_steps = Courier::start(asset.clone(), pace.attempt, second);
        Ok(Self { order, asset, order_steps, asset_steps, attempt: pace.attempt })
    }

    /// A step as the wire has it, or the check that it is.
    fn order_step(
        context: StepContext,
        direction: Direction,
        command: &order::Command,
    ) -> Result<order_step::Kind, order_wire::AwaitDrainRequest> {
        use order_step::Kind;
        let context = Some(context);
        if let Direction::Undo(reason) = direction {
            let (reason, command) = (reason.as_str().to_owned(), Some(wire::order_command(command)));
            let undo = order_wire::CompensateRequest { context, reason, command };
            return Ok(Kind::Compensate(undo));
        }
        Ok(match command {
            order::Command::Draft(command) => {
                Kind::Draft(order_wire::DraftRequest { context, command: Some(wire::draft(command)) })
            }
            order::Command::Open(command) => {
                Kind::Open(order_wire::OpenRequest { context, command: Some(wire::open(command)) })
            }
            order::Command::BeginCancel(command) => {
                let command = Some(wire::begin_cancel(command));
                Kind::BeginCancel(order_wire::BeginCancelRequest { context, command })
            }
            order::Command::AwaitDrain(command) => {
                let order_id = command.order_id.to_string();
                return Err(order_wire::AwaitDrainRequest { context, order_id });
            }
            order::Command::ConfirmCancel(command) => {
                let command = Some(wire::confirm_cancel(command));
                Kind::ConfirmCancel(order_wire::ConfirmCancelRequest { context, command })
            }
            order::Command::ReserveMatch(command) => {
                let command = Some(wire::reserve_match(command));
                Kind::ReserveMatch(order_wire::ReserveMatchRequest { context, command })
            }
            order::Command::ApplyFill(command) => {
                let command = Some(wire::apply_fill(command));
                Kind::ApplyFill(order_wire::ApplyFillRequest { context, command })
            }
        })
    }

    /// Sends it, once this is polled. What is large is on the stack while it is made, and not kept while it is awaited.
    async fn sent(&self, context: StepContext, request: &Request<'_>) -> Answer {
        let direction = request.direction;
        match request.command {
            Command::Asset(command) => {
                self.asset_steps.send(Self::asset_step(context, direction, command)).await
            }
            Command::Order(command) => match Self::order_step(context, direction, command) {
                Ok(step) => self.order_steps.send(step).await,
                Err(check) => Box::pin(self.check_drain(check)).await,
            },
        }
    }

    /// A check is a read: it does not travel with the steps, which would wait for it.
    async fn check_drain(&self, message: order_wire::AwaitDrainRequest) -> Answer {
        let mut client = self.order.clone();
        match client.await_drain(stamped(message, self.attempt)).await {
            Ok(reply) => classify::reply(&reply.into_inner()),
            Err(status) => Answer { reply: classify::status(&status), database_time: None },
        }
    }

    /// A step as the wire has it.
    fn asset_step(context: StepContext, direction: Direction, command: &asset::Command) -> asset_step::Kind {
        use asset_step::Kind;
        let context = Some(context);
        if let Direction::Undo(reason) = direction {
            let (reason, command) = (reason.as_str().to_owned(), Some(wire::asset_command(command)));
            let undo = asset_wire::CompensateRequest { context, reason, command };
            return Kind::Compensate(undo);
        }
        match command {
            asset::Command::PlaceHold(command) => {
                let command = Some(wire::place_hold(command));
                Kind::PlaceHold(asset_wire::PlaceHoldRequest { context, command })
            }
            asset::Command::ReleaseHold(command) => {
                let command = Some(wire::release_hold(command));
                Kind::ReleaseHold(asset_wire::ReleaseHoldRequest { context, command })
            }
            asset::Command::SettleTrade(command) => {
                let command = Some(wire::settle_trade(command));
                Kind::SettleTrade(asset_wire::SettleTradeRequest { context, command })
            }
        }
    }
}

impl Participants for Grpc {
    async fn send(&self, request: &Request<'_>) -> Answer {
        let context = wire::context(request);
        let (name, is_undo) = (request.command.name(), request.direction.is_undo());
        let mut span = telemetry::span(SpanKind::Internal, || names::attempt(name, is_undo));
        if span.is_recorded() {
            span.set(attribute::STEP, request.step);
            span.set(attribute::COMMAND, name);
            span.set(attribute::DIRECTION, if is_undo { "undo" } else { "do" });
            span.set(attribute::ATTEMPT, request.attempt);
            span.set(attribute::PARTICIPANT, request.command.participant().as_str());
            // Until there is an answer: the driver may stop waiting for one.
            span.set(attribute::VERDICT, "UNKNOWN");
        }
        let answer = telemetry::within(span.scope_or_current(), self.sent(context, request)).await;
        span.set(attribute::VERDICT, answer.reply.word());
        match &answer.reply {
            Reply::Rejected(reason) | Reply::Tombstone(reason) | Reply::Undone(reason) => {
                span.set(attribute::REASON, reason.as_str());
            }
            Reply::Unknown(_) | Reply::Poison(_) => span.fail(answer.reply.word()),
            Reply::Done | Reply::Refused | Reply::NotNow | Reply::Expired | Reply::StaleEpoch(_) => {}
        }
        answer
    }
}

impl Target for OrderClient {
    type Step = order_step::Kind;

    async fn one(mut self, step: Self::Step, deadline: Duration) -> Result<StepReply, Status> {
        use order_step::Kind;
        let reply = match step {
            Kind::Draft(message) => self.draft(stamped(message, deadline)).await,
            Kind::Open(message) => self.open(stamped(message, deadline)).await,
            Kind::BeginCancel(message) => self.begin_cancel(stamped(message, deadline)).await,
            Kind::ConfirmCancel(message) => self.confirm_cancel(stamped(message, deadline)).await,
            Kind::ReserveMatch(message) => self.reserve_match(stamped(message, deadline)).await,
            Kind::ApplyFill(message) => self.apply_fill(stamped(message, deadline)).await,
            Kind::Compensate(message) => self.compensate(stamped(message, deadline)).await,
        };
        reply.map(Response::into_inner)
    }

    async fn many(
        mut self,
        steps: Vec<(String, Self::Step)>,
        deadline: Duration,
    ) -> Result<Vec<StepOutcome>, Status> {
        let step = |(traceparent, kind)| order_wire::OrderStep { traceparent, kind: Some(kind) };
        let message = order_wire::DoStepsRequest { steps: steps.into_iter().map(step).collect() };
        Ok(self.do_steps(stamped(message, deadline)).await?.into_inner().outcomes)
    }
}

impl Target for AssetClient {
    type Step = asset_step::Kind;

    async fn one(mut self, step: Self::Step, deadline: Duration) -> Result<StepReply, Status> {
        use asset_step::Kind;
        let reply = match step {
            Kind::PlaceHold(message) => self.place_hold(stamped(message, deadline)).await,
            Kind::ReleaseHold(message) => self.release_hold(stamped(message, deadline)).await,
            Kind::SettleTrade(message) => self.settle_trade(stamped(message, deadline)).await,
            Kind::Compensate(message) => self.compensate(stamped(message, deadline)).await,
        };
        reply.map(Response::into_inner)
    }

    async fn many(
        mut self,
        steps: Vec<(String, Self::Step)>,
        deadline: Duration,
    ) -> Result<Vec<StepOutcome>, Status> {
        let step = |(traceparent, kind)| asset_wire::AssetStep { traceparent, kind: Some(kind) };
        let message = asset_wire::DoStepsRequest { steps: steps.into_iter().map(step).collect() };
        Ok(self.do_steps(stamped(message, deadline)).await?.into_inner().outcomes)
    }
}
