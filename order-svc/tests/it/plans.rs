//! Plans on freshly migrated, never analysed tables, with the settings of a lane: they are pinned, so each must be a
//! lookup by key from the first batch on.

use sqlx::{Connection, PgConnection};

const SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
    SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_bitmapscan = off;
    SET cpu_tuple_cost = 10; SET cpu_index_tuple_cost = 10";

#[tokio::test]
async fn a_customers_label_is_looked_up_by_the_unique_index_even_on_an_empty_table() {
    let migrator = service_kit::database::migrator(&order_svc::migrations());
    let database = dev_cluster::test_database(migrator).await.unwrap();
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql(SETTINGS).execute(&mut connection).await.unwrap();

    let labels = "SELECT d.n FROM UNNEST($1::text[], $2::text[]) WITH ORDINALITY AS d (customer, label, n)
        WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = d.customer AND o.client_order_id = d.label)";
    let plan_of_labels = dev_cluster::plan(&mut connection, labels, 2).await.unwrap();
    assert!(plan_of_labels.contains("orders_client_order_id_unique"), "{plan_of_labels}");

    let write = include_str!("../../src/store/save/write_orders.sql");
    let plan_of_write = dev_cluster::plan(&mut connection, write, 24).await.unwrap();
    assert!(plan_of_write.contains("orders_pkey"), "{plan_of_write}");
    assert!(plan_of_write.contains("instruments_pkey"), "{plan_of_write}");
    assert!(!plan_of_write.contains("Seq Scan"), "{plan_of_write}");

    let write = include_str!("../../src/store/save/write_matches.sql");
    let plan_of_matches = dev_cluster::plan(&mut connection, write, 10).await.unwrap();
    assert!(plan_of_matches.contains("matches_pkey"), "{plan_of_matches}");
}

#[tokio::test]
async fn the_short_way_looks_everything_up_by_key_even_on_empty_tables() {
    let migrator = service_kit::database::migrator(&order_svc::migrations());
    let database = dev_cluster::test_database(migrator).await.unwrap();
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql(SETTINGS).execute(&mut connection).await.unwrap();
    let is_of_the_short_way = |sql: &str| sql.contains("all_or_nothing(") || sql.contains("FROM glimpse");
    let crate_dir = env!("CARGO_MANIFEST_DIR");
    let plans = dev_cluster::plans(&mut connection, crate_dir, is_of_the_short_way).await.unwrap();
    assert_eq!(plans.len(), 3, "{plans:?}");
    for (statement, plan) in plans {
        assert!(!plan.contains("Seq Scan"), "{plan}");
        for index in ["orders_pkey", "instruments_pkey"] {
            assert!(plan.contains(index), "{index}: {plan}");
        }
        assert!(statement.contains("FROM glimpse") || plan.contains("Tid Scan on orders"), "{plan}");
    }
}
