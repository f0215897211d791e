//! Authenticates and authorises each call before its message is read.

use std::sync::Arc;

use brokerage_types::Reason;
use tonic::Status;

use super::Authenticator;
use super::rules::{self, Access};
use crate::fault::{self, Refusal};
use crate::stack::{Around, Next, Request, Response};

/// The layer: lets a call through to its handler, with its [`Principal`](super::Principal) in the extensions, if
/// this listener serves it and the rules allow it.
///
/// A path without a rule and a service of another listener both look as if they did not exist, whoever asks.
#[derive(Clone)]
pub struct Authorize {
    authenticator: Authenticator,
    served: Arc<[&'static str]>,
}

impl Authorize {
    /// For a listener that serves these services, besides health and reflection.
    #[must_use]
    pub fn new(authenticator: Authenticator, served: &[&'static str]) -> Self {
        Self { authenticator, served: served.into() }
    }

    fn admit(&self, request: &mut Request) -> Result<(), Status> {
        let path = request.uri().path();
        let Some((path, access)) = rules::rule(path) else { return Err(fault::unknown_method()) };
        let roles = match access {
            Access::Open => return Ok(()),
            Access::Roles(roles) => roles,
        };
        if !self.served.contains(&rules::service_of(path)) {
            return Err(fault::unknown_method());
        }
        let principal = self.authenticator.authenticate(request.headers())?;
        if !roles.contains(&principal.role) {
            let message = format!("the role {:?} may not call {path}", principal.role);
            return Err(Refusal::new(Reason::RoleNotAllowed, message).with("method", path).into());
        }
        request.extensions_mut().insert(principal);
        Ok(())
    }
}

impl Around for Authorize {
    async fn around<N: Next>(self, mut request: Request, next: N) -> Response {
        match self.admit(&mut request) {
            Ok(()) => next.run(request).await,
            Err(status) => status.into_http(),
        }
    }
}
