//! A collector that is away, or mute, slows nobody and fails nobody.

use std::time::{Duration, Instant};

use test_mesh::{ALICE, Brokerage, Options};
use tokio::net::TcpListener;

use super::traced;

const ORDERS: usize = 15;

/// How long an order takes, as a rule.
async fn median(otlp_endpoint: Option<String>) -> Duration {
    let brokerage = Brokerage::start_with(Options { otlp_endpoint, ..Options::default() }).await;
    brokerage.admin().deposits(ALICE, "TRY", "1000").await;
    let alice = brokerage.alice();
    let mut took = Vec::new();
    for _ in 0..ORDERS {
        let (_, request) = traced(alice.bid("THYAO", "1", "8.00"));
        let begun = Instant::now();
        alice.trading.clone().create_order(request).await.unwrap();
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took[ORDERS / 2]
}

#[tokio::test]
async fn a_dead_collector_slows_nobody() {
    let without = median(None).await;
    // Takes connections and never says anything.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = ["http://127.0.0.1:1".to_owned(), format!("http://{}", mute.local_addr().unwrap())];
    for endpoint in endpoints {
        let with = median(Some(endpoint.clone())).await;
        println!("{without:?} without a collector, {with:?} with {endpoint}");
        // The least that waiting for it could cost is its timeout, two seconds.
        assert!(
            with < without * 4 + Duration::from_millis(300),
            "{with:?} instead of {without:?}: {endpoint}"
        );
    }
}
