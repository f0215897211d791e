//! Reflection: each listener describes its own services and nothing else.
//!
//! Only the files that a listener's services need are registered, and services of other listeners are cut out of
//! them, so participants cannot even be looked up by name on the public side. The `google.rpc` types are added so
//! that tools can show error details.

use std::collections::{HashMap, HashSet};

use prost::Message;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use tonic::service::Routes;
use tonic_reflection::server::{Builder, Error};

/// Adds reflection, in both of its versions, to the routes of a listener that serves these services.
///
/// # Errors
/// Descriptors that cannot be read.
pub fn add(routes: Routes, served: &[&'static str]) -> Result<Routes, Error> {
    let ours = described(brokerage_proto::FILE_DESCRIPTOR_SET, served)?;
    let builder = || {
        let builder = Builder::configure()
            .register_file_descriptor_set(ours.clone())
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        served.iter().fold(builder, |builder, name| builder.with_service_name(*name))
    };
    Ok(routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
}

/// The files that these services need, without other services.
fn described(all: &[u8], served: &[&str]) -> Result<FileDescriptorSet, Error> {
    let files = FileDescriptorSet::decode(all)?.file;
    let by_name: HashMap<&str, &FileDescriptorProto> = files.iter().map(|file| (file.name(), file)).collect();
    let mut needed = HashSet::new();
    let mut waiting: Vec<&str> = files
        .iter()
        .filter(|file| services(file).any(|name| served.contains(&name.as_str())))
        .map(FileDescriptorProto::name)
        .collect();
    while let Some(name) = waiting.pop() {
        if needed.insert(name) {
            waiting
                .extend(by_name.get(name).iter().flat_map(|file| file.dependency.iter().map(String::as_str)));
        }
    }
    let needed = files.iter().filter(|file| needed.contains(file.name()));
    Ok(FileDescriptorSet { file: needed.map(|file| cut(file.clone(), served)).collect() })
}

fn services(file: &FileDescriptorProto) -> impl Iterator<Item = String> {
    file.service.iter().map(|service| format!("{}.{}", file.package(), service.name()))
}

fn cut(mut file: FileDescriptorProto, served: &[&str]) -> FileDescriptorProto {
    let package = file.package().to_owned();
    let before = file.service.len();
    file.service.retain(|service| served.contains(&format!("{package}.{}", service.name()).as_str()));
    if file.service.len() != before {
        // Comments are found by position, and positions have moved.
        file.source_code_info = None;
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(served: &[&str]) -> (Vec<String>, Vec<String>) {
        let set = described(brokerage_proto::FILE_DESCRIPTOR_SET, served).unwrap();
        let files = set.file.iter().map(|file| file.name().to_owned()).collect();
        (files, set.file.iter().flat_map(services).collect())
    }

    #[test]
    fn a_listener_shows_its_own_services_only() {
        for (_, service) in [("public", "OrderService"), ("internal", "OrderParticipant")] {
            let name = format!("brokerage.order.v1.{service}");
            let (files, services) = shown(&[&name]);
            assert_eq!(services, [name]);
            assert!(files.iter().any(|file| file == "google/protobuf/timestamp.proto"), "{files:?}");
        }
    }

    #[test]
    fn the_public_side_has_no_participant_file() {
        let (files, _) = shown(&["brokerage.asset.v1.AssetService", "brokerage.asset.v1.CustomerService"]);
        assert!(files.iter().all(|file| !file.contains("participant")), "{files:?}");
    }

    #[test]
    fn descriptors_can_be_served() {
        assert!(add(Routes::default(), &["brokerage.saga.v1.SagaService"]).is_ok());
    }
}
