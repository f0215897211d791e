//! What settings must fulfil beyond their types.

use std::collections::HashSet;

use super::{DEV_SERVICE_SECRET, Profile, Settings, StaticToken, dev_tokens};
use crate::auth::Role;

/// Shortest secret that production accepts.
const SECRET_LENGTH_MIN: usize = 24;

impl Settings {
    /// Everything that is wrong with these settings; empty if nothing is.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let mut check = |holds: bool, mistake: &str| {
            if !holds {
                mistakes.push(mistake.to_owned());
            }
        };
        let database = &self.database;
        check(is_postgres(&database.url), "database.url: must be postgres://…");
        check(
            database.read_url.as_deref().is_none_or(is_postgres),
            "database.read_url: must be postgres://…",
        );
        check((1..=64).contains(&database.lanes), "database.lanes: must be 1–64");
        check((1..=256).contains(&database.read_connections), "database.read_connections: must be 1–256");
        check(
            database.lock_timeout_ms < database.statement_timeout_ms,
            "database.lock_timeout_ms: must be less than statement_timeout_ms",
        );
        check(self.threads != Some(0), "threads: must be at least 1");
        check(self.limits.concurrency > 0, "limits.concurrency: must be at least 1");
        check(self.limits.public_message_bytes >= 1024, "limits.public_message_bytes: must be at least 1024");
        check(
            self.limits.internal_message_bytes >= 1024,
            "limits.internal_message_bytes: must be at least 1024",
        );
        check(
            (1..=self.limits.max_deadline_ms).contains(&self.limits.default_deadline_ms),
            "limits.default_deadline_ms: must be 1–max_deadline_ms",
        );
        let retention = [self.retention.inbox_days, self.retention.saga_log_days];
        check(
            retention.iter().flatten().all(|days| (30..=36_500).contains(days)),
            "retention: must be 30–36500 days",
        );
        check(
            self.time_scale.is_finite() && self.time_scale > 0.0 && self.time_scale <= 100.0,
            "time_scale: must be above 0 and at most 100",
        );
        let log = tracing_subscriber::EnvFilter::builder().parse(&self.telemetry.log);
        check(log.is_ok(), "telemetry.log: must be a filter such as `info,sqlx=warn`");
        check(
            (0.0..=1.0).contains(&self.telemetry.sample_ratio),
            "telemetry.sample_ratio: must be between 0 and 1",
        );
        check(self.telemetry.push_interval_ms > 0, "telemetry.push_interval_ms: must be at least 1");
        mistakes.extend(token_mistakes(&self.auth.tokens));
        if self.profile == Profile::Production {
            self.production_mistakes(&mut mistakes);
        }
        mistakes
    }

    fn production_mistakes(&self, mistakes: &mut Vec<String>) {
        let known: HashSet<String> = dev_tokens().into_iter().map(|token| token.token).collect();
        for token in &self.auth.tokens {
            if known.contains(&token.token) || token.token.len() < SECRET_LENGTH_MIN {
                mistakes.push(format!(
                    "auth.tokens: the token of {} is a dev token or shorter than {SECRET_LENGTH_MIN} characters",
                    token.subject
                ));
            }
        }
        let callers = self.auth.accepted_callers.iter().map(|(name, secret)| (name.as_str(), secret));
        for (name, secret) in callers.chain([("this service", &self.auth.service_secret)]) {
            // A service that calls nobody needs no secret of its own.
            let unused = name == "this service" && secret.is_empty();
            if !unused && (secret == DEV_SERVICE_SECRET || secret.len() < SECRET_LENGTH_MIN) {
                mistakes.push(format!(
                    "auth: the secret of {name} is the dev secret or shorter than {SECRET_LENGTH_MIN} characters"
                ));
            }
        }
        if (self.time_scale - 1.0).abs() > f64::EPSILON {
            mistakes.push("time_scale: must be 1 in production".to_owned());
        }
    }
}

fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres://") || url.starts_with("postgresql://")
}

fn token_mistakes(tokens: &[StaticToken]) -> Vec<String> {
    let mut mistakes = Vec::new();
    let mut seen = HashSet::new();
    for token in tokens {
        let subject = &token.subject;
        if token.token.is_empty() || !seen.insert(&token.token) {
            mistakes.push(format!("auth.tokens: the token of {subject} is empty or not unique"));
        }
        if (token.role == Role::Customer) != token.customer_id.is_some() {
            mistakes.push(format!("auth.tokens: {subject}: customers, and only they, have a customer_id"));
        }
        if token.role != Role::Employee && !token.assigned.is_empty() {
            mistakes.push(format!("auth.tokens: {subject}: only employees have assigned customers"));
        }
        if token.role == Role::Service {
            mistakes.push(format!("auth.tokens: {subject}: services have secrets, not tokens"));
        }
    }
    mistakes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_settings_are_sound() {
        assert_eq!(Settings::dev().mistakes(), Vec::<String>::new());
    }

    #[test]
    fn production_refuses_what_everybody_knows() {
        let mut settings = Settings::dev();
        settings.profile = Profile::Production;
        let mistakes = settings.mistakes();
        assert_eq!(mistakes.iter().filter(|mistake| mistake.starts_with("auth.tokens")).count(), 6);
        assert_eq!(mistakes.iter().filter(|mistake| mistake.starts_with("auth: the secret")).count(), 3);
        settings.auth = Settings::production().auth;
        assert_eq!(settings.mistakes(), Vec::<String>::new());
    }

    #[test]
    fn every_mistake_is_listed() {
        let mut settings = Settings::dev();
        settings.database.url = "mysql://".to_owned();
        settings.database.lanes = 0;
        settings.time_scale = f64::NAN;
        settings.telemetry.log = "nonsense=[".to_owned();
        settings.auth.tokens[0].role = Role::Customer;
        assert_eq!(settings.mistakes().len(), 5, "{:?}", settings.mistakes());
    }
}
