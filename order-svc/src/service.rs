//! How the service is put together: one executor, one pool of reads, two listeners.

use brokerage_proto::order::v1::event_service_server::{self, EventServiceServer};
use brokerage_proto::order::v1::order_participant_server::{self, OrderParticipantServer};
use brokerage_proto::order::v1::order_service_server::{self, OrderServiceServer};
use service_kit::events::EventLog;
use service_kit::executor::{Executor, serve_first_steps};
use service_kit::run::{BootError, Kit, Routes, Service};
use sqlx::migrate::Migrator;

use crate::grpc::{Events, Participant, Public};
use crate::store::books::OrderBooks;
use crate::store::in_flight::InFlight;

/// Orders, trades and instruments.
#[derive(Debug)]
pub struct OrderService;

/// This service's own schema, versions from 1001; the kit's comes before it.
pub fn migrations() -> Migrator {
    sqlx::migrate!("./migrations")
}

impl Service for OrderService {
    const NAME: &'static str = "order-svc";

    fn migrations() -> Migrator {
        migrations()
    }

    async fn build(kit: Kit) -> Result<Routes, BootError> {
        let executor = Executor::start(&kit, OrderBooks);
        kit.look(InFlight::new(kit.reads.clone(), &kit.metrics)?);
        let public = Public::new(executor.clone(), kit.reads.clone());
        let participant = Participant::new(executor, kit.reads.clone());
        let limits = &kit.settings.limits;
        let public = OrderServiceServer::new(public).max_decoding_message_size(limits.public_message_bytes);
        let events = EventServiceServer::new(Events(EventLog::start(&kit)?))
            .max_decoding_message_size(limits.public_message_bytes);
        let participant =
            OrderParticipantServer::new(participant).max_decoding_message_size(limits.internal_message_bytes);
        let routes = Routes {
            public: tonic::service::Routes::new(public).add_service(events),
            internal: tonic::service::Routes::new(participant),
            public_descriptors: vec![order_service_server::SERVICE_NAME, event_service_server::SERVICE_NAME],
            internal_descriptors: vec![order_participant_server::SERVICE_NAME],
        };
        Ok(serve_first_steps(&kit, routes))
    }
}
