//! How statements find sagas: by key, also where the plan is from when the table was empty.

#[tokio::test]
async fn marks_find_each_saga_by_its_number_even_on_empty_tables() {
    let migrator = service_kit::database::migrator(&saga_orchestrator::migrations());
    let database = dev_cluster::test_database(migrator).await.unwrap();
    let mut settings = service_kit::settings::Settings::dev().database;
    settings.url.clone_from(&database.url);
    let mut lane = service_kit::database::connect_lane(&settings, "plans").await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.sqlx")).unwrap() {
        let query: serde_json::Value =
            serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let statement = query["query"].as_str().unwrap();
        if !statement.starts_with("UPDATE sagas s SET status") && !statement.starts_with("WITH noted AS") {
            continue;
        }
        let nulls =
            vec!["NULL"; query["describe"]["parameters"]["Left"].as_array().unwrap().len()].join(", ");
        let explain = format!("PREPARE it AS {statement}; EXPLAIN EXECUTE it({nulls}); DEALLOCATE it");
        let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(&mut lane).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| sqlx::Row::get(row, 0)).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("Index Cond: (saga_id = ") && !plan.contains("Join Filter"), "{plan}");
        seen += 1;
    }
    assert_eq!(seen, 3, "marks with a reason, and both forms of those without");
}
