//! Whole databases as rows of JSON, and what changed between two looks at them.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgPool};

/// What the sealer may write at any time; it says nothing of sagas. Of its own table, that is everything.
const SEALS: &str = "ARRAY['book_seq', 'prev_hash', 'hash']";
const SEAL_HEADS: &str = "seal_heads";

/// From table and key to the row. Rows stay text: most of them are only ever compared.
type Rows = BTreeMap<(String, String), String>;

/// One database, and how to read all of it.
pub struct Database {
    name: &'static str,
    pub pool: PgPool,
    everything: String,
}

impl Database {
    /// Finds out which tables there are. A table that is new tomorrow is looked at tomorrow.
    pub async fn open(name: &'static str, url: &str) -> Self {
        let pool = PgPool::connect(url).await.unwrap();
        let tables: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT t.relname::text, (
                 SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                 FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
                 WHERE i.indrelid = t.oid AND i.indisprimary)
             FROM pg_class t WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND t.relnamespace = 'public'::regnamespace
               AND t.relname <> $1
             ORDER BY 1",
        )
        .bind(SEAL_HEADS)
        .fetch_all(&pool)
        .await
        .unwrap();
        let select = |(table, key): (String, Option<String>)| {
            let key = key.unwrap_or_else(|| panic!("{name}.{table} has no primary key"));
            let seals = if table == "ledger_tx" { SEALS } else { "'{}'::text[]" };
            format!(
                "SELECT concat_ws(E'\\t', '{name}.{table}', jsonb_build_array({key}), to_jsonb(t) - {seals})
                 AS line FROM \"{table}\" t"
            )
        };
        let lines = tables.into_iter().map(select).collect::<Vec<_>>().join(" UNION ALL ");
        let everything = format!("SELECT string_agg(line, E'\\n') FROM ({lines}) AS every_row");
        Self { name, pool, everything }
    }

    /// Runs a statement of the test's own.
    pub async fn execute(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&self.pool).await.unwrap();
    }

    /// Every row of every table, at one instant.
    pub async fn rows(&self) -> Rows {
        let text: String =
            sqlx::query_scalar(AssertSqlSafe(self.everything.clone())).fetch_one(&self.pool).await.unwrap();
        // JSON keeps tabs and ends of lines to itself.
        let row = |line: &str| {
            let mut parts = line.split('\t').map(str::to_owned);
            let mut part = || parts.next().unwrap_or_else(|| panic!("{} has a row like {line}", self.name));
            ((part(), part()), part())
        };
        text.lines().map(row).collect()
    }
}

/// Everything there is at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot(Rows);

/// One row that is not what it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// `database.table`.
    pub table: String,
    /// `None`: it is new.
    pub before: Option<Value>,
    /// `None`: it is gone.
    pub after: Option<Value>,
}

impl Snapshot {
    /// Of both databases.
    pub fn of([mut order, asset]: [Rows; 2]) -> Self {
        order.extend(asset);
        Self(order)
    }

    /// What changed since `before`.
    pub fn since(&self, before: &Snapshot) -> Vec<Change> {
        let gone = before.0.keys().filter(|key| !self.0.contains_key(*key));
        let keys = self.0.keys().chain(gone);
        let change = |key: &(String, String)| {
            let (before, after) = (before.0.get(key), self.0.get(key));
            let read = |row: Option<&String>| row.map(|row| serde_json::from_str(row).unwrap());
            (before != after).then(|| Change {
                table: key.0.clone(),
                before: read(before),
                after: read(after),
            })
        };
        keys.filter_map(change).collect()
    }

    /// Panics with the differences if there are any.
    pub fn assert_same(&self, before: &Snapshot, claim: &str) {
        let changes = self.since(before);
        assert!(changes.is_empty(), "{claim}, but it changed {changes:#?}");
    }
}
