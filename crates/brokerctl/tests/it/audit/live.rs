//! The auditor on a real mesh.

use asset_svc::store::Journal;
use brokerctl::api::Api;
use brokerctl::audit::{Anchor, ChainHead, Demands, Urls, heads, verify, verify_against};
use brokerctl::dev::ADMIN_TOKEN;
use brokerctl::replay::{message, replay};
use service_kit::seal::seal_waiting;
use sqlx::{Connection, PgConnection};

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
    let demands = Demands { anchors: sealed(&urls).await, ..Demands::default() };
    let report = verify_against(&urls, &demands).await.unwrap();
    assert!(report.is_clean(), "{}", report.to_table());
    mesh.stop().await.unwrap();
}

/// Every chain's end, once something of the ledger is sealed: by the mesh, or by this test, whoever comes first.
async fn sealed(urls: &Urls) -> Vec<Anchor> {
    let mut connection = PgConnection::connect(&urls.asset).await.unwrap();
    loop {
        seal_waiting::<Journal>(&mut connection).await.unwrap();
        let heads = heads(urls).await.unwrap();
        if heads.iter().any(|head| head.chain == "ledger" && head.book_seq > 0) {
            let anchor = |head: ChainHead| Anchor {
                chain: head.chain,
                book_seq: head.book_seq,
                hash: head.hash.parse().unwrap(),
            };
            return heads.into_iter().map(anchor).collect();
        }
    }
}
