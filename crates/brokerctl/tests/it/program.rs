//! The program as a person or a script runs it.

use std::process::{Command, Output};

use serde_json::Value;

use crate::mesh;

async fn brokerctl(server: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brokerctl"));
    command.args(args).env("BROKERCTL_SERVER", server).env("BROKERCTL_TOKEN", "token-admin");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn orders_are_created_matched_canceled_and_shown() {
    let mesh = mesh().await;
    let server = mesh.public_uri();
    let create = async |customer, side, quantity| {
        let args =
            ["order", "create", "--instrument", "THYAO", "--price", "300.5", "-o", "json", "--customer"];
        let rest = [customer, "--side", side, "--quantity", quantity];
        let created = json(&brokerctl(&server, &[&args[..], &rest[..]].concat()).await);
        created["order_id"].as_str().unwrap().to_owned()
    };
    let (buy, sell) = (create("customer-a", "buy", "10").await, create("customer-b", "sell", "4").await);
    let traded = json(&brokerctl(&server, &["order", "match", &buy, &sell, "-o", "json"]).await);
    assert_eq!(traded["quantity"], "4");
    json(&brokerctl(&server, &["order", "cancel", &buy, "-o", "json"]).await);
    let order =
        json(&brokerctl(&server, &["order", "get", &buy, "--fills", "--history", "-o", "json"]).await);
    assert_eq!(order["status"], "ORDER_STATUS_CANCELED");
    assert_eq!((&order["cum_quantity"], &order["canceled_quantity"]), (&Value::from("4"), &Value::from("6")));
    assert_eq!(order["fills"].as_array().unwrap().len(), 1);

    let table = brokerctl(&server, &["order", "list", "--status", "canceled"]).await;
    let text = String::from_utf8(table.stdout).unwrap();
    assert!(text.contains(&buy) && text.contains("CANCELED") && !text.contains(&sell), "{text}");
    for verb in [
        &["saga", "list"][..],
        &["saga", "show", &buy],
        &["asset", "statement", "TRY", "--customer", "customer-a"],
        &["asset", "deposit", "TRY", "5", "--customer", "customer-a"],
        &["instrument", "list"],
        &["customer", "list"],
        &["completions", "zsh"],
    ] {
        assert!(brokerctl(&server, verb).await.status.success(), "{verb:?}");
    }
    mesh.stop().await.unwrap();
}

#[tokio::test]
async fn exit_codes_tell_refused_usage_and_unavailable_apart() {
    let mesh = mesh().await;
    let server = mesh.public_uri();
    let nowhere = "http://127.0.0.1:1";
    let unknown = uuid::Uuid::now_v7().to_string();
    for (server, args, code, said) in [
        (server.as_str(), &["order", "get", unknown.as_str()][..], 1, "NOT_FOUND (ORDER_NOT_FOUND)"),
        (server.as_str(), &["order", "list", "--token", "nobody"], 1, "TOKEN_UNKNOWN"),
        (server.as_str(), &["order", "list", "--status", "happy"], 2, "invalid value 'happy'"),
        (server.as_str(), &["replay", "/nowhere"], 2, "cannot be read"),
        (nowhere, &["order", "list"], 3, "is it running?"),
        (nowhere, &["asset", "withdraw", "TRY", "1", "--customer", "customer-a"], 3, "--request-id"),
    ] {
        let output = brokerctl(server, args).await;
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(said), "{args:?}: {text}");
    }
    mesh.stop().await.unwrap();
}

#[tokio::test]
async fn a_head_that_was_exported_is_an_anchor_later() {
    let mesh = mesh().await;
    let server = mesh.public_uri();
    let urls = mesh.database_urls();
    let audit = async |args: &[&str]| {
        let databases = [
            ("--order-database-url", &urls.order),
            ("--asset-database-url", &urls.asset),
            ("--orchestrator-database-url", &urls.orchestrator),
        ];
        let databases = databases.iter().flat_map(|(option, url)| [*option, url.as_str()]);
        brokerctl(&server, &["audit"].iter().chain(args).copied().chain(databases).collect::<Vec<_>>()).await
    };
    let table = String::from_utf8(audit(&["head"]).await.stdout).unwrap();
    assert!(table.contains("ledger"), "{table}");
    let file = std::env::temp_dir().join(format!("heads-{}.jsonl", uuid::Uuid::now_v7()));
    let path = file.to_str().unwrap();
    let exported =
        [audit(&["head", "-o", "json"]).await.stdout, audit(&["head", "-o", "json"]).await.stdout].concat();
    std::fs::write(&file, exported).unwrap();
    let report = json(&audit(&["verify", "-o", "json", "--anchor", path]).await);
    assert_eq!(report["clean"], true);

    let forged = format!("0:{}", "ab".repeat(32));
    for (anchor, code, said) in [
        (forged.as_str(), 1, "A10 does not hold: the chain ledger: number 0 is not the one of the anchor"),
        ("/nowhere/heads.jsonl", 2, "is no file of anchors"),
    ] {
        let output = audit(&["verify", "--anchor", path, "--anchor", anchor]).await;
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{anchor}: {text}");
        assert!(text.contains(said), "{anchor}: {text}");
    }
    std::fs::remove_file(&file).unwrap();
    mesh.stop().await.unwrap();
}
