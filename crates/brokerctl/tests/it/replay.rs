//! Recorded order flow through a real mesh.

use brokerctl::api::Api;
use brokerctl::dev::ADMIN_TOKEN;
use brokerctl::replay::{message, replay};

use crate::mesh;

const SAMPLE: &str = include_str!("../../samples/sample_flow.csv");

#[tokio::test]
async fn the_sample_replays_without_a_difference_and_can_be_replayed_again() {
    let mesh = mesh().await;
    let messages = message::parse(SAMPLE).unwrap();
    for _ in 0..2 {
        let api = Api::new(&mesh.public_uri(), ADMIN_TOKEN).unwrap();
        let report = replay(api, &messages, 16).await.unwrap();
        assert_eq!(report.verdict(), Ok(()), "{report:?}");
        assert_eq!(report.played.done, report.folded.playable.len());
    }
    mesh.stop().await.unwrap();
}

#[tokio::test]
async fn a_partial_cancellation_fails_the_replay() {
    let mesh = mesh().await;
    let messages = message::parse("1,1,7,100,10000,1\n2,2,7,40,10000,1\n").unwrap();
    let api = Api::new(&mesh.public_uri(), ADMIN_TOKEN).unwrap();
    let report = replay(api, &messages, 1).await.unwrap();
    let verdict = report.verdict().unwrap_err();
    assert!(verdict.contains("not supported"), "{verdict}");
    let differing: Vec<&str> = report.differences.iter().map(|difference| difference.value).collect();
    assert_eq!(differing, ["canceled", "leaves", "book"]);
    mesh.stop().await.unwrap();
}
