//! Load that does not wait for answers: orders come as from strangers, at a fixed mean rate, answered or not.
//!
//! A closed loop hides queueing: when the mesh is slow, its clients ask less. Here the instants are fixed beforehand
//! (a Poisson process), and a latency is counted from the instant at which the order *should* have been sent. So a
//! generator or a mesh that falls behind makes the figures worse, never better (no coordinated omission).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use brokerage_proto::common::v1::Side as OrderSide;
use brokerctl::dev::Mesh;
use serde::Serialize;
use sqlx::{Connection, PgConnection};
use tokio::sync::Notify;
use tonic::Status;

use crate::Options;
use crate::client::{Seen, Workload, order};
use crate::control::{Control, Trial};
use crate::disk;
use crate::floor::Floor;
use crate::load::{self, WARM_UP, connections};
use crate::report::Report;
use crate::row::Side;
use crate::sample::Sample;

/// Parts of the most that the mesh can do, in percent.
pub const PARTS: [u32; 4] = [25, 50, 75, 90];
/// The part that has a bar.
pub const BAR_PART: u32 = 50;
const CONNECTIONS: usize = 8;
/// Writes a second to the disk alone: as few as hardly fill it.
const DISK_RATE: f64 = 200.0;
/// What is unanswered by then, after the last order, is given up.
const PATIENCE: Duration = Duration::from_secs(15);

/// Who is measured in an open loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// The mesh.
    Mesh,
    /// A control, at a part of its own most.
    Floor(Floor),
    /// The disk alone.
    Disk,
}

/// One measurement's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OpenRow {
    /// Who is measured.
    pub of: Of,
    /// Whether Postgres writes a checkpoint meanwhile, as fast as it can.
    pub checkpoint: bool,
    /// Percent of the most that this side did in a closed loop; means nothing for the disk.
    pub part: u32,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct OpenSample {
    /// Orders a second that were sent on average.
    pub offered: f64,
    /// Latencies; `rate` is what was answered in time.
    pub seen: Sample,
    /// How long the checkpoint took, in milliseconds; zero without one.
    pub checkpoint_ms: f64,
}

impl OpenSample {
    fn control(offered: f64, seen: Sample) -> Self {
        Self { offered, seen, checkpoint_ms: 0.0 }
    }
}

/// Sends `rate` creates a second for `time`.
///
/// # Errors
/// When the mesh cannot be reached at all.
pub async fn measure(
    mesh: &mut Mesh,
    row: OpenRow,
    rate: f64,
    customers: u32,
    time: Duration,
) -> Result<OpenSample> {
    let connections = connections(mesh, CONNECTIONS)?;
    let shared =
        Arc::new(Shared { seen: Mutex::new(Seen::nothing()?), underway: Mutex::new(0), idle: Notify::new() });
    let begin = Instant::now() + WARM_UP;
    let end = begin + time;
    let checkpoint =
        row.checkpoint.then(|| tokio::spawn(checkpoint_at(mesh.database_urls().order.clone(), begin)));
    let mut due = Instant::now();
    let mut number = 0_usize;
    while due < end {
        // The timer's grain is a millisecond: everything that is due is sent at once, late by up to that much, and
        // counted as late.
        tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
        while due < end && due <= Instant::now() {
            let mut trading = connections[number % connections.len()].clone();
            let (shared, intended) = (Arc::clone(&shared), due);
            *shared.underway() += 1;
            tokio::spawn(async move {
                let answer = trading.create_order(order(fastrand::u32(..customers), OrderSide::Buy)).await;
                shared.note(answer.map(drop), intended, begin);
            });
            number += 1;
            due += Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate);
        }
    }
    shared.finish().await;
    let checkpoint_ms = match checkpoint {
        Some(task) => task.await.context("join the checkpoint")??.as_secs_f64() * 1e3,
        None => 0.0,
    };
    let all = shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(first) = &all.first_error {
        eprintln!("    refused {}: {}: {}", all.errors, first.code(), first.message());
    }
    let mut seen = Sample::of(&all.latencies, time);
    seen.errors = all.errors;
    Ok(OpenSample { offered: rate, seen, checkpoint_ms })
}

/// Every part of the most, without and with a checkpoint, and the part that has a bar for the floors, each of its own
/// most; and the disk alone; in every round. The medians.
///
/// # Errors
/// When the mesh cannot be reached at all, or a floor fails.
pub async fn rounds(
    mesh: &mut Mesh,
    control: &Control,
    options: &Options,
    report: &Report,
) -> Result<Vec<(OpenRow, OpenSample)>> {
    let of_mesh = [false, true]
        .into_iter()
        .flat_map(|checkpoint| PARTS.map(|part| OpenRow { of: Of::Mesh, checkpoint, part }));
    let controls = [Of::Floor(Floor::Naive), Of::Floor(Floor::Monolith), Of::Disk];
    let of_controls = controls.map(|of| OpenRow { of, checkpoint: false, part: BAR_PART });
    let plan: Vec<OpenRow> = of_mesh.chain(of_controls).collect();
    let mut samples: Vec<Vec<OpenSample>> = vec![Vec::new(); plan.len()];
    for round in 1..=options.rounds {
        let most_of_mesh = match options.most {
            Some(given) => given,
            None => most_now(mesh, options, report, round).await?,
        };
        for (row, taken) in plan.iter().zip(&mut samples) {
            eprintln!("round {round} of {}: open loop, {row}", options.rounds);
            let part = f64::from(row.part) / 100.0;
            let sample = match row.of {
                Of::Mesh => {
                    measure(mesh, *row, most_of_mesh * part, options.customers, options.time()).await?
                }
                Of::Floor(floor) => {
                    let (most, clients) = most(report, Side::Floor(floor))?;
                    let (offered, customers) = (most * part, options.customers);
                    let trial =
                        Trial { floor, clients, customers, time: options.time(), rate: Some(offered) };
                    OpenSample::control(offered, control.measure(trial).await?)
                }
                Of::Disk => OpenSample::control(DISK_RATE, disk::measure(DISK_RATE, options.time()).await?),
            };
            eprintln!("    {}, p99.9 {:.2} ms", sample.seen, sample.seen.p999_ms);
            taken.push(sample);
        }
    }
    Ok(plan.into_iter().zip(samples.iter().map(|taken| median(taken))).collect())
}

/// The most sagas a second that the mesh does in a closed loop just now: a machine that others share can do twice as much
/// in one minute as in another, and half of what it did some minutes ago is more than it can do at all.
async fn most_now(mesh: &mut Mesh, options: &Options, report: &Report, round: usize) -> Result<f64> {
    let (_, clients) = most(report, Side::Mesh(Workload::Create))?;
    eprintln!("round {round} of {}: the most, with {clients} clients", options.rounds);
    let sample = load::measure(mesh, Workload::Create, clients, options.customers, options.time()).await?;
    eprintln!("    {sample}");
    ensure!(sample.errors == 0, "{} creates failed while the most was measured", sample.errors);
    Ok(sample.rate)
}

/// The most sagas a second that a side did in a closed loop, and with how many clients.
fn most(report: &Report, side: Side) -> Result<(f64, usize)> {
    let rows = report.rows.iter().filter(|(row, _)| row.side == side && !row.hot);
    let rates = rows.map(|(row, sample)| (sample.rate, row.clients));
    rates.max_by(|a, b| a.0.total_cmp(&b.0)).context("the most that a side can do was not measured")
}

impl fmt::Display for OpenRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = match self.of {
            Of::Mesh => "the most".to_owned(),
            Of::Floor(floor) => format!("the {}'s own most", floor.name()),
            Of::Disk => return f.write_str("the disk alone, writes of 8 KiB"),
        };
        let checkpoint = if self.checkpoint { ", during a checkpoint" } else { "" };
        write!(f, "{} % of {most}{checkpoint}", self.part)
    }
}

/// The median of several.
fn median(samples: &[OpenSample]) -> OpenSample {
    let of = |figure: fn(&OpenSample) -> f64| crate::sample::median(samples.iter().map(figure).collect());
    let seen: Vec<Sample> = samples.iter().map(|sample| sample.seen.clone()).collect();
    OpenSample {
        offered: of(|s| s.offered),
        seen: Sample::median(&seen),
        checkpoint_ms: of(|s| s.checkpoint_ms),
    }
}

/// What all orders of one measurement share.
struct Shared {
    seen: Mutex<Seen>,
    underway: Mutex<usize>,
    idle: Notify,
}

impl Shared {
    fn underway(&self) -> std::sync::MutexGuard<'_, usize> {
        self.underway.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, answer: Result<(), Status>, intended: Instant, begin: Instant) {
        let late = u64::try_from(intended.elapsed().as_micros()).unwrap_or(u64::MAX);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            match answer {
                // By the instant at which it was due, not by the one at which it was answered: what is slow counts.
                Ok(()) if intended >= begin => seen.latencies.saturating_record(late.max(1)),
                Ok(()) => {}
                Err(status) => seen.fail(status),
            }
        }
        let mut underway = self.underway();
        *underway -= 1;
        if *underway == 0 {
            self.idle.notify_waiters();
        }
    }

    /// Waits until everything is answered, within reason.
    async fn finish(&self) {
        let becomes_idle = self.idle.notified();
        if *self.underway() > 0 && tokio::time::timeout(PATIENCE, becomes_idle).await.is_err() {
            let left = *self.underway();
            let status = Status::deadline_exceeded(format!("{left} orders have no answer"));
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).fail(status);
        }
    }
}

/// Writes everything out at once, from `begin` on.
async fn checkpoint_at(url: String, begin: Instant) -> Result<Duration> {
    let mut connection = PgConnection::connect(&url).await.context("connect for a checkpoint")?;
    tokio::time::sleep(begin.saturating_duration_since(Instant::now())).await;
    sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await.context("checkpoint")?;
    connection.close().await.context("close the connection")?;
    Ok(begin.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_that_was_sent_late_counts_as_late() {
        let shared = Shared {
            seen: Mutex::new(Seen::nothing().unwrap()),
            underway: Mutex::new(1),
            idle: Notify::new(),
        };
        let due = Instant::now() - Duration::from_millis(50);
        shared.note(Ok(()), due, due);
        shared.finish().await;
        assert!(shared.seen.lock().unwrap().latencies.max() >= 50_000);
    }
}
