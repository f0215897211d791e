//! Starting, stopping, keeping, killing.

use brokerage_proto::asset::v1::ListAssetsRequest;
use brokerctl::api::Api;
use brokerctl::dev::ready::ReadyFile;
use brokerctl::dev::{Mesh, MeshOptions, MeshService};

use crate::{options, replicas};

async fn lira_of_customer_a(mesh: &Mesh) -> String {
    let mut api = Api::new(&mesh.public_uri(), "token-customer-a").unwrap();
    let request = ListAssetsRequest { asset: "TRY".into(), ..ListAssetsRequest::default() };
    api.assets.list_assets(request).await.unwrap().into_inner().balances[0].total.clone()
}

#[tokio::test]
async fn a_kept_mesh_starts_again_and_is_not_seeded_twice() {
    let home = std::env::temp_dir().join(format!("brokerctl-test-{}", uuid::Uuid::new_v4()));
    let kept = MeshOptions { data_dir: Some(home.clone()), postgres_url: None, ..options() };
    for _ in 0..2 {
        let mesh = Mesh::start(kept.clone()).await.unwrap();
        assert_eq!(lira_of_customer_a(&mesh).await, "1000000");
        mesh.stop().await.unwrap();
    }
    std::fs::remove_dir_all(home).unwrap();
}

#[tokio::test]
async fn a_killed_process_comes_back_and_the_others_serve_meanwhile() {
    let mesh = Mesh::start(replicas(2)).await.unwrap();
    let before = mesh.pids(MeshService::Asset);
    assert_eq!(before.len(), 2);
    mesh.kill9(MeshService::Asset, 0).unwrap();
    assert_eq!(lira_of_customer_a(&mesh).await, "1000000");
    mesh.wait_until_up(MeshService::Asset, 0).await.unwrap();
    assert_eq!(mesh.starts(MeshService::Asset, 0).unwrap(), 2);
    let after = mesh.pids(MeshService::Asset);
    assert!(after.len() == 2 && after[0] != before[0] && after[1] == before[1], "{before:?} {after:?}");

    mesh.take_down(MeshService::Order, 1).unwrap();
    assert_eq!(mesh.pids(MeshService::Order).len(), 1);
    mesh.restart(MeshService::Order, 1).await.unwrap();
    assert_eq!(mesh.pids(MeshService::Order).len(), 2);

    let ready = ReadyFile::of(&mesh);
    assert_eq!(ready.services.len(), 6);
    let written = serde_json::to_vec(&ready).unwrap();
    assert_eq!(serde_json::from_slice::<ReadyFile>(&written).unwrap(), ready);
    mesh.stop().await.unwrap();
}

#[tokio::test]
async fn a_taken_port_is_named_before_anything_starts() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let wanted = MeshOptions { random_ports: false, public_port: port, ..options() };
    let error = Mesh::start(wanted).await.unwrap_err();
    assert!(format!("{error:#}").contains(&format!("port {port} cannot be used")), "{error:#}");
}
