//! Where the CPU of a saga goes: by process, by statement, by RPC.
//!
//! By process it is CPU time. By statement it is the time in Postgres, waiting included. By RPC it is how many calls
//! a saga costs, and how long one takes. On a mesh of its own: the extension that counts statements costs some.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use anyhow::{Context, Result};
use brokerctl::dev::{Mesh, MeshService};
use serde::Serialize;
use sqlx::{Connection, PgConnection};

use crate::case::{BUSY, FEW};
use crate::client::Workload;
use crate::load::WARM_UP;
use crate::statements::Statements;
use crate::{Options, calls, history, load, statements};

/// Statements and calls that are less than this part of all are not shown.
const SHOWN_PART: f64 = 0.01;
/// Of a statement's text.
const SHOWN_CHARS: usize = 96;

/// One line: what, in which database or service, how often a saga, and how long.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// A database, or the RPC's service.
    pub place: String,
    /// A statement, or the RPC.
    pub what: String,
    /// How often for each saga.
    pub calls: f64,
    /// Microseconds for each saga.
    pub micros: f64,
    /// Bytes of WAL for each saga.
    pub wal_bytes: f64,
}

/// The profile with so many clients.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    /// How many.
    pub clients: usize,
    /// Sagas a second.
    pub rate: f64,
    /// CPU microseconds a saga, by process.
    pub processes: BTreeMap<String, f64>,
    /// The dearest first.
    pub statements: Vec<Line>,
    /// The dearest first.
    pub calls: Vec<Line>,
}

/// Creates with one client, with a few, and with many.
///
/// # Errors
/// When statements cannot be counted.
pub async fn measure(mesh: &mut Mesh, options: &Options) -> Result<Vec<Profile>> {
    let cluster = mesh.postgres().context("the benchmark needs a cluster of its own")?;
    statements::enable(cluster).await?;
    let mut admin = PgConnection::connect(&cluster.url("postgres")).await?;
    history::wait_until_back(mesh).await?;
    let databases = databases(mesh)?;
    let mut profiles = Vec::new();
    for clients in [1, FEW, BUSY] {
        let (before, calls_before) =
            (statements::read(&mut admin, &databases).await?, calls::read(mesh).await?);
        let sample =
            load::measure(mesh, Workload::Create, clients, options.customers, options.time()).await?;
        let spent = statements::between(&before, &statements::read(&mut admin, &databases).await?);
        let answered = calls::between(&calls_before, &calls::read(mesh).await?);
        // Counts cover the warm-up too, so they are divided by the sagas that were answered in all of it.
        let sagas = answered.iter().filter(|(method, _)| method.ends_with("/CreateOrder"));
        let sagas = sagas.map(|(_, answered)| answered.count).sum::<f64>().max(1.0);
        eprintln!("    {clients} clients: {sample}, {sagas:.0} sagas in {:?}", options.time() + WARM_UP);
        profiles.push(Profile {
            clients,
            rate: sample.rate,
            processes: sample.cpu_us,
            statements: by_statement(&spent, sagas),
            calls: by_call(&answered, sagas),
        });
    }
    admin.close().await?;
    Ok(profiles)
}

/// The names of the services' databases.
///
/// # Errors
/// When one has none.
pub fn databases(mesh: &Mesh) -> Result<Vec<String>> {
    let urls = MeshService::ALL.iter().map(|service| mesh.database_urls().of(*service));
    urls.map(|url| Ok(url.rsplit('/').next().context("a database URL has a path")?.to_owned())).collect()
}

fn by_statement(spent: &Statements, sagas: f64) -> Vec<Line> {
    dearest(spent.iter().map(|((database, query), cost)| Line {
        place: database.clone(),
        what: shortened(query),
        calls: cost.calls / sagas,
        micros: cost.micros / sagas,
        wal_bytes: cost.wal_bytes / sagas,
    }))
}

fn by_call(answered: &calls::Calls, sagas: f64) -> Vec<Line> {
    dearest(answered.iter().map(|(method, answered)| {
        let (place, what) = method.trim_start_matches('/').split_once('/').unwrap_or(("", method));
        Line {
            place: place.rsplit('.').next().unwrap_or(place).to_owned(),
            what: what.to_owned(),
            calls: answered.count / sagas,
            micros: answered.seconds * 1e6 / sagas,
            wal_bytes: 0.0,
        }
    }))
}

fn dearest(lines: impl Iterator<Item = Line>) -> Vec<Line> {
    let mut lines: Vec<Line> = lines.collect();
    let all: f64 = lines.iter().map(|line| line.micros).sum();
    lines.retain(|line| line.micros >= all * SHOWN_PART);
    lines.sort_by(|a, b| b.micros.total_cmp(&a.micros));
    lines
}

/// On one line, without comments, and not too long.
fn shortened(query: &str) -> String {
    let lines = query.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    let text = words.join(" ");
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

impl Profile {
    /// As Markdown.
    pub fn write(&self, text: &mut String) -> fmt::Result {
        let plural = if self.clients == 1 { "" } else { "s" };
        let total: f64 = self.processes.values().sum();
        writeln!(
            text,
            "\n{} client{plural}, {:.0} sagas/s. CPU by process: {total:.0} µs a saga.\n",
            self.clients, self.rate
        )?;
        writeln!(text, "| process | CPU µs a saga |\n|---|---:|")?;
        for (process, used) in &self.processes {
            writeln!(text, "| {process} | {used:.0} |")?;
        }
        writeln!(
            text,
            "\n| database | statement | a saga | µs a saga | WAL bytes a saga |\n|---|---|---:|---:|---:|"
        )?;
        for Line { place, what, calls, micros, wal_bytes } in &self.statements {
            let what = what.replace('|', "\\|");
            writeln!(text, "| {place} | `{what}` | {calls:.2} | {micros:.0} | {wal_bytes:.0} |")?;
        }
        writeln!(text, "\n| service | RPC | a saga | ms a call |\n|---|---|---:|---:|")?;
        for Line { place, what, calls, micros, .. } in &self.calls {
            writeln!(text, "| {place} | {what} | {calls:.2} | {:.2} |", micros / calls / 1e3)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_shown_on_one_line_without_its_comments() {
        assert_eq!(shortened("-- what\nSELECT 1,\n    2 -- why\nFROM x"), "SELECT 1, 2 FROM x");
        assert!(shortened(&"é".repeat(200)).ends_with(" …"));
    }
}
