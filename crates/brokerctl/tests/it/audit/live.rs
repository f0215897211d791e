//! The auditor on a real mesh.

use brokerctl::api::Api;
use brokerctl::audit::{Anchor, Demands, Urls, heads, verify, verify_against};
use brokerctl::dev::ADMIN_TOKEN;
use brokerctl::replay::{message, replay};

use crate::mesh;

const SAMPLE: &str = include_str!("../../../samples/sample_flow.csv");

#[tokio::test]
async fn a_fresh_mesh_is_clean_and_so_it_is_after_order_flow_and_during_it() {
    let mesh = mesh().await;
    let urls = Urls::from(mesh.database_urls().clone());
    let report = verify(&urls).await.unwrap();
    assert!(report.is_clean(), "{}", report.to_table());
    let messages = message::parse(SAMPLE).unwrap();
    let api = Api::new(&mesh.public_uri(), ADMIN_TOKEN).unwrap();
    let (played, during) = tokio::join!(replay(api, &messages, 16), verify(&urls));
    played.unwrap();
    let during = during.unwrap();
    assert!(during.is_clean(), "{}", during.to_table());
    // What the sealers have sealed so far is still there at the end.
    let anchors = heads(&urls).await.unwrap().into_iter().map(|head| Anchor {
        chain: head.chain,
        book_seq: head.book_seq,
        hash: head.hash.parse().unwrap(),
    });
    let demands = Demands { anchors: anchors.collect(), ..Demands::default() };
    assert!(demands.anchors.iter().any(|anchor| anchor.chain == "ledger" && anchor.book_seq > 0));
    let report = verify_against(&urls, &demands).await.unwrap();
    assert!(report.is_clean(), "{}", report.to_table());
    mesh.stop().await.unwrap();
}
