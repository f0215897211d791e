//! How statements find sagas: by key, also where the plan is from when the table was empty.

#[tokio::test]
async fn marks_find_each_saga_by_its_number_even_on_empty_tables() {
    let migrator = service_kit::database::migrator(&saga_orchestrator::migrations());
    let database = dev_cluster::test_database(migrator).await.unwrap();
    let mut settings = service_kit::settings::Settings::dev().database;
    settings.url.clone_from(&database.url);
    let mut lane = service_kit::database::connect_lane(&settings, "plans").await.unwrap();
    let is_mark =
        |sql: &str| sql.starts_with("UPDATE sagas s SET status") || sql.starts_with("WITH noted AS");
    let plans = dev_cluster::plans(&mut lane, env!("CARGO_MANIFEST_DIR"), is_mark).await.unwrap();
    assert_eq!(plans.len(), 3, "marks with a reason, and both forms of those without");
    for (_, plan) in plans {
        assert!(plan.contains("Index Cond: (saga_id = ") && !plan.contains("Join Filter"), "{plan}");
    }
}
