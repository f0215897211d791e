//! The smallest service: sagas on the public side, an asset participant on the internal one.
//!
//! What `GetSaga` does depends on the id: `panic` panics, `wait` waits until it is released, anything else answers.

use std::pin::Pin;
use std::sync::Arc;

use brokerage_proto::asset::v1 as asset;
use brokerage_proto::common::v1::StepReply;
use brokerage_proto::saga::v1 as saga;
use service_kit::auth::Principal;
use service_kit::run::{Addresses, BootError, Kit, Listeners, Routes, Service, run_until};
use service_kit::settings::Settings;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_stream::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// What tests and the service share. There is one service type, so the gate travels in a task-local.
#[derive(Clone, Default)]
pub struct Gate {
    /// A waiting call has begun.
    pub begun: Arc<Notify>,
    /// Waiting calls may end.
    pub open: Arc<Notify>,
}

tokio::task_local! {
    static GATE: Gate;
}

pub struct Small;

impl Service for Small {
    const NAME: &'static str = "small-svc";

    fn migrations() -> sqlx::migrate::Migrator {
        sqlx::migrate::Migrator::DEFAULT
    }

    async fn build(kit: Kit) -> Result<Routes, BootError> {
        let limits = &kit.settings.limits;
        let sagas = Sagas { gate: GATE.with(Clone::clone), shutdown: kit.shutdown.clone() };
        let sagas = saga::saga_service_server::SagaServiceServer::new(sagas)
            .max_decoding_message_size(limits.public_message_bytes);
        let assets = asset::asset_participant_server::AssetParticipantServer::new(Assets)
            .max_decoding_message_size(limits.internal_message_bytes);
        Ok(Routes {
            public: tonic::service::Routes::new(sagas),
            internal: tonic::service::Routes::new(assets),
            public_descriptors: vec!["brokerage.saga.v1.SagaService"],
            internal_descriptors: vec!["brokerage.asset.v1.AssetParticipant"],
        })
    }
}

/// A running service.
pub struct Running {
    pub addresses: Addresses,
    pub gate: Gate,
    pub shutdown: CancellationToken,
    pub ended: JoinHandle<Result<(), BootError>>,
}

pub async fn start(settings: Settings) -> Running {
    let listeners = Listeners::local().await.unwrap();
    let addresses = listeners.addresses().unwrap();
    let (gate, shutdown) = (Gate::default(), CancellationToken::new());
    let ended =
        tokio::spawn(GATE.scope(gate.clone(), run_until::<Small>(settings, listeners, shutdown.clone())));
    Running { addresses, gate, shutdown, ended }
}

struct Sagas {
    gate: Gate,
    shutdown: CancellationToken,
}

#[tonic::async_trait]
impl saga::saga_service_server::SagaService for Sagas {
    async fn get_saga(&self, request: Request<saga::GetSagaRequest>) -> Result<Response<saga::Saga>, Status> {
        let caller = Principal::of(&request)?.subject;
        let saga_id = request.into_inner().saga_id;
        match saga_id.as_str() {
            "panic" => panic!("as asked"),
            "wait" => {
                self.gate.begun.notify_one();
                self.gate.open.notified().await;
            }
            _ => {}
        }
        Ok(Response::new(saga::Saga { saga_id, caller, ..Default::default() }))
    }

    async fn list_sagas(
        &self,
        _: Request<saga::ListSagasRequest>,
    ) -> Result<Response<saga::ListSagasResponse>, Status> {
        Ok(Response::new(saga::ListSagasResponse::default()))
    }

    type WatchSagaStream = Pin<Box<dyn Stream<Item = Result<saga::Saga, Status>> + Send>>;

    /// One saga now, one at each release, until the service ends.
    async fn watch_saga(
        &self,
        _: Request<saga::WatchSagaRequest>,
    ) -> Result<Response<Self::WatchSagaStream>, Status> {
        let (gate, shutdown) = (self.gate.clone(), self.shutdown.clone());
        let later = futures::stream::unfold((), move |()| {
            let (gate, shutdown) = (gate.clone(), shutdown.clone());
            async move {
                tokio::select! {
                    () = gate.open.notified() => Some((Ok(saga::Saga::default()), ())),
                    () = shutdown.cancelled() => None,
                }
            }
        });
        let now = tokio_stream::once(Ok(saga::Saga::default()));
        Ok(Response::new(Box::pin(now.chain(later))))
    }

    async fn retry_saga(
        &self,
        _: Request<saga::RetrySagaRequest>,
    ) -> Result<Response<saga::RetrySagaResponse>, Status> {
        Ok(Response::new(saga::RetrySagaResponse::default()))
    }

    async fn explain_saga(
        &self,
        _: Request<saga::ExplainSagaRequest>,
    ) -> Result<Response<saga::SagaExplanation>, Status> {
        Ok(Response::new(saga::SagaExplanation::default()))
    }

    async fn pause_saga(
        &self,
        _: Request<saga::PauseSagaRequest>,
    ) -> Result<Response<saga::PauseSagaResponse>, Status> {
        Ok(Response::new(saga::PauseSagaResponse::default()))
    }

    async fn list_operator_actions(
        &self,
        _: Request<saga::ListOperatorActionsRequest>,
    ) -> Result<Response<saga::ListOperatorActionsResponse>, Status> {
        Ok(Response::new(saga::ListOperatorActionsResponse::default()))
    }

    async fn abort_saga(
        &self,
        _: Request<saga::AbortSagaRequest>,
    ) -> Result<Response<saga::AbortSagaResponse>, Status> {
        Ok(Response::new(saga::AbortSagaResponse::default()))
    }
}

struct Assets;

#[tonic::async_trait]
impl asset::asset_participant_server::AssetParticipant for Assets {
    async fn place_hold(&self, _: Request<asset::PlaceHoldRequest>) -> Result<Response<StepReply>, Status> {
        Ok(Response::new(StepReply::default()))
    }

    async fn release_hold(
        &self,
        _: Request<asset::ReleaseHoldRequest>,
    ) -> Result<Response<StepReply>, Status> {
        Ok(Response::new(StepReply::default()))
    }

    async fn settle_trade(
        &self,
        _: Request<asset::SettleTradeRequest>,
    ) -> Result<Response<StepReply>, Status> {
        Ok(Response::new(StepReply::default()))
    }

    async fn compensate(&self, _: Request<asset::CompensateRequest>) -> Result<Response<StepReply>, Status> {
        Ok(Response::new(StepReply::default()))
    }

    async fn do_steps(
        &self,
        _: Request<asset::DoStepsRequest>,
    ) -> Result<Response<asset::DoStepsReply>, Status> {
        Ok(Response::new(asset::DoStepsReply::default()))
    }

    async fn get_customer_terms(
        &self,
        request: Request<asset::GetCustomerTermsRequest>,
    ) -> Result<Response<asset::CustomerTerms>, Status> {
        let hold_refusal = Principal::of(&request)?.subject;
        Ok(Response::new(asset::CustomerTerms { hold_refusal, ..Default::default() }))
    }
}
