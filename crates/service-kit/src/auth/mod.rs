//! Who is calling: a user with a bearer token on the public listener, a service with a secret on the internal one.
//!
//! What a principal may *see* is its [`Scope`], a value that handlers pass into their queries; what it may *call* is
//! in [`rules`]. Foreign and missing objects look the same to whoever may not see them.

mod layer;
mod principal;
pub mod rules;

use std::collections::HashMap;
use std::sync::Arc;

use brokerage_types::{Actor, Reason};
use http::HeaderMap;
use sha2::{Digest, Sha256};

pub use layer::Authorize;
pub use principal::{Principal, Role, Scope};

use crate::clock::SharedClock;
use crate::fault::Refusal;
use crate::settings::{AuthSettings, StaticToken};

/// Metadata key of the calling service's name.
pub const SERVICE_NAME_HEADER: &str = "x-service-name";
/// Metadata key of the calling service's secret.
pub const SERVICE_SECRET_HEADER: &str = "x-service-secret";

type Fingerprint = [u8; 32];

/// Knows the callers of one listener. Clones share what they know.
#[derive(Clone)]
pub struct Authenticator {
    callers: Arc<Callers>,
    clock: SharedClock,
}

enum Callers {
    /// By the fingerprint of the token: what an attacker can vary does not steer the comparison.
    Users(HashMap<Fingerprint, StaticToken>),
    /// By the name of the service.
    Services(HashMap<String, Fingerprint>),
}

impl Authenticator {
    /// Users, by the tokens of the settings.
    #[must_use]
    pub fn users(settings: &AuthSettings, clock: SharedClock) -> Self {
        let tokens = settings.tokens.iter().map(|token| (fingerprint(&token.token), token.clone())).collect();
        Self { callers: Arc::new(Callers::Users(tokens)), clock }
    }

    /// Services, by the accepted callers of the settings.
    #[must_use]
    pub fn services(settings: &AuthSettings, clock: SharedClock) -> Self {
        let secrets = settings
            .accepted_callers
            .iter()
            .map(|(name, secret)| (name.clone(), fingerprint(secret)))
            .collect();
        Self { callers: Arc::new(Callers::Services(secrets)), clock }
    }

    /// Says who calls.
    ///
    /// # Errors
    /// `TOKEN_MISSING`, `TOKEN_UNKNOWN`, `TOKEN_EXPIRED`; for services `SERVICE_SECRET_INVALID`.
    pub fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, Refusal> {
        match self.callers.as_ref() {
            Callers::Users(tokens) => self.user(tokens, headers),
            Callers::Services(secrets) => service(secrets, headers),
        }
    }

    fn user(
        &self,
        tokens: &HashMap<Fingerprint, StaticToken>,
        headers: &HeaderMap,
    ) -> Result<Principal, Refusal> {
        let Some(value) = headers.get(http::header::AUTHORIZATION) else {
            return Err(Refusal::new(Reason::TokenMissing, "send metadata `authorization: Bearer <token>`"));
        };
        let token = value.to_str().ok().and_then(bearer).and_then(|token| tokens.get(&fingerprint(token)));
        let Some(token) = token else {
            return Err(Refusal::new(Reason::TokenUnknown, "nobody is known by this token"));
        };
        if token.expires_at.is_some_and(|end| end <= self.clock.now()) {
            return Err(Refusal::new(Reason::TokenExpired, "the token has expired"));
        }
        Ok(Principal::new(token.subject.clone(), token.role)
            .with_customer(token.customer_id.clone())
            .with_assigned(token.assigned.clone()))
    }
}

fn service(secrets: &HashMap<String, Fingerprint>, headers: &HeaderMap) -> Result<Principal, Refusal> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let refused =
        || Refusal::new(Reason::ServiceSecretInvalid, "no service is known by this name and secret");
    let (name, secret) =
        header(SERVICE_NAME_HEADER).zip(header(SERVICE_SECRET_HEADER)).ok_or_else(refused)?;
    // An unknown name is compared as well, so that it takes as long as a known one.
    let wanted = secrets.get(name);
    let same = same(&fingerprint(secret), wanted.unwrap_or(&Fingerprint::default()));
    let subject = Actor::parse(name).map_err(|_| refused())?;
    if wanted.is_some() && same { Ok(Principal::new(subject, Role::Service)) } else { Err(refused()) }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn fingerprint(text: &str) -> Fingerprint {
    Sha256::digest(text.as_bytes()).into()
}

/// Compares in constant time.
fn same(left: &Fingerprint, right: &Fingerprint) -> bool {
    left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right)) == 0
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, Utc};

    use super::*;
    use crate::clock::{ManualClock, SystemClock};
    use crate::settings::Settings;

    fn headers(pairs: &Pairs) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    type Pairs = [(&'static str, &'static str)];

    fn user(pairs: &Pairs) -> Result<(Role, String), Reason> {
        Authenticator::users(&Settings::dev().auth, SystemClock::shared())
            .authenticate(&headers(pairs))
            .map(|principal| (principal.role, principal.subject))
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn a_user_is_who_the_token_says() {
        let table: &[(&Pairs, Result<Role, Reason>)] = &[
            (&[("authorization", "Bearer token-admin")], Ok(Role::Admin)),
            (&[("authorization", "bearer token-admin")], Ok(Role::Admin)),
            (&[("authorization", "Bearer token-employee")], Ok(Role::Employee)),
            (&[("authorization", "Bearer token-customer-a")], Ok(Role::Customer)),
            (&[("authorization", "Bearer token-customer-b")], Ok(Role::Customer)),
            (&[("authorization", "Bearer token-auditor")], Ok(Role::Auditor)),
            (&[("authorization", "Bearer token-expired")], Err(Reason::TokenExpired)),
            (&[("authorization", "Bearer token-nobody")], Err(Reason::TokenUnknown)),
            (&[("authorization", "Bearer ")], Err(Reason::TokenUnknown)),
            (&[("authorization", "Basic token-admin")], Err(Reason::TokenUnknown)),
            (&[("authorization", "token-admin")], Err(Reason::TokenUnknown)),
            (&[], Err(Reason::TokenMissing)),
            (&[("x-service-name", "orchestrator")], Err(Reason::TokenMissing)),
        ];
        for (pairs, wanted) in table {
            assert_eq!(user(pairs).map(|(role, _)| role), *wanted, "{pairs:?}");
        }
    }

    #[test]
    fn a_token_ends_at_its_instant() {
        let now = Utc::now();
        let clock = ManualClock::at(now);
        let mut settings = Settings::dev().auth;
        settings.tokens[0].expires_at = Some(now + TimeDelta::seconds(1));
        let authenticator = Authenticator::users(&settings, Arc::new(clock.clone()));
        let headers = headers(&[("authorization", "Bearer token-admin")]);
        assert!(authenticator.authenticate(&headers).is_ok());
        clock.advance(TimeDelta::seconds(1));
        let refusal = authenticator.authenticate(&headers).expect_err("it has expired");
        assert_eq!(refusal.reason, Reason::TokenExpired);
    }

    #[test]
    fn a_service_needs_its_name_and_its_secret() {
        let authenticator = Authenticator::services(&Settings::dev().auth, SystemClock::shared());
        let call = |pairs| authenticator.authenticate(&headers(pairs)).map(|principal| principal.role);
        let good = [(SERVICE_NAME_HEADER, "orchestrator"), (SERVICE_SECRET_HEADER, "dev-service-secret")];
        assert_eq!(call(&good), Ok(Role::Service));
        for bad in [
            &[][..],
            &good[..1],
            &good[1..],
            &[good[0], (SERVICE_SECRET_HEADER, "dev-service-secreT")],
            &[(SERVICE_NAME_HEADER, "stranger"), good[1]],
            &[("authorization", "Bearer token-admin")],
        ] {
            let refusal = call(bad).expect_err("it must be refused");
            assert_eq!(refusal.reason, Reason::ServiceSecretInvalid, "{bad:?}");
        }
    }
}
