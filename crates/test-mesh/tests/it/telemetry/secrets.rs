//! Canaries: what must never be said is put in wherever it can be, and looked for wherever something comes out.

use brokerage_proto::asset::v1 as asset;
use brokerage_proto::asset::v1::asset_participant_client::AssetParticipantClient;
use test_mesh::{ALICE, Identity};
use tonic::transport::Endpoint;

use super::process::Process;
use super::{traced, watched};

const PASSWORD: &str = "canary-password";
const STRANGER: &str = "canary-token-of-a-stranger";
const GUESSED: &str = "canary-guessed-secret";
/// What is known to the services, and what strangers try.
const SECRETS: &[&str] =
    &[PASSWORD, STRANGER, GUESSED, "token-customer-a", "token-admin", "token-employee", "dev-service-secret"];

#[tokio::test]
async fn no_secret_is_in_logs_or_spans_or_numbers() {
    let (brokerage, collector) = watched().await;
    let url = brokerage.databases.orchestrator.url.replacen("postgres@", &format!("postgres:{PASSWORD}@"), 1);
    assert!(url.contains(PASSWORD), "{url}");
    let settings = [
        ("DATABASE__URL", url.as_str()),
        ("TELEMETRY__OTLP_ENDPOINT", &collector.endpoint),
        ("TELEMETRY__LOG", "debug,saga_orchestrator=trace,service_kit=trace,tonic=trace,sqlx=trace"),
        ("TELEMETRY__FORMAT", "json"),
    ];
    let process = Process::start(&brokerage, &settings, None).await;

    let alice = process.caller(&brokerage, "token-customer-a", ALICE);
    let (trace, request) = traced(alice.bid("THYAO", "10", "8.00"));
    alice.trading.clone().create_order(request).await.unwrap();
    let stranger = process.caller(&brokerage, STRANGER, ALICE);
    stranger.tries_to_place(stranger.bid("THYAO", "10", "8.00")).await.unwrap_err();
    let internal = Endpoint::from_shared(process.internal()).unwrap().connect_lazy();
    let guess = Identity::Orchestrator(GUESSED.to_owned());
    let terms = asset::GetCustomerTermsRequest::default();
    AssetParticipantClient::new(guess.on(&internal)).get_customer_terms(terms).await.unwrap_err();
    let metrics = super::numbers::get(&process.ops(), "/metrics").await.unwrap();

    let logs = process.end().await;
    let spans = collector.words();
    assert!(spans.contains("saga create_order") && logs.contains(&trace.trace_id()), "something was said");
    for secret in SECRETS {
        for (place, said) in [("logs", &logs), ("spans", &spans), ("metrics", &metrics)] {
            if let Some(at) = said.find(secret) {
                let near = &said[at.saturating_sub(300)..(at + 100).min(said.len())];
                panic!("{secret} is in the {place}: …{near}…");
            }
        }
    }
    // Every line of the log is JSON, and those of the saga say which trace they belong to.
    let lines: Vec<serde_json::Value> =
        logs.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(lines.iter().any(|line| line["trace_id"] == trace.trace_id() && line["span_id"].is_string()));
}
