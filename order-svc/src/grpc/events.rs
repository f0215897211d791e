//! The log of this service's events, as a stream. The kit does the work.

use brokerage_proto::common::v1::SubscribeRequest;
use brokerage_proto::order::v1::event_service_server::EventService;
use service_kit::events::{EventLog, EventStream};
use tonic::{Request, Response, Status};

/// The service.
pub struct Events(pub EventLog);

#[tonic::async_trait]
impl EventService for Events {
    type SubscribeStream = EventStream;

    async fn subscribe(&self, request: Request<SubscribeRequest>) -> Result<Response<EventStream>, Status> {
        self.0.subscribe(request.into_inner()).await.map(Response::new).map_err(Status::from)
    }
}
