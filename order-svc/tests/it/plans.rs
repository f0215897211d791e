//! Plans on freshly migrated, never analysed tables, with the settings of a lane: they are pinned, so each must be a
//! lookup by key from the first batch on.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
    SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off;
    SET cpu_tuple_cost = 10; SET cpu_index_tuple_cost = 10";

/// The statements that the short way sends, as the macros put them together.
fn optimistic_statements() -> Vec<(String, usize)> {
    let committed = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx")).unwrap();
    let read = |path| serde_json::from_slice::<serde_json::Value>(&std::fs::read(path).unwrap()).unwrap();
    let metadata = committed.map(|entry| read(entry.unwrap().path()));
    let statements = metadata.map(|query| {
        let arguments = query["describe"]["parameters"]["Left"].as_array().unwrap().len();
        (query["query"].as_str().unwrap().to_owned(), arguments)
    });
    statements.filter(|(sql, _)| sql.contains("all_or_nothing(") || sql.contains("FROM glimpse")).collect()
}

async fn plan(connection: &mut PgConnection, statement: &str, arguments: usize) -> String {
    let prepare = format!("PREPARE it AS {statement}");
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
    let nulls = vec!["NULL"; arguments].join(", ");
    let explain = format!("EXPLAIN EXECUTE it({nulls})");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *connection).await.unwrap();
    sqlx::raw_sql("DEALLOCATE it").execute(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_customers_label_is_looked_up_by_the_unique_index_even_on_an_empty_table() {
    let migrator = service_kit::database::migrator(&order_svc::migrations());
    let database = dev_cluster::test_database(migrator).await.unwrap();
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql(SETTINGS).execute(&mut connection).await.unwrap();

    let labels = "SELECT d.n FROM UNNEST($1::text[], $2::text[]) WITH ORDINALITY AS d (customer, label, n)
        WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = d.customer AND o.client_order_id = d.label)";
    let plan_of_labels = plan(&mut connection, labels, 2).await;
    assert!(plan_of_labels.contains("orders_client_order_id_unique"), "{plan_of_labels}");

    let write = include_str!("../../src/store/save/write_orders.sql");
    let plan_of_write = plan(&mut connection, write, 24).await;
    assert!(plan_of_write.contains("orders_pkey"), "{plan_of_write}");
    assert!(plan_of_write.contains("instruments_pkey"), "{plan_of_write}");
    assert!(!plan_of_write.contains("Seq Scan"), "{plan_of_write}");

    let write = include_str!("../../src/store/save/write_matches.sql");
    let plan_of_matches = plan(&mut connection, write, 10).await;
    assert!(plan_of_matches.contains("matches_pkey"), "{plan_of_matches}");
}

#[tokio::test]
async fn the_short_way_looks_everything_up_by_key_even_on_empty_tables() {
    let migrator = service_kit::database::migrator(&order_svc::migrations());
    let database = dev_cluster::test_database(migrator).await.unwrap();
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql(SETTINGS).execute(&mut connection).await.unwrap();
    let statements = optimistic_statements();
    assert_eq!(statements.len(), 3, "{statements:?}");
    for (statement, arguments) in statements {
        let plan = plan(&mut connection, &statement, arguments).await;
        assert!(!plan.contains("Seq Scan"), "{plan}");
        for index in ["orders_pkey", "instruments_pkey"] {
            assert!(plan.contains(index), "{index}: {plan}");
        }
        assert!(statement.contains("FROM glimpse") || plan.contains("Tid Scan on orders"), "{plan}");
    }
}
