//! What `brokerctl dev` prints when the mesh is ready.

use std::fmt::Write as _;

use uuid::Uuid;

use super::ready::ReadyFile;

/// The tokens of the dev profile and whose they are.
const TOKENS: &[(&str, &str)] = &[
    ("token-admin", "administrator"),
    ("token-customer-a", "customer-a"),
    ("token-customer-b", "customer-b"),
    ("token-employee", "broker of customer-a"),
    ("token-auditor", "auditor"),
];

/// Everything a person needs to start, in the order they need it.
#[must_use]
pub fn text(ready: &ReadyFile, took: std::time::Duration) -> String {
    let mut text = format!("\nThe mesh is ready after {:.1} s.\n\n", took.as_secs_f64());
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<18} {value}");
    };
    line("public API", &ready.public);
    for process in &ready.services {
        let pid = process.pid.map_or(String::new(), |pid| format!(", pid {pid}"));
        let at = process.addresses;
        line(
            super::MeshService::name(process.service),
            &format!("public {}, internal {}, ops http://{}{pid}", at.public, at.internal, at.ops),
        );
    }
    for (service, url) in [
        ("orders in", &ready.databases.order),
        ("assets in", &ready.databases.asset),
        ("sagas in", &ready.databases.orchestrator),
    ] {
        line(service, url);
    }
    line("redis", ready.redis.as_deref().unwrap_or("none; nothing needs it"));
    for (token, whose) in TOKENS {
        line(token, whose);
    }
    text.push_str("\nTry:\n\n");
    for call in grpcurl_lines(ready) {
        let _ = writeln!(text, "  {call}");
    }
    text.push_str(
        "\nNot for production: the tokens and secrets are known to everybody. Ctrl-C stops everything.\n",
    );
    text
}

/// Create an order, list orders, list assets: lines for a shell, right as they are.
#[must_use]
pub fn grpcurl_lines(ready: &ReadyFile) -> [String; 3] {
    let server = ready.public.trim_start_matches("http://");
    let call = |message: &str, method: &str| {
        format!(
            "grpcurl -plaintext -H 'authorization: Bearer token-customer-a' -d '{message}' {server} {method}"
        )
    };
    let create = format!(
        r#"{{"request_id":"{}","instrument":"THYAO","side":"SIDE_BUY","limit_price":"300.5","quantity":"10"}}"#,
        Uuid::new_v4()
    );
    [
        call(&create, "brokerage.trading.v1.TradingService/CreateOrder"),
        call(r#"{"page_size":10}"#, "brokerage.order.v1.OrderService/ListOrders"),
        call("{}", "brokerage.asset.v1.AssetService/ListAssets"),
    ]
}
