//! Who calls: a user by token, a service by secret, or nobody.

use service_kit::auth::{SERVICE_NAME_HEADER, SERVICE_SECRET_HEADER};
use service_kit::settings::DEV_SERVICE_SECRET;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// A connection that says who calls.
pub type Wire = InterceptedService<Channel, Identity>;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Says nothing.
    Nobody,
    /// Sends this token.
    User(String),
    /// Sends the orchestrator's name and this secret.
    Orchestrator(String),
}

impl Identity {
    /// A user with this token.
    #[must_use]
    pub fn user(token: &str) -> Self {
        Self::User(token.to_owned())
    }

    /// The orchestrator, as participants know it.
    #[must_use]
    pub fn orchestrator() -> Self {
        Self::Orchestrator(DEV_SERVICE_SECRET.to_owned())
    }

    /// A connection of this caller.
    #[must_use]
    pub fn on(&self, channel: &Channel) -> Wire {
        InterceptedService::new(channel.clone(), self.clone())
    }
}

impl Interceptor for Identity {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let headers = request.metadata_mut();
        match self {
            Self::Nobody => {}
            Self::User(token) => {
                headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
            }
            Self::Orchestrator(secret) => {
                headers.insert(SERVICE_NAME_HEADER, "orchestrator".parse().unwrap());
                headers.insert(SERVICE_SECRET_HEADER, secret.parse().unwrap());
            }
        }
        Ok(request)
    }
}
