//! What a call carries: the steps in it, whether they travel alone or together.
//!
//! Read from descriptors, so that a new step or a new way to carry steps needs nothing here. A step's name is its
//! RPC's name in the protocol, and the name of its field in a call of many.

use anyhow::{Context, Result};
use brokerage_proto::FILE_DESCRIPTOR_SET;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};

/// Bytes of a gRPC message before the message itself.
const FRAME: usize = 5;

/// Reads what calls carry.
#[derive(Clone, Debug)]
pub struct Carried {
    pool: DescriptorPool,
}

impl Carried {
    /// Knows every message of the mesh.
    ///
    /// # Errors
    /// The descriptors are broken.
    pub fn new() -> Result<Self> {
        Ok(Self { pool: DescriptorPool::decode(FILE_DESCRIPTOR_SET).context("read the descriptors")? })
    }

    /// The names of everything that a call of `path` with this body carries: its own, and those of steps inside.
    #[must_use]
    pub fn names(&self, path: &str, body: &[u8]) -> Vec<String> {
        let Some((service, method)) = path.trim_start_matches('/').split_once('/') else { return Vec::new() };
        let mut names = vec![snake(method)];
        let found = self.pool.get_service_by_name(service);
        let found = found.and_then(|service| service.methods().find(|known| known.name() == method));
        if let (Some(found), Some(message)) = (found, body.get(FRAME..))
            && let Ok(message) = DynamicMessage::decode(found.input(), message)
        {
            for (_, value) in message.fields() {
                if let Value::List(many) = value {
                    names.extend(many.iter().filter_map(Value::as_message).flat_map(choices));
                }
            }
        }
        names
    }
}

/// The names of the fields of a message that are one of several.
fn choices(message: &DynamicMessage) -> Vec<String> {
    let set = message.fields().filter(|(field, _)| field.containing_oneof().is_some());
    set.map(|(field, _)| field.name().to_owned()).collect()
}

/// `PlaceHold` is `place_hold`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use brokerage_proto::order::v1::{Draft, DraftRequest};
    use prost_reflect::prost::Message;

    use super::*;

    #[test]
    fn a_call_carries_the_step_of_its_name() {
        let carried = Carried::new().unwrap();
        let request = DraftRequest { context: None, command: Some(Draft::default()) };
        let mut body = vec![0; FRAME];
        body.extend(request.encode_to_vec());
        assert_eq!(carried.names("/brokerage.order.v1.OrderParticipant/Draft", &body), ["draft"]);
        assert_eq!(carried.names("/brokerage.asset.v1.AssetParticipant/PlaceHold", &[]), ["place_hold"]);
        assert!(carried.names("nonsense", &[]).is_empty());
    }
}
