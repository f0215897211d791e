//! Sums up the journal while it grows: per asset, what one account gets others lose.
//!
//! Each sealed transaction is looked at once by each process, in the order of the book, some thousand at a time, with
//! pauses: writers share the database, and would wait for a long sum. A finding stays until the process ends, and comes
//! back with the next one, which begins at the beginning. The database refuses such a transaction; this is for the day
//! when it does not. `audit verify` looks closer.

use std::collections::BTreeSet;
use std::time::Duration;

use prometheus::IntGaugeVec;
use service_kit::database::Reads;
use service_kit::fault::Fault;
use service_kit::metrics::Metrics;
use service_kit::names::metric;
use service_kit::run::Look;

/// Transactions that one statement sums up.
const BATCH: i64 = 2_000;
/// Statements of one look at most: together they keep up with some thousand transactions a second.
const BATCHES_MAX: usize = 10;
/// Between two statements of a look.
const PAUSE: Duration = Duration::from_millis(50);
const NO_LABELS: &[&str] = &[];

/// What has been summed up so far.
pub struct BalanceCheck {
    reads: Reads,
    imbalance: IntGaugeVec,
    checked: IntGaugeVec,
    seq: i64,
    unbalanced: BTreeSet<String>,
}

struct Part {
    seq: i64,
    unbalanced: Vec<String>,
}

impl BalanceCheck {
    /// Nothing yet.
    ///
    /// # Errors
    /// When called twice for one service: the metrics exist already.
    pub fn new(reads: Reads, metrics: &Metrics) -> Result<Self, prometheus::Error> {
        Ok(Self {
            reads,
            imbalance: metrics.gauge(&metric::LEDGER_IMBALANCE)?,
            checked: metrics.gauge(&metric::LEDGER_CHECKED_SEQ)?,
            seq: 0,
            unbalanced: BTreeSet::new(),
        })
    }

    async fn next(&self) -> Result<Part, Fault> {
        let after = self.seq;
        let read = move |pool| async move {
            let part = sqlx::query_as!(
                Part,
                r#"WITH part AS (
                       SELECT tx_id, book_seq FROM ledger_tx WHERE book_seq > $1 AND book_seq <= $1 + $2
                   )
                   SELECT coalesce((SELECT max(book_seq) FROM part), $1) AS "seq!",
                          ARRAY(SELECT asset FROM postings JOIN part USING (tx_id)
                                GROUP BY tx_id, asset HAVING sum(amount) <> 0) AS "unbalanced!""#,
                after,
                BATCH
            );
            Ok(part.fetch_one(&pool).await?)
        };
        self.reads.run("sum up the journal", read).await
    }

    fn learn(&mut self, part: Part) {
        self.seq = part.seq;
        for asset in part.unbalanced {
            if self.unbalanced.insert(asset.clone()) {
                tracing::error!(asset, "the postings of {asset} do not sum to zero: stop the writers");
            }
        }
        self.imbalance
            .with_label_values(NO_LABELS)
            .set(i64::try_from(self.unbalanced.len()).unwrap_or(i64::MAX));
        self.checked.with_label_values(NO_LABELS).set(self.seq);
    }
}

impl Look for BalanceCheck {
    async fn look(&mut self) -> Result<(), Fault> {
        for batch in 1..=BATCHES_MAX {
            let part = self.next().await?;
            let is_all = part.seq - self.seq < BATCH;
            self.learn(part);
            if is_all || batch == BATCHES_MAX {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }
}
