//! The catalogue of metrics. A metric that is not here cannot be registered; `docs/metrics.md` lists the same.

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// On `/metrics`.
    pub name: &'static str,
    /// By OTLP.
    pub otlp: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// What tells its series apart. Never ids.
    pub labels: &'static [&'static str],
    /// No process has more series of it.
    pub series_max: usize,
    /// How it counts.
    pub kind: Kind,
}

/// How a metric counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only up.
    Counter,
    /// Up and down; its unit.
    Gauge(&'static str),
    /// How often which sizes; its unit and boundaries.
    Histogram(&'static str, &'static [f64]),
}

impl Metric {
    /// In the words of UCUM, as OTLP wants it.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Counter => "1",
            Kind::Gauge(unit) | Kind::Histogram(unit, _) => unit,
        }
    }
}

/// Boundaries of RPC durations in seconds, as the conventions have them.
pub const RPC_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Boundaries of what happens inside, which is mostly faster than a call.
pub const INSIDE_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Boundaries of sizes of batches.
pub const SIZE_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

const fn metric(
    kind: Kind,
    name: &'static str,
    otlp: &'static str,
    (labels, series_max): (&'static [&'static str], usize),
    help: &'static str,
) -> Metric {
    Metric { name, otlp, help, labels, series_max, kind }
}

macro_rules! catalogue {
    ($($(#[$doc:meta])* $constant:ident = $kind:expr, $name:literal, $otlp:literal, [$($label:literal),*], $series:literal, $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = metric($kind, $name, $otlp, (&[$($label),*], $series), $help);
        )+
        /// All of them.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

const COUNTER: Kind = Kind::Counter;
const COUNT: Kind = Kind::Gauge("1");
const SECONDS: Kind = Kind::Gauge("s");
const BYTES: Kind = Kind::Gauge("By");
const RPC: Kind = Kind::Histogram("s", RPC_BUCKETS);
const INSIDE: Kind = Kind::Histogram("s", INSIDE_BUCKETS);
const SIZE: Kind = Kind::Histogram("1", SIZE_BUCKETS);

catalogue! {
    RPC_SERVER_DURATION = RPC, "rpc_server_call_duration_seconds", "rpc.server.call.duration",
        ["rpc_method", "rpc_response_status_code"], 800, "Calls that were served, until their answer's head.";
    RPC_SERVER_ACTIVE = COUNT, "rpc_server_active_calls", "brokerage.rpc.server.active_calls",
        ["rpc_method"], 80, "Calls whose answer's head is not out yet.";
    RPC_CLIENT_DURATION = RPC, "rpc_client_call_duration_seconds", "rpc.client.call.duration",
        ["rpc_method", "rpc_response_status_code"], 400, "Calls to other services, until their answer's head.";

    DB_DURATION = INSIDE, "db_client_operation_duration_seconds", "db.client.operation.duration",
        ["db_operation_name", "db_query_summary", "error_type"], 300, "One read, or one transaction of a lane.";
    DB_CONNECTIONS = COUNT, "db_client_connection_count", "db.client.connection.count",
        ["db_client_connection_pool_name", "db_client_connection_state"], 2, "Connections of a pool.";
    DB_CONNECTIONS_MAX = COUNT, "db_client_connection_max", "db.client.connection.max",
        ["db_client_connection_pool_name"], 1, "How many connections a pool may have.";
    DB_PENDING = COUNT, "db_client_connection_pending_requests", "db.client.connection.pending_requests",
        ["db_client_connection_pool_name"], 1, "Reads that wait for a connection.";
    DB_WAITS = COUNTER, "db_client_connection_waits_total", "brokerage.db.client.connection.waits",
        ["db_client_connection_pool_name"], 1, "Reads that found every connection in use.";
    DB_TIMEOUTS = COUNTER, "db_client_connection_timeouts_total", "db.client.connection.timeouts",
        ["db_client_connection_pool_name"], 1, "Reads that waited for a connection in vain.";

    LANE_BATCH = SIZE, "lane_batch_items", "brokerage.lane.batch.items",
        ["lane"], 8, "Items that shared a transaction.";
    LANE_WAIT = INSIDE, "lane_wait_seconds", "brokerage.lane.wait",
        ["lane"], 8, "From handing an item over to the beginning of its batch.";
    LANE_BACKLOG = COUNT, "lane_backlog", "brokerage.lane.backlog",
        ["lane"], 8, "Items that wait or are being done.";
    LANE_RETRIES = COUNTER, "lane_retries_total", "brokerage.lane.retries",
        ["lane", "cause"], 32, "Batches that were run again.";
    INBOX_VERDICTS = COUNTER, "inbox_verdicts_total", "brokerage.inbox.verdicts",
        ["command", "verdict"], 120, "What was answered to commands.";
    INBOX_REPLAYS = COUNTER, "inbox_replays_total", "brokerage.inbox.replays",
        ["command"], 30, "Answers to commands that had been decided before.";
    OUTBOX_EVENTS = COUNTER, "outbox_events_total", "brokerage.outbox.events",
        ["aggregate"], 10, "Events written.";
    OUTBOX_LAG_SECONDS = SECONDS, "outbox_lag_seconds", "brokerage.outbox.lag",
        ["consumer"], 20, "How far behind the newest event a consumer is.";
    OUTBOX_LAG_BYTES = BYTES, "outbox_lag_bytes", "brokerage.outbox.lag.size",
        ["consumer"], 20, "The write-ahead log that is kept for a replication slot.";

    SAGA_ENDED = COUNTER, "saga_ended_total", "brokerage.saga.ended",
        ["kind", "outcome"], 6, "Sagas that have ended.";
    SAGA_SECONDS = INSIDE, "saga_seconds", "brokerage.saga.duration",
        ["kind", "outcome"], 6, "From the driver's start to the outcome.";
    SAGA_BOARDING_SECONDS = INSIDE, "saga_boarding_seconds", "brokerage.saga.boarding.duration",
        [], 1, "How long a new order waited for others to leave with.";
    SAGA_ACTIVE = COUNT, "saga_active", "brokerage.saga.active",
        ["kind"], 3, "Sagas that this process drives.";
    SAGA_PARKED = COUNT, "saga_parked", "brokerage.saga.parked",
        ["kind"], 3, "Parked sagas of this process.";
    SAGA_OLDEST = SECONDS, "saga_oldest_seconds", "brokerage.saga.oldest_age",
        [], 1, "Age of the oldest saga driven here.";
    SAGA_UNENDED = COUNT, "saga_unended", "brokerage.saga.unended",
        ["kind", "status"], 9, "Sagas of the whole database that have not ended.";
    SAGA_UNENDED_OLDEST = SECONDS, "saga_unended_oldest_seconds", "brokerage.saga.unended.oldest_age",
        ["kind"], 3, "The age of the oldest of them, driven or not.";
    SAGA_STEP_SECONDS = INSIDE, "saga_step_seconds", "brokerage.saga.step.duration",
        ["kind", "step", "reply"], 120, "One attempt of one step, by what came back.";
    SAGA_COMPENSATIONS = COUNTER, "saga_compensations_total", "brokerage.saga.compensations",
        ["kind", "step"], 12, "Attempts to compensate.";
    SAGA_TURNED_ROUND = COUNTER, "saga_turned_round_total", "brokerage.saga.turned_round",
        ["kind", "reason"], 120, "Sagas that began to undo.";
    SAGA_ADOPTED = COUNTER, "saga_adopted_total", "brokerage.saga.adopted",
        ["kind"], 4, "Sagas taken over from a process that is gone.";
    SAGA_ORPHANS = COUNTER, "saga_orphans_adopted_total", "brokerage.saga.orphans_adopted",
        ["kind"], 3, "Sagas lost here and adopted from a participant.";
    SAGA_FAILED_SCANS = COUNTER, "saga_failed_scans_total", "brokerage.saga.failed_scans",
        [], 1, "Recovery scans that failed.";
    SAGA_TRAIL_BACKLOG = COUNT, "saga_trail_backlog", "brokerage.saga.trail.backlog",
        [], 1, "Marks and notes that wait to be written.";
    SAGA_BREAKER_POSITION = COUNT, "saga_breaker_position", "brokerage.saga.breaker.position",
        ["participant"], 2, "Circuit breaker: 0 closed, 1 half-open, 2 open.";
    SAGA_BREAKER_OPENED = COUNTER, "saga_breaker_opened_total", "brokerage.saga.breaker.opened",
        ["participant"], 2, "How often the circuit breaker opened.";
    SAGA_HELD = COUNTER, "saga_held_total", "brokerage.saga.held",
        ["participant", "by"], 4, "Calls that had to wait.";
    SAGA_RETRIES_LEFT = COUNT, "saga_retries_left", "brokerage.saga.retries_left",
        ["participant"], 2, "Repetitions that the budget has left.";

    LEDGER_IMBALANCE = COUNT, "ledger_imbalance", "brokerage.ledger.imbalance",
        [], 1, "Assets whose sealed postings do not sum to zero.";
    LEDGER_CHECKED_SEQ = COUNT, "ledger_checked_seq", "brokerage.ledger.checked_seq",
        [], 1, "Up to which sealed transaction the postings have been summed up.";
    MATCHES_IN_FLIGHT = COUNT, "matches_in_flight", "brokerage.matches.in_flight",
        [], 1, "Matches that are reserved and not settled yet.";
    MATCHES_IN_FLIGHT_OLDEST = SECONDS, "matches_in_flight_oldest_seconds", "brokerage.matches.in_flight.oldest_age",
        [], 1, "How long the oldest of them has been in flight.";
    SEAL_HEAD = COUNT, "seal_head_seq", "brokerage.seal.head_seq",
        ["chain"], 4, "The last number that was given out.";
    SEAL_WAITING = COUNT, "seal_waiting_rows", "brokerage.seal.waiting",
        ["chain"], 4, "Rows without a number, at most 10000.";
    SEAL_OLDEST = SECONDS, "seal_oldest_waiting_seconds", "brokerage.seal.oldest_waiting",
        ["chain"], 4, "Age of the oldest row without a number.";
    SEAL_FAILED = COUNTER, "seal_failed_rounds_total", "brokerage.seal.failed_rounds",
        ["chain"], 4, "Rounds that sealed nothing because of a fault.";

    BUILD_INFO = COUNT, "build_info", "brokerage.build_info",
        ["service", "version"], 1, "1.";
    SERVICE_READY = COUNT, "service_ready", "brokerage.service.ready",
        [], 1, "1 while calls should come here.";
    TELEMETRY_SPANS = COUNTER, "telemetry_spans_total", "brokerage.telemetry.spans",
        ["fate"], 3, "Spans that were sent, dropped or failed.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PAGE: &str = include_str!("../../../../docs/metrics.md");

    fn word(kind: Kind) -> &'static str {
        match kind {
            Kind::Counter => "counter",
            Kind::Gauge(_) => "gauge",
            Kind::Histogram(..) => "histogram",
        }
    }

    /// Name, kind, labels and series of each row of the page.
    fn rows() -> BTreeSet<[String; 4]> {
        let cells = |line: &str| -> Option<[String; 4]> {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let mut next = || cells.next().map(|cell| cell.replace('`', ""));
            Some([next()?, next()?, next()?, next()?])
        };
        PAGE.lines().filter(|line| line.starts_with("| `")).filter_map(cells).collect()
    }

    #[test]
    fn the_page_lists_each_metric_with_its_labels_and_nothing_else() {
        let catalogue = ALL.iter().map(|metric| {
            let (name, labels) = (metric.name.to_owned(), metric.labels.join(", "));
            [name, word(metric.kind).to_owned(), labels, metric.series_max.to_string()]
        });
        assert_eq!(rows(), catalogue.collect());
    }

    #[test]
    fn names_say_their_kind_and_unit_as_prometheus_wants() {
        for metric in ALL {
            let name = metric.name;
            assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert_eq!(metric.unit() == "s", name.ends_with("_seconds"), "{name}");
            assert_eq!(
                metric.labels.is_empty(),
                metric.series_max == 1 && metric.labels.is_empty(),
                "{name}"
            );
            assert!(
                !metric.otlp.contains('_')
                    || metric.otlp.starts_with("brokerage.")
                    || metric.otlp == "db.client.connection.pending_requests",
                "{name}"
            );
        }
        let otlp: BTreeSet<&str> = ALL.iter().map(|metric| metric.otlp).collect();
        assert_eq!(otlp.len(), ALL.len(), "a name by OTLP is used twice");
    }
}
