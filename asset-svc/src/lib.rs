//! Accounts, journal and holds: every lira and share.
//!
//! `domain` decides and is pure: read `domain/hold.rs`, then `domain/ledger.rs`, then `domain/settle.rs`. `store`
//! talks SQL, `grpc` is thin. All writes go through service-kit's executor, which plugs in at `store/books.rs`.

pub mod domain;
pub mod grpc;
pub mod store;

use brokerage_proto::asset::v1::asset_participant_server::{self, AssetParticipantServer};
use brokerage_proto::asset::v1::asset_service_server::{self, AssetServiceServer};
use brokerage_proto::asset::v1::customer_service_server::{self, CustomerServiceServer};
use brokerage_proto::asset::v1::event_service_server::{self, EventServiceServer};
use service_kit::events::EventLog;
use service_kit::executor::{Executor, serve_first_steps};
use service_kit::run::{BootError, Kit, Routes, Service};
use service_kit::seal::Sealers;
use sqlx::migrate::Migrator;

use crate::grpc::{Assets, Customers, Events, Participant, answer};
use crate::store::{AssetBooks, BalanceCheck, Journal};

/// The service's own migrations, without the kit's.
#[must_use]
pub fn migrations() -> Migrator {
    sqlx::migrate!("./migrations")
}

/// The asset service.
#[derive(Debug)]
pub struct AssetService;

impl Service for AssetService {
    const NAME: &'static str = "asset-svc";

    fn migrations() -> Migrator {
        migrations()
    }

    async fn build(kit: Kit) -> Result<Routes, BootError> {
        let executor = Executor::start(&kit, AssetBooks::new(answer::encode));
        Sealers::new(&kit)?.start::<Journal>();
        kit.look(BalanceCheck::new(kit.reads.clone(), &kit.metrics)?);
        let limits = &kit.settings.limits;
        let assets = Assets { executor: executor.clone(), reads: kit.reads.clone() };
        let customers = Customers { executor: executor.clone(), reads: kit.reads.clone() };
        let participant = Participant { executor, reads: kit.reads.clone(), clock: kit.clock.clone() };
        let public = tonic::service::Routes::new(
            AssetServiceServer::new(assets).max_decoding_message_size(limits.public_message_bytes),
        )
        .add_service(
            CustomerServiceServer::new(customers).max_decoding_message_size(limits.public_message_bytes),
        )
        .add_service(
            EventServiceServer::new(Events(EventLog::start(&kit)?))
                .max_decoding_message_size(limits.public_message_bytes),
        );
        let internal = tonic::service::Routes::new(
            AssetParticipantServer::new(participant).max_decoding_message_size(limits.internal_message_bytes),
        );
        let routes = Routes {
            public,
            internal,
            public_descriptors: vec![
                asset_service_server::SERVICE_NAME,
                customer_service_server::SERVICE_NAME,
                event_service_server::SERVICE_NAME,
            ],
            internal_descriptors: vec![asset_participant_server::SERVICE_NAME],
        };
        Ok(serve_first_steps(&kit, routes))
    }
}
