//! The orchestrator: drives the create, cancel and match sagas, and keeps their intents and trails.
//!
//! Reading order: [`sagas`] (what a saga is, as data), [`engine`] (the decisions and the one loop), [`participants`]
//! (the services that do the steps), [`store`], [`shell`] (drivers as tasks, recovery), [`grpc`].

pub mod engine;
pub mod grpc;
pub mod participants;
pub mod sagas;
pub mod shell;
pub mod store;

use std::sync::Arc;

use brokerage_proto::saga::v1::saga_service_server::{SERVICE_NAME as SAGA_SERVICE, SagaServiceServer};
use brokerage_proto::trading::v1::trading_service_server::{
    SERVICE_NAME as TRADING_SERVICE, TradingServiceServer,
};
use service_kit::months;
use service_kit::run::{BootError, Kit, Routes, Service};
use service_kit::seal::Sealers;
use sqlx::migrate::Migrator;

use engine::drive::Engine;
use engine::links::Links;
use engine::pace::Pace;
use grpc::{Desk, SagaApi, TradingApi};
use participants::{Grpc, Inboxes, Terms};
use shell::{Changes, Drivers, FrontDoor, Meters, Platoons, RedisLink};
use store::{OperatorTrail, Store, Unended};

/// The orchestrator as a service.
pub struct Orchestrator;

/// The orchestrator's own migrations, versions from 1000.
#[must_use]
pub fn migrations() -> Migrator {
    sqlx::migrate!("./migrations")
}

impl Service for Orchestrator {
    const NAME: &'static str = "saga-orchestrator";

    fn migrations() -> Migrator {
        migrations()
    }

    async fn build(kit: Kit) -> Result<Routes, BootError> {
        let pace = Pace::scaled(kit.settings.time_scale);
        let grpc = Grpc::connect(&kit, &pace)?;
        let inboxes = Inboxes::connect(&kit, pace.attempt * 4)?;
        let redis =
            kit.settings.redis_url.as_deref().map(RedisLink::new).transpose().map_err(BootError::service)?;
        kit.tasks.spawn(months::keep(kit.clone(), "saga_log", kit.settings.retention.saga_log_days));
        let store = Store::start(&kit);
        Sealers::new(&kit)?.start::<OperatorTrail>();
        let changes = Changes::start(&kit, redis.as_ref());
        let meters = Meters::new(&kit.metrics)?;
        let terms = Arc::new(Terms::new(grpc.clone(), pace.attempt * 4));
        let links = Arc::new(Links::new(&pace));
        let engine = Engine { participants: grpc, pace, clock: kit.clock.clone(), links };
        let drivers =
            Arc::new(Drivers::new(kit.clone(), engine, store.clone(), changes.clone(), meters.clone()));
        if let Err(fault) = store.beat(drivers.me).await {
            // The service lives without its database, and is not ready; the heartbeat starts when that is back.
            tracing::warn!("no heartbeat yet: {}", fault.chain());
        }
        kit.look(Unended { store: store.clone(), meters: meters.clone() });
        kit.tasks.spawn(shell::watch_links(kit.clone(), Arc::clone(&drivers), meters.clone()));
        let search = (store.clone(), inboxes);
        kit.tasks.spawn(shell::adopt_orphans(kit.clone(), Arc::clone(&drivers), search, meters.clone()));
        let platoons = Platoons::new(kit.settings.limits.platoon_sagas, meters.boarding());
        kit.tasks.spawn(shell::recover(kit.clone(), Arc::clone(&drivers), store.clone(), meters));
        let door = FrontDoor::new(redis);
        let desk = Desk { drivers, store, terms, platoons, door, changes, kit: kit.clone() };
        let bytes = kit.settings.limits.public_message_bytes;
        let trading =
            TradingServiceServer::new(TradingApi::new(desk.clone())).max_decoding_message_size(bytes);
        let sagas = SagaServiceServer::new(SagaApi::new(desk)).max_decoding_message_size(bytes);
        Ok(Routes {
            public: tonic::service::Routes::new(trading).add_service(sagas),
            public_descriptors: vec![TRADING_SERVICE, SAGA_SERVICE],
            ..Routes::default()
        })
    }
}
