//! One gap-free chain, whoever seals, dies or writes meanwhile.

use std::collections::HashMap;

use dev_cluster::TestDatabase;
use service_kit::database::kit_migrations;
use service_kit::run::Kit;
use service_kit::seal::{Canonical, Chain, ChainTable, Digest, Round, SealError, Sealers, rows};
use service_kit::seal::{seal_batch, seal_waiting};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

const SCHEMA: &str = "
    CREATE TABLE notes (
        note_id uuid PRIMARY KEY, words text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
        book_seq bigint, prev_hash bytea, hash bytea);
    CREATE UNIQUE INDEX notes_book_seq_once ON notes (book_seq) WHERE book_seq IS NOT NULL;
    CREATE INDEX notes_unsealed ON notes (at) WHERE book_seq IS NULL;
    CREATE TRIGGER notes_sealed_once BEFORE UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION sealed_once();
    INSERT INTO seal_heads (chain, book_seq, hash) VALUES ('notes', 0, decode(repeat('00', 32), 'hex'))";

struct Notes;

impl Chain for Notes {
    const TABLE: ChainTable = ChainTable { chain: "notes", table: "notes", key: "note_id", written_at: "at" };

    async fn contents(
        connection: &mut PgConnection,
        keys: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<u8>>, sqlx::Error> {
        let rows: Vec<(Uuid, String)> =
            sqlx::query_as("SELECT note_id, words FROM notes WHERE note_id = ANY($1)")
                .bind(keys)
                .fetch_all(connection)
                .await?;
        let content = |words: &str| {
            let mut row = Canonical::tagged("notes/1");
            row.text(words);
            row.into_bytes()
        };
        Ok(rows.into_iter().map(|(key, words)| (key, content(&words))).collect())
    }
}

struct Book {
    database: TestDatabase,
}

impl Book {
    async fn new() -> Self {
        let database = dev_cluster::test_database(kit_migrations()).await.unwrap();
        let book = Self { database };
        sqlx::raw_sql(SCHEMA).execute(&mut book.connect().await).await.unwrap();
        book
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.database.url).await.unwrap()
    }

    async fn with_notes(count: i32) -> Self {
        let book = Self::new().await;
        sqlx::query(
            "INSERT INTO notes (note_id, words) SELECT gen_random_uuid(), 'note ' || n FROM generate_series(1, $1) n",
        )
        .bind(count)
        .execute(&mut book.connect().await)
        .await
        .unwrap();
        book
    }

    /// Two processes' worth of background tasks.
    fn replicas(&self) -> [Kit; 2] {
        [(); 2].map(|()| {
            let mut settings = service_kit::settings::Settings::dev();
            settings.database.url = self.database.url.clone();
            settings.time_scale = 0.02;
            let kit = Kit::new(settings).unwrap();
            Sealers::new(&kit).unwrap().start::<Notes>();
            kit
        })
    }

    /// How long the chain is, after it was walked from its beginning to its head.
    async fn walked(&self) -> i64 {
        let mut connection = self.connect().await;
        let (mut seq, mut hash, mut after) = (0, Digest::GENESIS, (i64::MIN, Uuid::nil()));
        loop {
            let page = rows::sealed::<Notes>(&mut connection, after, 100).await.unwrap();
            let Some(last) = page.last() else { break };
            after = (last.book_seq, last.key);
            for row in page {
                seq += 1;
                assert_eq!((row.book_seq, row.prev_hash.as_slice()), (seq, hash.as_bytes().as_slice()));
                hash = hash.then(&row.content);
                assert_eq!(row.hash, hash.as_bytes());
            }
        }
        let head = rows::head::<Notes>(&mut connection).await.unwrap().unwrap();
        assert_eq!((head.book_seq, head.digest()), (seq, Ok(hash)));
        seq
    }

    /// Waits until this query answers true.
    async fn until(&self, query: &'static str) {
        let mut connection = self.connect().await;
        while !sqlx::query_scalar::<_, bool>(query).fetch_one(&mut connection).await.unwrap() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn every_row_gets_a_number_and_the_hash_of_all_before_it() {
    let book = Book::with_notes(1_234).await;
    let mut sealer = book.connect().await;
    assert_eq!(seal_batch::<Notes>(&mut sealer).await.unwrap(), Round::Full);
    assert_eq!(rows::waiting::<Notes>(&mut sealer, None).await.unwrap().rows, 734);
    assert_eq!(rows::waiting::<Notes>(&mut sealer, Some(3_600)).await.unwrap(), rows::Waiting::default());
    assert_eq!(seal_waiting::<Notes>(&mut sealer).await.unwrap(), 734);
    assert_eq!(seal_waiting::<Notes>(&mut sealer).await.unwrap(), 0);
    assert_eq!(book.walked().await, 1_234);
}

#[tokio::test]
async fn sealers_that_work_at_once_make_one_chain() {
    let book = Book::with_notes(3_000).await;
    let seal = async |mut connection: PgConnection| {
        let mut sealed = 0;
        loop {
            match seal_batch::<Notes>(&mut connection).await.unwrap() {
                Round::Sealed(rows) => break sealed + rows,
                Round::Full => sealed += 500,
                Round::Busy => tokio::task::yield_now().await,
            }
        }
    };
    let (a, b) = (book.connect().await, book.connect().await);
    let (a, b) = tokio::join!(seal(a), seal(b));
    assert_eq!((a + b, book.walked().await), (3_000, 3_000));
}

#[tokio::test]
async fn a_row_that_is_committed_late_gets_a_later_number() {
    let book = Book::new().await;
    let (mut late, mut early) = (book.connect().await, book.connect().await);
    let insert = "INSERT INTO notes (note_id, words) VALUES (gen_random_uuid(), 'x')";
    sqlx::raw_sql("BEGIN").execute(&mut late).await.unwrap();
    sqlx::raw_sql(insert).execute(&mut late).await.unwrap();
    sqlx::raw_sql(insert).execute(&mut early).await.unwrap();
    assert_eq!(seal_waiting::<Notes>(&mut early).await.unwrap(), 1);
    sqlx::raw_sql("COMMIT").execute(&mut late).await.unwrap();
    assert_eq!(seal_waiting::<Notes>(&mut early).await.unwrap(), 1);
    book.until(
        "SELECT (SELECT at FROM notes WHERE book_seq = 2) < (SELECT at FROM notes WHERE book_seq = 1)",
    )
    .await;
    assert_eq!(book.walked().await, 2);
}

#[tokio::test]
async fn a_sealer_that_dies_in_the_middle_leaves_a_valid_chain() {
    let book = Book::with_notes(700).await;
    let mut sealer = book.connect().await;
    assert_eq!(seal_batch::<Notes>(&mut sealer).await.unwrap(), Round::Full);
    let mut other = book.connect().await;
    sqlx::raw_sql("BEGIN; SELECT FROM notes WHERE words = 'note 700' FOR UPDATE")
        .execute(&mut other)
        .await
        .unwrap();
    let sealing = tokio::spawn(async move { seal_batch::<Notes>(&mut sealer).await });
    let stuck = "SELECT EXISTS (SELECT FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE notes%')";
    book.until(stuck).await;
    assert_eq!(seal_batch::<Notes>(&mut book.connect().await).await.unwrap(), Round::Busy);
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::raw_sql(kill).execute(&mut book.connect().await).await.unwrap();
    assert!(matches!(sealing.await.unwrap(), Err(SealError::Database(_))));
    assert_eq!(book.walked().await, 500);
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(seal_waiting::<Notes>(&mut other).await.unwrap(), 200);
    assert_eq!(book.walked().await, 700);
}

#[tokio::test]
async fn replicas_seal_what_is_written_meanwhile_and_outlive_their_connections() {
    let book = Book::new().await;
    let kits = book.replicas();
    let write = async || {
        let mut connection = book.connect().await;
        for _ in 0..200 {
            sqlx::query("INSERT INTO notes (note_id, words) VALUES (gen_random_uuid(), 'x')")
                .execute(&mut connection)
                .await
                .unwrap();
        }
    };
    tokio::join!(write(), write(), write(), write());
    book.until("SELECT count(*) = 800 FROM notes WHERE book_seq IS NOT NULL").await;
    let kill = "SELECT count(pg_terminate_backend(pid)) = 2 FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'sealer'";
    book.until(kill).await;
    write().await;
    book.until("SELECT count(*) = 1000 FROM notes WHERE book_seq IS NOT NULL").await;
    assert_eq!(book.walked().await, 1_000);
    for kit in kits {
        kit.shutdown.cancel();
        kit.tasks.close();
        kit.tasks.wait().await;
        let metrics = kit.metrics.render();
        assert!(metrics.contains("seal_head_seq{chain=\"notes\"}"), "{metrics}");
        assert!(metrics.contains("seal_failed_rounds_total{chain=\"notes\"} 1"), "{metrics}");
    }
}

#[tokio::test]
async fn a_head_that_is_gone_is_never_made_anew() {
    let book = Book::with_notes(3).await;
    let mut sealer = book.connect().await;
    seal_waiting::<Notes>(&mut sealer).await.unwrap();
    let cut = "SET session_replication_role = replica; DELETE FROM seal_heads";
    sqlx::raw_sql(cut).execute(&mut book.connect().await).await.unwrap();
    assert!(matches!(seal_batch::<Notes>(&mut sealer).await, Err(SealError::NoHead { chain: "notes" })));
}

#[tokio::test]
async fn sealed_rows_and_heads_defend_themselves() {
    let book = Book::with_notes(3).await;
    let mut connection = book.connect().await;
    sqlx::raw_sql("UPDATE notes SET book_seq = 9, prev_hash = '', hash = '', words = 'other'")
        .execute(&mut connection)
        .await
        .unwrap_err();
    seal_waiting::<Notes>(&mut connection).await.unwrap();
    for statement in [
        "UPDATE notes SET words = 'other'",
        "UPDATE notes SET book_seq = book_seq + 3",
        "UPDATE notes SET hash = NULL, prev_hash = NULL, book_seq = NULL",
        "UPDATE seal_heads SET book_seq = 2",
        "UPDATE seal_heads SET hash = decode(repeat('00', 32), 'hex')",
        "UPDATE seal_heads SET chain = 'other', book_seq = 4",
        "DELETE FROM seal_heads",
        "TRUNCATE seal_heads",
    ] {
        let refused = sqlx::raw_sql(statement).execute(&mut connection).await.unwrap_err().to_string();
        assert!(
            refused.contains("append-only") || refused.contains("only goes forward"),
            "{statement}: {refused}"
        );
    }
    assert_eq!(book.walked().await, 3);
}
