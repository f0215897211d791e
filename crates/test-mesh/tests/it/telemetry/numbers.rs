//! Metrics: what is exported is listed, bounded, and true.

use std::collections::{BTreeMap, BTreeSet};

use brokerage_proto::asset::v1::event_service_client::EventServiceClient;
use brokerage_proto::common::v1::SubscribeRequest;
use service_kit::names::metric;
use test_mesh::{ALICE, BOB, Brokerage, Identity, Running, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::watched;

/// One answer of an ops port, head included; nothing if nobody is there.
pub async fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

async fn scrape(running: &Running) -> String {
    get(&running.addresses.ops.to_string(), "/metrics").await.unwrap()
}

/// The value of the only series of a metric.
fn value(page: &str, series: &str) -> Option<String> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))
}

/// Waits until a service shows this number.
async fn shows(running: &Running, series: &str, expected: &str) {
    let look = async || value(&scrape(running).await, series).filter(|seen| seen == expected);
    until(&format!("{series} is {expected}"), look).await;
}

fn services(brokerage: &Brokerage) -> [&Running; 3] {
    [&brokerage.order, &brokerage.asset, &brokerage.orchestrators[0]]
}

/// Families of a page, each with its distinct series.
fn families(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut families: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut family = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap_or_default().to_owned();
        } else if line.starts_with(&family) && !family.is_empty() && !line.starts_with('#') {
            let labels =
                line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').map_or("", |(l, _)| l));
            // The boundary of a bucket tells no series apart.
            let series: Vec<&str> = labels.split(',').filter(|label| !label.starts_with("le=")).collect();
            families.entry(family.clone()).or_default().insert(series.join(","));
        }
    }
    families
}

async fn trade(brokerage: &Brokerage) -> Vec<String> {
    let (alice, bob, admin) = (brokerage.alice(), brokerage.bob(), brokerage.admin());
    let (buy, sell) = (alice.buys("THYAO", "10", "8.00").await, bob.sells("THYAO", "4", "8.00").await);
    admin.matches(&buy, &sell).await;
    alice.cancels(&buy).await;
    let _refused = alice.tries_to_place(alice.bid("THYAO", "1000000", "8.00")).await;
    vec![buy, sell]
}

#[tokio::test]
async fn every_metric_is_listed_and_bounded_and_names_nobody() {
    let (brokerage, collector) = watched().await;
    let orders = trade(&brokerage).await;
    for channel in brokerage.public() {
        for count in 0..20 {
            let mut raw = tonic::client::Grpc::new(channel.clone());
            raw.ready().await.unwrap();
            let codec = tonic_prost::ProstCodec::<(), ()>::default();
            let path = format!("/invented.v{count}.Service/Method{count}").parse().unwrap();
            raw.unary(tonic::Request::new(()), path, codec).await.unwrap_err();
        }
    }
    for running in services(&brokerage) {
        let page = scrape(running).await;
        for (family, series) in families(&page) {
            let known = metric::ALL.iter().find(|known| known.name == family);
            let known = known.unwrap_or_else(|| panic!("{family} is not in the catalogue"));
            assert!(series.len() <= known.series_max, "{family} has {} series: {series:?}", series.len());
            for word in ["THYAO", "TRY", ALICE, BOB, "token-", "invented", &orders[0], &orders[1]] {
                assert!(
                    !series.iter().any(|series| series.contains(word)),
                    "{family} names {word}: {series:?}"
                );
            }
        }
    }
    // The same numbers are pushed.
    let sent_by =
        |service: &str, name: &str| collector.metrics().contains(&(service.to_owned(), name.to_owned()));
    until("metrics are pushed", async || {
        let everywhere = ["order-svc", "asset-svc", "saga-orchestrator"].iter().all(|service| {
            sent_by(service, "rpc.server.call.duration") && sent_by(service, "brokerage.lane.wait")
        });
        (everywhere && sent_by("saga-orchestrator", "brokerage.saga.ended")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_in_flight_and_what_does_not_add_up_is_shown() {
    let (brokerage, _collector) = watched().await;
    let (buy, sell) = (
        brokerage.alice().buys("THYAO", "4", "8.00").await,
        brokerage.bob().sells("THYAO", "4", "8.00").await,
    );
    let halfway = brokerage.match_by_hand(&buy, &sell, "4", "8.00").await;
    halfway.reserve().await;
    shows(&brokerage.order, "matches_in_flight", "1").await;
    halfway.settle().await;
    halfway.fill().await;
    shows(&brokerage.order, "matches_in_flight", "0").await;
    shows(&brokerage.asset, "ledger_imbalance", "0").await;
    let forged = "ALTER TABLE postings DISABLE TRIGGER postings_balanced;
        INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at) VALUES (gen_random_uuid(), 'HOLD', 'forged', now());
        INSERT INTO postings (tx_id, line, owner, asset, kind, amount)
        SELECT tx_id, 1, 'house', 'TRY', 3, 1 FROM ledger_tx WHERE caused_by = 'forged'";
    sqlx::raw_sql(forged).execute(&mut brokerage.databases.asset().await).await.unwrap();
    shows(&brokerage.asset, "ledger_imbalance", "1").await;
}

#[tokio::test]
async fn a_subscriber_is_seen_while_it_is_there() {
    let (brokerage, _collector) = watched().await;
    let lag = "outbox_lag_seconds{consumer=\"stream\"}";
    assert_eq!(value(&scrape(&brokerage.asset).await, lag), None);
    let wire = Identity::user("token-auditor").on(&brokerage.asset.public);
    let mut events =
        EventServiceClient::new(wire).subscribe(SubscribeRequest::default()).await.unwrap().into_inner();
    while !events.message().await.unwrap().expect("a log does not end").caught_up {}
    shows(&brokerage.asset, lag, "0").await;
    drop(events);
    let look = async || value(&scrape(&brokerage.asset).await, lag).is_none().then_some(());
    until("nobody listens", look).await;
}

#[tokio::test]
async fn sagas_that_nobody_drives_are_counted() {
    let (brokerage, _collector) = watched().await;
    let insert = "INSERT INTO sagas (saga_id, kind, version, caller, request_id, request_hash, input, owner, created_at)
        VALUES (gen_random_uuid(), 'create_order', 99, 'nobody', gen_random_uuid(), '', '{}', gen_random_uuid(),
                now() - interval '1 hour')";
    sqlx::raw_sql(insert).execute(&mut brokerage.databases.orchestrator().await).await.unwrap();
    until("it is counted", async || {
        let page = scrape(&brokerage.orchestrators[0]).await;
        let age = value(&page, "saga_unended_oldest_seconds{kind=\"create_order\"}")?;
        (age.parse::<i64>().unwrap() >= 3600).then_some(())
    })
    .await;
}
