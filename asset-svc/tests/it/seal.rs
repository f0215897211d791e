//! The running service seals what it posts, and the chain says what the tables say.

use asset_svc::store::Journal;
use service_kit::seal::{Chain, Digest, rows};
use sqlx::PgConnection;
use sqlx::types::Uuid;

use crate::audit::audit;
use crate::harness::{World, buy, sell, trade};

/// Waits until no posted row is without a number.
async fn sealed(connection: &mut PgConnection) {
    while rows::waiting::<Journal>(connection, None).await.unwrap().rows > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_is_posted_is_sealed_by_one_of_the_replicas() {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "1000").await;
    world.deposit("customer-b", "THYAO", "10").await;
    let (bid, ask) = (buy("customer-a", "THYAO", "2", "100"), sell("customer-b", "THYAO", "2", "90"));
    world.place(&bid).await;
    world.place(&ask).await;
    world.settle(&trade(&bid, &ask, "2", "90")).await;
    let mut connection = world.pool.acquire().await.unwrap();
    sealed(&mut connection).await;

    let book = rows::sealed::<Journal>(&mut connection, (i64::MIN, Uuid::nil()), 100).await.unwrap();
    assert_eq!(book.iter().map(|row| row.book_seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let mut hash = Digest::GENESIS;
    for row in &book {
        assert_eq!(row.prev_hash, hash.as_bytes());
        hash = hash.then(&row.content);
        assert_eq!(row.hash, hash.as_bytes());
    }
    audit(&world.pool).await;
}

#[tokio::test]
async fn the_content_of_a_transaction_is_written_as_documented() {
    let world = World::with_customers().await;
    let head = "INSERT INTO ledger_tx (tx_id, kind, caused_by, actor, channel, external_ref, created_at)
                VALUES ('00000000-0000-7000-8000-000000000001', 'DEPOSIT', 'actor:x', 'x', 'FAST', 'ğ',
                        '2026-01-31T12:00:00.5+03');
                INSERT INTO postings VALUES
                ('00000000-0000-7000-8000-000000000001', 1, 'external', 'TRY', 7, -10.50, NULL, NULL, NULL),
                ('00000000-0000-7000-8000-000000000001', 2, 'customer-a', 'TRY', 1, 10.50, 1, 10.50, 1)";
    let mut tx = world.pool.begin().await.unwrap();
    sqlx::raw_sql(head).execute(&mut *tx).await.unwrap();
    let key = Uuid::parse_str("00000000-0000-7000-8000-000000000001").unwrap();
    let content = Journal::contents(&mut tx, &[key]).await.unwrap();
    let expected = "11:ledger_tx/1,36:00000000-0000-7000-8000-000000000001,7:DEPOSIT,7:actor:x,1:x,~,4:FAST,2:ğ,\
                    27:2026-01-31T09:00:00.500000Z,1:2,\
                    1:1,8:external,3:TRY,1:7,5:-10.5,~,~,~,\
                    1:2,10:customer-a,3:TRY,1:1,4:10.5,1:1,4:10.5,1:1,";
    assert_eq!(String::from_utf8_lossy(&content[&key]), expected);
}

#[tokio::test]
async fn rows_do_not_grow_older_while_a_transaction_looks_at_them() {
    let world = World::with_customers().await;
    let row = "INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at)
               VALUES ('00000000-0000-7000-8000-000000000001', 'HOLD', 'saga:x', clock_timestamp())";
    let mut tx = world.pool.begin().await.unwrap();
    sqlx::raw_sql(row).execute(&mut *tx).await.unwrap();
    // It is younger than the transaction, so it is not more than no seconds old.
    assert_eq!(rows::waiting::<Journal>(&mut tx, Some(0)).await.unwrap().rows, 0);
    assert_eq!(rows::waiting::<Journal>(&mut tx, None).await.unwrap().rows, 1);
}
