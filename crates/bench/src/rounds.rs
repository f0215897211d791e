//! The order of measurements: interleaved, so that a slow minute of the machine hits all sides.

use anyhow::Result;
use brokerctl::dev::Mesh;

use crate::Options;
use crate::case;
use crate::control::{Control, Trial};
use crate::load;
use crate::report::Report;
use crate::row::{Row, Side};
use crate::sample::Sample;

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
    let plan = case::plan(&options.cases(), &options.clients);
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); plan.len()];
    for round in 1..=options.rounds {
        for (row, taken) in plan.iter().zip(&mut samples) {
            eprintln!("round {round} of {}: {row}", options.rounds);
            let sample = take(mesh, control, options, *row).await?;
            eprintln!("    {sample}");
            taken.push(sample);
        }
    }
    report.rows = plan.into_iter().zip(samples).map(|(row, taken)| (row, Sample::median(&taken))).collect();
    Ok(())
}

async fn take(mesh: &mut Mesh, control: &Control, options: &Options, row: Row) -> Result<Sample> {
    let customers = if row.hot { 1 } else { options.customers };
    match row.side {
        Side::Mesh(workload) => load::measure(mesh, workload, row.clients, customers, options.time()).await,
        Side::Floor(floor) => {
            let trial = Trial { floor, clients: row.clients, customers, time: options.time(), rate: None };
            control.measure(trial).await
        }
    }
}
