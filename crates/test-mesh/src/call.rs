//! Calls any RPC by its path with an empty message, for tests that walk over all of them.

use brokerage_proto::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::identity::Wire;

/// What came of a call that said nothing.
pub type Answered = Result<(), Status>;

/// Calls `/service/Method` with an empty message and waits for the first thing that comes back.
///
/// # Errors
/// The status, if it is not OK.
pub async fn call(wire: &Wire, path: &str) -> Answered {
    let mut grpc = Grpc::new(wire.clone());
    grpc.ready().await.unwrap();
    let path: PathAndQuery = path.parse().unwrap();
    let codec = ProstCodec::<(), ()>::default();
    let mut stream = grpc.server_streaming(Request::new(()), path, codec).await?.into_inner();
    stream.message().await.map(drop)
}

/// The paths of every RPC of the API, participants included, in order.
#[must_use]
pub fn every_path() -> Vec<String> {
    paths(|_| true)
}

/// The paths of every RPC whose message has a request id, in order.
#[must_use]
pub fn every_request_id_path() -> Vec<String> {
    paths(|rpc| rpc.input().get_field_by_name("request_id").is_some())
}

fn paths(wanted: impl Fn(&MethodDescriptor) -> bool) -> Vec<String> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut paths = Vec::new();
    for service in pool.services().filter(|service| service.full_name().starts_with("brokerage.")) {
        let rpcs = service.methods().filter(|rpc| wanted(rpc));
        paths.extend(rpcs.map(|rpc| format!("/{}/{}", service.full_name(), rpc.name())));
    }
    paths.sort();
    paths
}
