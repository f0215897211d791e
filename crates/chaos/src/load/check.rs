//! Afterwards: is every answer still true, and given again?

use std::collections::HashMap;

use anyhow::{Context, Result};
use brokerctl::dev::MeshService;
use futures::StreamExt;

use super::command::ask;
use super::{Book, Entry, History, Verdict};
use crate::findings::Findings;
use crate::wait::until;
use crate::world::World;

/// How many commands are asked again at the same time.
const WIDTH: usize = 16;

type Row = (String, String, String, i64);

/// Counts what the clients were told, and checks it against the tables and against what they are told now.
///
/// # Errors
/// The mesh or a database cannot be asked.
pub async fn check(world: &World, histories: &[History], findings: &mut Findings) -> Result<()> {
    for history in histories {
        tally(history, findings);
    }
    orders(world, histories, findings).await?;
    again(world, histories, findings).await
}

fn tally(history: &History, findings: &mut Findings) {
    for surprise in &history.surprises {
        findings.contradicts(surprise.clone());
    }
    for entry in &history.entries {
        findings.unknown += entry.unknown;
        match &entry.verdict {
            Some(Verdict::Done { .. }) => findings.acknowledged += 1,
            Some(Verdict::Refused(_)) => findings.refused += 1,
            None => {
                let asked = entry.unknown;
                findings.missed.push(format!("never answered, asked {asked} times: {:?}", entry.command));
            }
        }
    }
}

/// Every order is what its client's answers say.
async fn orders(world: &World, histories: &[History], findings: &mut Findings) -> Result<()> {
    let mut connection = world.connect(MeshService::Order).await?;
    for history in histories {
        let mut book = Book::default();
        for entry in &history.entries {
            // A contradiction between answers was told already.
            let _ = book.take(&entry.command, entry.verdict.as_ref());
        }
        let labels: Vec<&str> = book.orders().map(|(label, _)| label).collect();
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT client_order_id, order_id::text, status, cum_qty::bigint FROM orders
             WHERE client_order_id = ANY($1)",
        )
        .bind(&labels)
        .fetch_all(&mut connection)
        .await
        .context("read the orders")?;
        let rows: HashMap<&str, &Row> = rows.iter().map(|row| (row.0.as_str(), row)).collect();
        for (label, expected) in book.orders() {
            let row = rows.get(label);
            let found = row.map(|(_, _, status, filled)| (status.as_str(), filled.unsigned_abs()));
            let same_id = match (&expected.order_id, row) {
                (Some(told), Some((_, id, ..))) => told == id,
                (Some(_), None) => false,
                (None, _) => true,
            };
            if !(same_id && expected.allows(found)) {
                findings.contradicts(format!("{label} must be {expected:?}, but is {row:?}"));
            }
        }
    }
    Ok(())
}

/// The same request id gives the same answer.
async fn again(world: &World, histories: &[History], findings: &mut Findings) -> Result<()> {
    let api = world.api()?;
    let entries = histories.iter().flat_map(|history| &history.entries);
    let answered = entries.filter_map(|entry| Some((entry, entry.verdict.as_ref()?)));
    let asked = answered.map(|(entry, told)| {
        let api = api.clone();
        async move {
            let answer =
                until("a command is answered again", async || Ok(ask(&api, &entry.command).await.ok()));
            answer.await.map(|(now, replayed)| difference(entry, told, &now, replayed))
        }
    });
    let mut differences = futures::stream::iter(asked).buffer_unordered(WIDTH);
    while let Some(difference) = differences.next().await {
        if let Some(what) = difference? {
            findings.contradicts(what);
        }
    }
    Ok(())
}

fn difference(entry: &Entry, told: &Verdict, now: &Verdict, replayed: bool) -> Option<String> {
    if told != now {
        return Some(format!("it was answered {told:?}, and now {now:?}: {:?}", entry.command));
    }
    let done = matches!(now, Verdict::Done { .. });
    (done && !replayed).then(|| format!("it was done once more: {:?}", entry.command))
}
