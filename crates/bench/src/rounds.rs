//! The order of measurements: interleaved, so that a slow minute of the machine hits all sides.

use anyhow::Result;
use brokerctl::dev::Mesh;

use crate::Options;
use crate::control::{Control, Floor};
use crate::load::{self, Workload};
use crate::report::{Report, Row, Side};
use crate::sample::Sample;

/// How many clients the mixed run and the hot account have.
pub const BUSY: usize = 64;

/// Takes every round and keeps the medians in `report`.
///
/// # Errors
/// When either side fails.
pub async fn measure(
    mesh: &mut Mesh,
    control: &Control,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let plan = plan(options);
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); plan.len()];
    for round in 1..=options.rounds {
        for (row, taken) in plan.iter().zip(&mut samples) {
            eprintln!("round {round} of {}: {row}", options.rounds);
            let sample = take(mesh, control, options, *row).await?;
            eprintln!("    {:.0}/s, p50 {:.2} ms, p99 {:.2} ms", sample.rate, sample.p50_ms, sample.p99_ms);
            taken.push(sample);
        }
    }
    report.rows = plan.into_iter().zip(samples).map(|(row, taken)| (row, Sample::median(&taken))).collect();
    Ok(())
}

fn plan(options: &Options) -> Vec<Row> {
    let mut plan = Vec::new();
    for clients in &options.clients {
        let floors = [Floor::Naive, Floor::Monolith, Floor::Bare].map(Side::Floor);
        for side in [Side::Mesh(Workload::Create)].into_iter().chain(floors) {
            plan.push(Row { side, clients: *clients, hot: false });
        }
    }
    plan.push(Row { side: Side::Mesh(Workload::Mixed), clients: BUSY, hot: false });
    for side in [Side::Mesh(Workload::Hot), Side::Floor(Floor::Naive), Side::Floor(Floor::Monolith)] {
        plan.push(Row { side, clients: BUSY, hot: true });
    }
    plan
}

async fn take(mesh: &mut Mesh, control: &Control, options: &Options, row: Row) -> Result<Sample> {
    let customers = if row.hot { 1 } else { options.customers };
    match row.side {
        Side::Mesh(workload) => load::measure(mesh, workload, row.clients, customers, options.time()).await,
        Side::Floor(floor) => control.measure(floor, row.clients, customers, options.time()).await,
    }
}
