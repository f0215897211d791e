//! The tables defend themselves: the journal is balanced and append-only whoever writes to it.

use sqlx::{Acquire, AssertSqlSafe, PgPool};

use crate::audit::audit;
use crate::harness::World;

async fn refused(pool: &PgPool, statement: &'static str) -> String {
    match sqlx::raw_sql(statement).execute(pool).await {
        Ok(_) => panic!("accepted: {statement}"),
        Err(error) => error.to_string(),
    }
}

async fn alice_with_a_deposit() -> World {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "100").await;
    world
}

#[tokio::test]
async fn an_unbalanced_insert_is_refused() {
    let world = alice_with_a_deposit().await;
    let head = "INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at)
                VALUES ('00000000-0000-7000-8000-000000000001', 'DEPOSIT', 'actor:x', now());";
    let cases: &[(&'static str, &str)] = &[
        (
            "INSERT INTO postings VALUES
                ('00000000-0000-7000-8000-000000000001', 1, 'house', 'TRY', 3, 5, NULL, NULL, NULL),
                ('00000000-0000-7000-8000-000000000001', 2, 'external', 'TRY', 7, -4, NULL, NULL, NULL)",
            "do not sum to zero",
        ),
        (
            "INSERT INTO postings VALUES
                ('00000000-0000-7000-8000-000000000001', 1, 'house', 'TRY', 3, 5, NULL, NULL, NULL),
                ('00000000-0000-7000-8000-000000000001', 2, 'external', 'GARAN', 7, -5, NULL, NULL, NULL)",
            "do not sum to zero",
        ),
        (
            "INSERT INTO postings VALUES
                ('00000000-0000-7000-8000-000000000009', 1, 'house', 'TRY', 3, 5, NULL, NULL, NULL),
                ('00000000-0000-7000-8000-000000000009', 2, 'external', 'TRY', 7, -5, NULL, NULL, NULL)",
            "without their journal transaction",
        ),
        (
            "INSERT INTO postings VALUES
                ('00000000-0000-7000-8000-000000000001', 1, 'customer-a', 'TRY', 1, 5, NULL, NULL, NULL),
                ('00000000-0000-7000-8000-000000000001', 2, 'external', 'TRY', 7, -5, NULL, NULL, NULL)",
            "postings_running_balance",
        ),
        (
            "INSERT INTO postings VALUES
                ('00000000-0000-7000-8000-000000000001', 1, 'customer-a', 'TRY', 1, 5, 1, 5, 1),
                ('00000000-0000-7000-8000-000000000001', 2, 'external', 'TRY', 7, -5, NULL, NULL, NULL)",
            "postings_account_seq_once",
        ),
        (
            "INSERT INTO postings VALUES
                ('00000000-0000-7000-8000-000000000001', 1, 'house', 'TRY', 1, 5, 1, 5, 1),
                ('00000000-0000-7000-8000-000000000001', 2, 'external', 'TRY', 7, -5, NULL, NULL, NULL)",
            "postings_owner_fits_kind",
        ),
    ];
    sqlx::raw_sql(head).execute(&world.pool).await.unwrap();
    for (statement, why) in cases {
        let error = refused(&world.pool, statement).await;
        assert!(error.contains(why), "{error}");
    }
    audit(&world.pool).await;
}

#[tokio::test]
async fn the_journal_is_append_only() {
    let world = alice_with_a_deposit().await;
    let before = world.effects().await;
    for statement in [
        "UPDATE postings SET amount = amount * 2",
        "UPDATE postings SET balance_after = 0 WHERE kind = 1",
        "DELETE FROM postings",
        "TRUNCATE postings",
        "DELETE FROM ledger_tx",
        "TRUNCATE ledger_tx CASCADE",
        "UPDATE ledger_tx SET reason = 'something else'",
        "UPDATE ledger_tx SET created_at = now()",
        "UPDATE ledger_tx SET book_seq = 1, prev_hash = 'a', hash = 'b', actor = 'somebody else'",
    ] {
        let error = refused(&world.pool, statement).await;
        assert!(error.contains("append-only"), "{statement}: {error}");
    }
    assert_eq!(world.effects().await, before);
}

#[tokio::test]
async fn a_journal_transaction_is_sealed_once_and_whole() {
    let world = alice_with_a_deposit().await;
    // Nobody else sees the new row, so no sealer is faster.
    let mut tx = world.pool.begin().await.unwrap();
    let head = "INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at)
                VALUES ('00000000-0000-7000-8000-000000000001', 'DEPOSIT', 'actor:x', now())";
    sqlx::raw_sql(head).execute(&mut *tx).await.unwrap();
    for (columns, refusal) in [
        ("book_seq = 1000", Some("ledger_tx_sealed_whole")),
        ("book_seq = 1000, prev_hash = 'a', hash = 'b', kind = 'WITHDRAW'", Some("append-only")),
        ("book_seq = 1000, prev_hash = 'a', hash = 'b'", None),
        ("book_seq = 1001, prev_hash = 'c', hash = 'd'", Some("append-only")),
    ] {
        let update = format!("UPDATE ledger_tx SET {columns} WHERE caused_by = 'actor:x'");
        let mut attempt = tx.begin().await.unwrap();
        let done = sqlx::raw_sql(AssertSqlSafe(update)).execute(&mut *attempt).await;
        match (done, refusal) {
            (Ok(_), None) => attempt.commit().await.unwrap(),
            (Err(error), Some(why)) => assert!(error.to_string().contains(why), "{columns}: {error}"),
            (done, _) => panic!("{columns}: {done:?}"),
        }
    }
}

#[tokio::test]
async fn balances_and_holds_have_constraints_of_their_own() {
    let world = alice_with_a_deposit().await;
    for (statement, why) in [
        ("UPDATE balances SET available = -0.00000001", "balances_available_not_negative"),
        ("UPDATE balances SET held = -1", "balances_held_not_negative"),
        (
            "INSERT INTO holds VALUES ('00000000-0000-7000-8000-000000000001', 'customer-a', 1, 'THYAO', 'TRY', 1, 1,
             0, 0, 0, 0, 2, 10, 6, 5, 'ACTIVE', 1)",
            "holds_remaining_not_negative",
        ),
        (
            "INSERT INTO holds VALUES ('00000000-0000-7000-8000-000000000001', 'customer-a', 1, 'THYAO', 'TRY', 1, 1,
             0, 0, 0, 0, 2, 10, 6, 3, 'CLOSED', 1)",
            "holds_closed_is_empty",
        ),
        (
            "INSERT INTO holds VALUES ('00000000-0000-7000-8000-000000000001', 'customer-a', 1, 'THYAO', 'TRY', 1, 1,
             2, 0, 0, 0, 2, 10, 6, 4, 'CLOSED', 1)",
            "holds_filled_within_quantity",
        ),
        ("UPDATE assets SET ledger_scale = 8 WHERE asset = 'TRY'", "never change"),
        ("UPDATE tiers SET fee_ppm = 1000001", "tiers_fee_is_a_share"),
        ("INSERT INTO customers VALUES ('house', 'x', 'VIP', 'ACTIVE', 1)", "customers_not_reserved"),
    ] {
        let error = refused(&world.pool, statement).await;
        assert!(error.contains(why), "{statement}: {error}");
    }
}
