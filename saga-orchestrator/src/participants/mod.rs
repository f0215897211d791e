//! The participants over gRPC: command → call → reply; and the reads that a saga's input is made from.
//!
//! Not here: retries (`engine/drive`), and what a command does (the participants' own domain).

mod classify;
mod terms;
mod wire;

use std::time::Duration;

use brokerage_proto::asset::v1 as asset_wire;
use brokerage_proto::asset::v1::asset_participant_client::AssetParticipantClient;
use brokerage_proto::common::v1::{StepContext, StepReply};
use brokerage_proto::order::v1 as order_wire;
use brokerage_proto::order::v1::order_participant_client::OrderParticipantClient;
use service_kit::channel::{self, PeerChannel};
use service_kit::run::BootError;
use service_kit::settings::Settings;
use tonic::{Request as WireRequest, Response, Status};

pub use terms::{InstrumentTerms, OrderTerms, Terms, Which};

use crate::engine::pace::Pace;
use crate::engine::reply::{Answer, Direction, Participants, Request};
use crate::sagas::command::{Command, asset, order};

/// Both participants.
#[derive(Clone)]
pub struct Grpc {
    order: OrderParticipantClient<PeerChannel>,
    asset: AssetParticipantClient<PeerChannel>,
    attempt: Duration,
}

impl Grpc {
    /// Prepares the channels; nothing is connected yet.
    ///
    /// # Errors
    /// A peer's address is wrong.
    pub fn connect(settings: &Settings, pace: &Pace) -> Result<Self, BootError> {
        let identity = &settings.auth;
        Ok(Self {
            order: OrderParticipantClient::new(channel::connect(&settings.peers.order, identity)?),
            asset: AssetParticipantClient::new(channel::connect(&settings.peers.asset, identity)?),
            attempt: pace.attempt,
        })
    }

    /// A wire request with the attempt's deadline.
    fn stamped<T>(&self, message: T) -> WireRequest<T> {
        let mut request = WireRequest::new(message);
        request.set_timeout(self.attempt);
        request
    }

    async fn to_order(
        &self,
        context: StepContext,
        direction: Direction,
        command: &order::Command,
    ) -> Result<Response<StepReply>, Status> {
        let mut client = self.order.clone();
        let context = Some(context);
        if let Direction::Undo(reason) = direction {
            let reason = reason.as_str().to_owned();
            let command = Some(wire::order_command(command));
            let message = order_wire::CompensateRequest { context, reason, command };
            return client.compensate(self.stamped(message)).await;
        }
        match command {
            order::Command::Draft(command) => {
                let command = Some(wire::draft(command));
                client.draft(self.stamped(order_wire::DraftRequest { context, command })).await
            }
            order::Command::Open(command) => {
                let command = Some(wire::open(command));
                client.open(self.stamped(order_wire::OpenRequest { context, command })).await
            }
            order::Command::BeginCancel(command) => {
                let command = Some(wire::begin_cancel(command));
                client.begin_cancel(self.stamped(order_wire::BeginCancelRequest { context, command })).await
            }
            order::Command::AwaitDrain(command) => {
                let order_id = command.order_id.to_string();
                client.await_drain(self.stamped(order_wire::AwaitDrainRequest { context, order_id })).await
            }
            order::Command::ConfirmCancel(command) => {
                let command = Some(wire::confirm_cancel(command));
                client
                    .confirm_cancel(self.stamped(order_wire::ConfirmCancelRequest { context, command }))
                    .await
            }
            order::Command::ReserveMatch(command) => {
                let command = Some(wire::reserve_match(command));
                client.reserve_match(self.stamped(order_wire::ReserveMatchRequest { context, command })).await
            }
            order::Command::ApplyFill(command) => {
                let command = Some(wire::apply_fill(command));
                client.apply_fill(self.stamped(order_wire::ApplyFillRequest { context, command })).await
            }
        }
    }

    async fn to_asset(
        &self,
        context: StepContext,
        direction: Direction,
        command: &asset::Command,
    ) -> Result<Response<StepReply>, Status> {
        let mut client = self.asset.clone();
        let context = Some(context);
        if let Direction::Undo(reason) = direction {
            let reason = reason.as_str().to_owned();
            let command = Some(wire::asset_command(command));
            let message = asset_wire::CompensateRequest { context, reason, command };
            return client.compensate(self.stamped(message)).await;
        }
        match command {
            asset::Command::PlaceHold(command) => {
                let command = Some(wire::place_hold(command));
                client.place_hold(self.stamped(asset_wire::PlaceHoldRequest { context, command })).await
            }
            asset::Command::ReleaseHold(command) => {
                let command = Some(wire::release_hold(command));
                client.release_hold(self.stamped(asset_wire::ReleaseHoldRequest { context, command })).await
            }
            asset::Command::SettleTrade(command) => {
                let command = Some(wire::settle_trade(command));
                client.settle_trade(self.stamped(asset_wire::SettleTradeRequest { context, command })).await
            }
        }
    }
}

impl Participants for Grpc {
    async fn send(&self, request: &Request<'_>) -> Answer {
        let context = wire::context(request);
        let sent = match request.command {
            Command::Order(command) => self.to_order(context, request.direction, command).await,
            Command::Asset(command) => self.to_asset(context, request.direction, command).await,
        };
        match sent {
            Ok(reply) => classify::reply(&reply.into_inner()),
            Err(status) => Answer { reply: classify::status(&status), database_time: None },
        }
    }
}
