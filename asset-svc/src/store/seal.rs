//! The journal as a chain: what of a journal transaction is sealed.
//!
//! The fields, in this order (see [`Canonical`] for the bytes): `ledger_tx/1`, tx_id, kind, caused_by, actor, reason,
//! channel, external_ref, created_at in UTC with microseconds, the number of postings, and for each posting by line:
//! line, owner, asset, kind, amount, account_seq, balance_after, statement_seq. Amounts have no trailing zeros.
//!
//! Everything is written as text by SQL, so that a row which nobody could have written honestly, such as an amount of
//! NaN, is still read and found.

use std::collections::HashMap;

use service_kit::seal::{Canonical, Chain, ChainTable};
use sqlx::PgConnection;
use sqlx::types::Uuid;

const TAG: &str = "ledger_tx/1";

/// `ledger_tx` with its `postings`.
#[derive(Clone, Copy, Debug)]
pub struct Journal;

struct Posting {
    line: i16,
    owner: String,
    asset: String,
    kind: i16,
    amount: String,
    account_seq: Option<i64>,
    balance_after: Option<String>,
    statement_seq: Option<i64>,
}

impl Chain for Journal {
    const TABLE: ChainTable =
        ChainTable { chain: "ledger", table: "ledger_tx", key: "tx_id", written_at: "created_at" };

    async fn contents(
        connection: &mut PgConnection,
        keys: &[Uuid],
    ) -> Result<HashMap<Uuid, Vec<u8>>, sqlx::Error> {
        let mut postings = postings(connection, keys).await?;
        let rows = sqlx::query!(
            r#"SELECT tx_id, kind, caused_by, actor, reason, channel, external_ref,
                      to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at
               FROM ledger_tx WHERE tx_id = ANY($1)"#,
            keys
        )
        .fetch_all(connection)
        .await?;
        let mut contents = HashMap::with_capacity(rows.len());
        for row in rows {
            let mut fields = Canonical::tagged(TAG);
            fields.text(&row.tx_id.to_string()).text(&row.kind).text(&row.caused_by);
            for text in [&row.actor, &row.reason, &row.channel, &row.external_ref, &row.created_at] {
                fields.optional(text.as_deref());
            }
            let of_tx = postings.remove(&row.tx_id).unwrap_or_default();
            fields.number(i64::try_from(of_tx.len()).unwrap_or(i64::MAX));
            of_tx.iter().for_each(|posting| posting.write(&mut fields));
            contents.insert(row.tx_id, fields.into_bytes());
        }
        Ok(contents)
    }
}

impl Posting {
    fn write(&self, fields: &mut Canonical) {
        let number = |number: Option<i64>| number.map(|number| number.to_string());
        fields.number(self.line.into()).text(&self.owner).text(&self.asset).number(self.kind.into());
        fields.text(&self.amount).optional(number(self.account_seq).as_deref());
        fields.optional(self.balance_after.as_deref()).optional(number(self.statement_seq).as_deref());
    }
}

/// Of these transactions, in the order of their lines.
async fn postings(
    connection: &mut PgConnection,
    keys: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Posting>>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT tx_id, line, owner, asset, kind, trim_scale(amount)::text AS "amount!", account_seq,
                  trim_scale(balance_after)::text AS balance_after, statement_seq
           FROM postings WHERE tx_id = ANY($1) ORDER BY tx_id, line"#,
        keys
    )
    .fetch_all(connection)
    .await?;
    let mut postings: HashMap<Uuid, Vec<Posting>> = HashMap::with_capacity(keys.len());
    for row in rows {
        postings.entry(row.tx_id).or_default().push(Posting {
            line: row.line,
            owner: row.owner,
            asset: row.asset,
            kind: row.kind,
            amount: row.amount,
            account_seq: row.account_seq,
            balance_after: row.balance_after,
            statement_seq: row.statement_seq,
        });
    }
    Ok(postings)
}
