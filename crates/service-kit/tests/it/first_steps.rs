//! What anti-entropy reads of an inbox: a page costs what is in it, however much was written since.

use dev_cluster::TestDatabase;
use service_kit::database::kit_migrations;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

/// First steps of 20,000 sagas, and as many later ones.
const ROWS: &str = "
    INSERT INTO inbox (saga_id, step, verdict, request_hash, epoch, command, intent, decided_at)
    SELECT uuid_v7_floor(now() + n * interval '1 ms'), step.number, 1, '\\x00', 1, 'count', step.intent,
           now() + n * interval '1 ms'
    FROM generate_series(1, 20000) AS n, (VALUES (1, '\\x00'::bytea), (2, NULL)) AS step (number, intent);
    ANALYZE inbox";

/// The statement, as the service sends it.
fn page() -> String {
    let committed = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx")).unwrap();
    let texts = committed.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    let statements = texts.map(|text| {
        let metadata: serde_json::Value = serde_json::from_slice(&text).unwrap();
        metadata["query"].as_str().unwrap().to_owned()
    });
    let mut found = statements.filter(|sql| sql.contains("FROM inbox") && sql.contains("LIMIT $4"));
    let page = found.next().unwrap();
    assert_eq!(found.next(), None);
    page
}

async fn plan(database: &TestDatabase, mode: &str) -> String {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let prepare = format!("SET plan_cache_mode = {mode}; PREPARE page AS {}", page());
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut connection).await.unwrap();
    let explain =
        "EXPLAIN EXECUTE page(now(), '00000000-0000-0000-0000-000000000000', now() + interval '1 h', 500)";
    let rows = sqlx::raw_sql(explain).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_page_of_first_steps_is_read_in_order_and_nothing_else() {
    let database = dev_cluster::test_database(kit_migrations()).await.unwrap();
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql(ROWS).execute(&mut connection).await.unwrap();
    for mode in ["force_custom_plan", "force_generic_plan"] {
        let plan = plan(&database, mode).await;
        assert!(plan.contains("Index Scan"), "{mode}: {plan}");
        for wrong in ["Seq Scan", "Bitmap", "Sort  (", "Parallel"] {
            assert!(!plan.contains(wrong), "{mode}: {plan}");
        }
    }
}
