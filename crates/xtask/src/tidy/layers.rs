//! Who may import whom inside a crate: the layers of `ARCHITECTURE.md`.

use super::Finding;
use super::sources::{Source, has_word};

/// The crates that serve.
pub const SERVICES: &[&str] = &["order-svc", "asset-svc", "saga-orchestrator"];
const KIT: &str = "crates/service-kit";
/// Files of the kit that talk to a database. `fault` only tells its errors apart, `health` asks whether it answers, and
/// `run` opens and migrates it.
const KIT_DATABASE: &[&str] =
    &["database", "events", "executor", "lane", "fault", "health", "months", "run", "seal"];
/// Where a service talks SQL. `audit` reads the raw tables for the auditor, past everything the store believes.
const SERVICE_DATABASE: &[&str] = &["store", "audit"];
/// Where a service is put together: names its migrations and the generated servers, nothing more.
const ASSEMBLY: &[&str] = &["lib", "service"];
/// Engine files that decide and do nothing else.
const PURE_ENGINE: &[&str] = &["definition", "log", "decide", "breaker", "retries"];
/// Code that differs from one call to the next, or waits, or knows the outside.
const IMPURE: &[&str] = &[
    "async",
    ".await",
    "tokio",
    "tonic",
    "sqlx",
    "prost",
    "brokerage_proto",
    "Utc::now",
    "Local::now",
    "SystemTime",
    "Instant::now",
    "fastrand",
    "rand",
    "Uuid::now_v7",
    "Uuid::new_v4",
];
/// Constructors of `tonic::Status` that choose a code.
const CODED: &[&str] = &[
    "cancelled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// Every rule of this file. Tests may look from outside, so they are free.
pub fn check(source: &Source<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.is_test_file() {
        return findings;
    }
    for (number, line, test) in source.lines() {
        if test {
            continue;
        }
        let broken = [sql(source, line), codes(source, line), wire_types(source, line), purity(source, line)];
        findings.extend(broken.into_iter().flatten().map(|what| Finding::new(source.path, number, what)));
    }
    findings
}

fn is_service(source: &Source<'_>) -> bool {
    SERVICES.contains(&source.crate_dir())
}

fn is_assembly(source: &Source<'_>) -> bool {
    ASSEMBLY.iter().any(|name| source.path.ends_with(&format!("/src/{name}.rs")))
}

fn sql(source: &Source<'_>, line: &str) -> Option<String> {
    let kit = source.crate_dir() == KIT;
    if !(kit || is_service(source)) || !has_word(line, "sqlx") {
        return None;
    }
    let names_migrations = line.contains("sqlx::migrate");
    let allowed = if kit {
        names_migrations || KIT_DATABASE.iter().any(|name| source.is_in(name))
    } else {
        SERVICE_DATABASE.iter().any(|name| source.is_in(name)) || (names_migrations && is_assembly(source))
    };
    (!allowed).then(|| {
        if kit {
            "`sqlx` outside the kit's database, lane, executor, months and seal: nothing else may hold a connection"
                .to_owned()
        } else {
            "`sqlx` outside `store/`: only the store talks SQL, and it returns domain values".to_owned()
        }
    })
}

fn codes(source: &Source<'_>, line: &str) -> Option<String> {
    let answers = source.crate_dir() == KIT || is_service(source);
    if !answers || source.path == "crates/service-kit/src/fault.rs" || source.is_in("participants") {
        return None;
    }
    let named = has_word(line, "tonic::Code") || has_word(line, "Code::");
    let made = CODED.iter().any(|code| has_word(line, &format!("Status::{code}")));
    (named || made).then(|| {
        "chooses a gRPC code: only the fault table does; return a `Refusal` or a `Fault` with a reason"
            .to_owned()
    })
}

fn wire_types(source: &Source<'_>, line: &str) -> Option<String> {
    let names_server = line.contains("_server::") && is_assembly(source);
    let allowed = source.is_in("grpc") || source.is_in("participants") || names_server;
    (is_service(source) && !allowed && has_word(line, "brokerage_proto")).then(|| {
        "wire types outside `grpc/` and `participants`: convert at the edge, once, into domain values"
            .to_owned()
    })
}

fn purity(source: &Source<'_>, line: &str) -> Option<String> {
    if !is_service(source) {
        return None;
    }
    let engine = source.is_in("engine") && PURE_ENGINE.iter().any(|name| source.is_in(name));
    if !(engine || source.is_in("domain") || source.is_in("sagas")) {
        return None;
    }
    let word = IMPURE.iter().find(|word| has_word(line, word))?;
    Some(format!("`{word}` in code that decides: same input, same answer; pass it in from outside"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a line at a path breaks a rule.
    #[track_caller]
    fn verdict(path: &str, line: &str, broken: bool) {
        let text = format!("//! B.\n{line}\n");
        let found = check(&Source::new(path, &text));
        assert_eq!(!found.is_empty(), broken, "{path}: {line}: {found:?}");
        assert!(found.iter().all(|finding| finding.line == 2));
    }

    #[test]
    fn sql_lives_in_the_store_and_in_the_kits_database_code() {
        let line = "use sqlx::PgConnection;";
        verdict("order-svc/src/store/load.rs", line, false);
        verdict("saga-orchestrator/src/store.rs", line, false);
        verdict("order-svc/src/grpc/orders.rs", line, true);
        verdict("order-svc/src/lib.rs", line, true);
        verdict("order-svc/src/lib.rs", "    sqlx::migrate!()", false);
        verdict("order-svc/src/grpc/orders.rs", "    sqlx::migrate!()", true);
        verdict("crates/service-kit/src/executor/inbox.rs", line, false);
        verdict("crates/service-kit/src/auth/mod.rs", line, true);
        verdict("crates/brokerctl/src/audit/mod.rs", line, false);
        verdict("order-svc/tests/it/main.rs", line, false);
    }

    #[test]
    fn only_the_fault_table_chooses_codes() {
        verdict("crates/service-kit/src/fault.rs", "let code = tonic::Code::Internal;", false);
        verdict(
            "saga-orchestrator/src/participants/reply.rs",
            "match status.code() { Code::Ok => {} }",
            false,
        );
        verdict("order-svc/src/grpc/orders.rs", "return Err(Status::not_found(reason));", true);
        verdict("order-svc/src/grpc/orders.rs", "let code = Code::Internal;", true);
        verdict("crates/service-kit/src/stack.rs", "http::StatusCode::OK", false);
        verdict("crates/brokerctl/src/failure.rs", "tonic::Code::Unavailable => 3,", false);
    }

    #[test]
    fn wire_types_stay_at_the_edge_of_a_service() {
        let line = "use brokerage_proto::order::v1::Order;";
        verdict("order-svc/src/grpc/orders.rs", line, false);
        verdict("saga-orchestrator/src/participants.rs", line, false);
        verdict("order-svc/src/lib.rs", line, true);
        verdict(
            "order-svc/src/lib.rs",
            "use brokerage_proto::order::v1::order_service_server::OrderServiceServer;",
            false,
        );
        verdict("order-svc/src/store/load.rs", line, true);
        verdict("crates/service-kit/src/executor/mod.rs", line, false);
    }

    #[test]
    fn code_that_decides_is_pure() {
        for line in [
            "async fn decide() {}",
            "let now = Utc::now();",
            "let id = Uuid::now_v7();",
            "let coin = fastrand::bool();",
            "use std::time::SystemTime;",
        ] {
            verdict("order-svc/src/domain/order.rs", line, true);
            verdict("saga-orchestrator/src/sagas/create_order.rs", line, true);
            verdict("saga-orchestrator/src/engine/decide.rs", line, true);
            verdict("saga-orchestrator/src/engine/drive.rs", line, false);
        }
        verdict("order-svc/src/domain/order.rs", "// Never async.", false);
        verdict("order-svc/src/domain/order.rs", "fn decide(now: DateTime<Utc>) {}", false);
    }
}
