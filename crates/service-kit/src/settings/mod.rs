//! A service's settings: defaults, then a file, then secrets, then the environment. Every mistake is reported at once.
//!
//! `ORDER_SVC__DATABASE__URL=…` sets `database.url` of `order-svc`; `ORDER_SVC_CONFIG=…` or `--config` names a TOML
//! file; `ORDER_SVC_SECRETS=…` names a directory with one file per setting, such as `database.url`. A key that does not exist is a mistake. Secrets never show in `Debug` output.

mod check;
mod load;
mod redact;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use brokerage_types::{Actor, CustomerId};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use load::SettingsError;

use crate::auth::Role;

/// The secret that services share in the dev profile. Production refuses it.
pub const DEV_SERVICE_SECRET: &str = "dev-service-secret";

/// Everything that can be set.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// For whom this runs.
    pub profile: Profile,
    /// Threads of the async runtime. Unset: one on machines with up to two processors, else as many as there are.
    pub threads: Option<usize>,
    /// The database.
    pub database: DatabaseSettings,
    /// The three listeners.
    pub listen: ListenSettings,
    /// Who is known.
    pub auth: AuthSettings,
    /// Optional; never decides anything.
    pub redis_url: Option<String>,
    /// Where the other services are.
    pub peers: PeerSettings,
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// Bounds of what callers may ask for.
    pub limits: LimitSettings,
    /// What is forgotten, and when.
    pub retention: RetentionSettings,
    /// Scales the protocol's times; tests run faster than 1.0.
    pub time_scale: f64,
    /// How a service ends.
    pub drain: DrainSettings,
}

/// For whom a service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// One machine, known tokens and secrets.
    Dev,
    /// Real use: known tokens and secrets are refused.
    Production,
}

/// See [`Settings::database`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// `postgres://…`, writable.
    pub url: String,
    /// A replica for reads. Unset: `url`.
    pub read_url: Option<String>,
    /// How many lanes write.
    pub lanes: usize,
    /// How many connections read, at most.
    pub read_connections: u32,
    /// Brings the schema up to date before serving. Otherwise a schema that is behind is refused.
    pub migrate_on_start: bool,
    /// Longest wait for a lock.
    pub lock_timeout_ms: u64,
    /// Longest statement.
    pub statement_timeout_ms: u64,
}

/// See [`Settings::listen`]. Port 0 takes a free one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenSettings {
    /// gRPC for users.
    pub public: SocketAddr,
    /// gRPC for services.
    pub internal: SocketAddr,
    /// HTTP for metrics and probes.
    pub ops: SocketAddr,
}

/// See [`Settings::auth`].
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// Users and their tokens.
    pub tokens: Vec<StaticToken>,
    /// What this service calls itself to others. Empty: its own name.
    pub service_name: String,
    /// How it proves that.
    pub service_secret: String,
    /// Which services may call the internal listener: name and secret.
    pub accepted_callers: BTreeMap<String, String>,
}

/// A user known by a fixed token.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticToken {
    /// What he sends.
    pub token: String,
    /// Who he is.
    pub subject: Actor,
    /// In which role.
    pub role: Role,
    /// Of a customer: which.
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// Of an employee: for whom he may act.
    #[serde(default)]
    pub assigned: Vec<CustomerId>,
    /// When the token ends.
    #[serde(default)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// See [`Settings::peers`]. Several URIs, separated by commas, share the load.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerSettings {
    /// order-svc's internal listener.
    pub order: String,
    /// asset-svc's internal listener.
    pub asset: String,
}

/// See [`Settings::telemetry`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySettings {
    /// Which events are logged, such as `info,sqlx=warn`.
    pub log: String,
    /// How.
    pub format: LogFormat,
    /// Where traces and metrics go by OTLP, such as `http://collector:4317`. Unset: nowhere.
    pub otlp_endpoint: Option<String>,
    /// Which part of the traces that begin here is recorded, 0 to 1.
    pub sample_ratio: f64,
    /// Whether a caller that brings a trace decides if it is recorded. Otherwise the ratio decides about every trace.
    pub trust_callers: bool,
    /// Between two pushes of the metrics by OTLP.
    pub push_interval_ms: u64,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// For machines.
    Json,
    /// For people if there is a terminal, for machines otherwise.
    Auto,
}

/// See [`Settings::retention`]. What has no number of days is kept for ever.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// For how many days after its month a step is remembered. Steps of older sagas are refused from then on, never
    /// done twice. At least 30.
    pub inbox_days: Option<u32>,
    /// For how many days after its month the orchestrator keeps what a saga's driver noted. At least 30.
    pub saga_log_days: Option<u32>,
}

/// See [`Settings::limits`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// Calls at the same time, per listener; more are shed.
    pub concurrency: usize,
    /// Sagas that one orchestrator drives at the same time. A fifth of them is kept for those it takes over.
    pub driven_sagas: usize,
    /// Where clients ask again as soon as they are answered, a new order that finds fewer orders under way waits until
    /// most of those are answered, for some 50 ms at most, to share its batches with others that come meanwhile. With 1
    /// none ever waits.
    pub platoon_sagas: usize,
    /// Largest message on the public listener.
    pub public_message_bytes: usize,
    /// Largest message on the internal listener.
    pub internal_message_bytes: usize,
    /// Deadline of a call that brings none.
    pub default_deadline_ms: u64,
    /// No deadline is longer.
    pub max_deadline_ms: u64,
}

/// See [`Settings::drain`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainSettings {
    /// Still serving after readiness ended, so that balancers notice.
    pub grace_ms: u64,
    /// Then calls in progress may take so long.
    pub finish_ms: u64,
}

impl Settings {
    /// What a production service starts from. The database, tokens and secrets must be set.
    #[must_use]
    pub fn production() -> Self {
        Self {
            profile: Profile::Production,
            threads: None,
            database: DatabaseSettings {
                url: String::new(),
                read_url: None,
                lanes: 1,
                read_connections: 4,
                migrate_on_start: false,
                lock_timeout_ms: 1_000,
                statement_timeout_ms: 2_000,
            },
            listen: ListenSettings {
                public: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 50051)),
                internal: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 50052)),
                ops: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 9090)),
            },
            auth: AuthSettings {
                tokens: Vec::new(),
                service_name: String::new(),
                service_secret: String::new(),
                accepted_callers: BTreeMap::new(),
            },
            redis_url: None,
            peers: PeerSettings {
                order: "http://order-svc:50052".to_owned(),
                asset: "http://asset-svc:50052".to_owned(),
            },
            telemetry: TelemetrySettings {
                log: "info,sqlx::postgres::notice=warn".to_owned(),
                format: LogFormat::Auto,
                otlp_endpoint: None,
                sample_ratio: 1.0,
                trust_callers: true,
                push_interval_ms: 15_000,
            },
            limits: LimitSettings {
                concurrency: 512,
                driven_sagas: 2_000,
                platoon_sagas: 32,
                public_message_bytes: 64 * 1024,
                internal_message_bytes: 1024 * 1024,
                default_deadline_ms: 10_000,
                max_deadline_ms: 30_000,
            },
            retention: RetentionSettings { inbox_days: None, saga_log_days: None },
            time_scale: 1.0,
            drain: DrainSettings { grace_ms: 5_000, finish_ms: 20_000 },
        }
    }

    /// What a developer's service starts from: known tokens, loopback, no waiting at the end.
    #[must_use]
    pub fn dev() -> Self {
        let mut settings = Self::production();
        settings.profile = Profile::Dev;
        settings.database.url = "postgres://postgres@127.0.0.1:5432/postgres".to_owned();
        settings.database.migrate_on_start = true;
        settings.listen = ListenSettings {
            public: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            internal: SocketAddr::from((Ipv4Addr::LOCALHOST, 50052)),
            ops: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)),
        };
        settings.auth.tokens = dev_tokens();
        settings.auth.service_secret = DEV_SERVICE_SECRET.to_owned();
        settings.auth.accepted_callers = ["orchestrator", "saga-orchestrator"]
            .map(|name| (name.to_owned(), DEV_SERVICE_SECRET.to_owned()))
            .into_iter()
            .collect();
        settings.telemetry.format = LogFormat::Pretty;
        settings.drain = DrainSettings { grace_ms: 0, finish_ms: 5_000 };
        settings
    }

    /// A time of the protocol, scaled as tests ask for.
    #[must_use]
    pub fn scaled(&self, ms: u64) -> Duration {
        Duration::from_millis(ms).mul_f64(self.time_scale)
    }
}

/// The users of the dev profile.
fn dev_tokens() -> Vec<StaticToken> {
    let users = [
        ("token-admin", "admin", Role::Admin),
        ("token-employee", "employee", Role::Employee),
        ("token-customer-a", "customer-a", Role::Customer),
        ("token-customer-b", "customer-b", Role::Customer),
        ("token-auditor", "auditor", Role::Auditor),
        ("token-expired", "expired", Role::Admin),
    ];
    let customer = |text: &str| CustomerId::parse(text).ok();
    users
        .into_iter()
        .filter_map(|(token, subject, role)| {
            Some(StaticToken {
                token: token.to_owned(),
                subject: Actor::parse(subject).ok()?,
                role,
                customer_id: if role == Role::Customer { customer(subject) } else { None },
                assigned: if role == Role::Employee {
                    customer("customer-a").into_iter().collect()
                } else {
                    Vec::new()
                },
                expires_at: (token == "token-expired").then_some(DateTime::UNIX_EPOCH),
            })
        })
        .collect()
}
