//! `Debug` output of settings, without secrets.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{AuthSettings, DatabaseSettings, Settings, StaticToken};

const HIDDEN: &str = "***";

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, f)
    }
}

impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, f)
    }
}

impl fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, f)
    }
}

impl fmt::Debug for StaticToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(self, f)
    }
}

fn write(settings: &impl Serialize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut value = serde_json::to_value(settings).map_err(|_| fmt::Error)?;
    redact("", &mut value);
    write!(f, "{value}")
}

fn redact(key: &str, value: &mut Value) {
    match value {
        Value::Object(entries) => {
            let all_secret = key == "accepted_callers";
            for (name, entry) in entries {
                redact(if all_secret { "secret" } else { name }, entry);
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(|entry| redact(key, entry)),
        Value::String(text) => match key {
            "token" | "service_secret" | "secret" => HIDDEN.clone_into(text),
            "url" | "read_url" | "redis_url" => *text = without_password(text),
            _ => {}
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Hides what stands between `user:` and `@`, and everything after a `?`, where passwords may be too.
fn without_password(url: &str) -> String {
    let (address, query) = url.split_once('?').map_or((url, ""), |(address, _)| (address, "?***"));
    let Some((before, host)) = address.rsplit_once('@') else { return format!("{address}{query}") };
    let (scheme, user) = before.split_once("://").unwrap_or(("", before));
    let user = user.split_once(':').map_or(user.to_owned(), |(user, _)| format!("{user}:{HIDDEN}"));
    format!("{scheme}://{user}@{host}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let mut settings = Settings::dev();
        settings.database.url = "postgres://app:hunter2@db:5432/orders?password=hunter3".to_owned();
        settings.redis_url = Some("redis://:hunter4@cache".to_owned());
        for shown in [format!("{settings:?}"), format!("{:?} {:?}", settings.database, settings.auth)] {
            for secret in ["hunter", "token-admin", "dev-service-secret"] {
                assert!(!shown.contains(secret), "{secret} in {shown}");
            }
            assert!(shown.contains("postgres://app:***@db:5432/orders"), "{shown}");
        }
    }
}
