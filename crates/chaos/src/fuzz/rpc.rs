//! Every RPC of the API, as the descriptors have it, and who serves it.

use anyhow::{Context, Result};
use brokerage_proto::FILE_DESCRIPTOR_SET;
use brokerctl::dev::MeshService;
use prost_reflect::{DescriptorPool, MessageDescriptor};

/// Which listener takes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// For users.
    Public,
    /// For services.
    Internal,
}

/// One RPC.
#[derive(Clone, Debug)]
pub struct Rpc {
    /// `/service/Method`.
    pub path: String,
    /// Who serves it.
    pub service: MeshService,
    /// Where.
    pub door: Door,
    /// What it takes.
    pub input: MessageDescriptor,
    /// What it answers.
    pub output: MessageDescriptor,
    /// Whether it goes on answering.
    pub is_stream: bool,
}

/// Every RPC of ours, in order of its path.
///
/// # Errors
/// Descriptors that cannot be read, or a service that nobody is known to serve.
pub fn every() -> Result<Vec<Rpc>> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).context("read the descriptors")?;
    let mut all = Vec::new();
    for service in pool.services().filter(|service| service.full_name().starts_with("brokerage.")) {
        let name = service.full_name().to_owned();
        let owner = owner(&name).with_context(|| format!("nobody is known to serve {name}"))?;
        let door = if name.ends_with("Participant") { Door::Internal } else { Door::Public };
        all.extend(service.methods().map(|method| Rpc {
            path: format!("/{name}/{}", method.name()),
            service: owner,
            door,
            input: method.input(),
            output: method.output(),
            is_stream: method.is_server_streaming(),
        }));
    }
    all.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(all)
}

fn owner(service: &str) -> Option<MeshService> {
    match service.split('.').nth(1)? {
        "order" => Some(MeshService::Order),
        // Whoever has an inbox serves `common`, alike; one of them is enough.
        "asset" | "common" => Some(MeshService::Asset),
        "trading" | "saga" => Some(MeshService::Orchestrator),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rpc_that_has_a_rule_is_known_with_its_service() {
        let ruled = service_kit::auth::rules::RULES;
        let mut ruled: Vec<&str> =
            ruled.iter().map(|(path, _)| *path).filter(|path| path.starts_with("/brokerage.")).collect();
        ruled.sort_unstable();
        let known = every().unwrap();
        assert_eq!(known.iter().map(|rpc| rpc.path.as_str()).collect::<Vec<_>>(), ruled);
        for rpc in known.iter().filter(|rpc| rpc.door == Door::Public) {
            let service = rpc.path.split('/').nth(1).unwrap();
            assert!(rpc.service.public_services().contains(&service), "{}", rpc.path);
        }
    }
}
