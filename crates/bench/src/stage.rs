//! The meshes of a run: most cases share one, some need one of their own.

use anyhow::{Context, Result, bail, ensure};
use brokerctl::dev::{Mesh, MeshOptions, MeshService};

use crate::case::{self, Case};
use crate::report::Report;
use crate::{Options, audit, collector, cpu, history, memory, open_loop, preload, profile, rounds};

/// Closed and open loop, against the floors.
pub async fn shared(options: &Options, report: &mut Report) -> Result<()> {
    if case::plan(&options.cases(), &options.clients).is_empty() {
        return Ok(());
    }
    let mut mesh = start(Vec::new()).await?;
    let control = preload::fill(&mut mesh, options).await?;
    rounds::measure(&mut mesh, &control, options, report).await?;
    if options.cases().contains(&Case::OpenLoop) {
        report.open = open_loop::rounds(&mut mesh, &control, options, report).await?;
    }
    report.resident_mb = cpu::resident_mb(&mesh)?;
    end(mesh, "closed and open loop", report).await
}

/// Memory with many sagas in flight, on a mesh that is told to take so many.
pub async fn memory(options: &Options, report: &mut Report) -> Result<()> {
    if !options.cases().contains(&Case::Memory) {
        return Ok(());
    }
    let mesh = start(memory::settings()).await?;
    preload::fill_mesh(&mesh, options.customers).await?;
    eprintln!("getting {} sagas in flight …", memory::SAGAS);
    let found = memory::measure(&mesh, options.customers).await?;
    eprintln!("    {:.0} MB", found.total_mb());
    report.memory = Some(found);
    end(mesh, "memory", report).await
}

/// Where the CPU of a saga goes.
pub async fn profile(options: &Options, report: &mut Report) -> Result<()> {
    if !options.cases().contains(&Case::Profile) {
        return Ok(());
    }
    let mut mesh = start(Vec::new()).await?;
    preload::fill_mesh(&mesh, options.customers).await?;
    eprintln!("counting statements and calls …");
    report.profile = profile::measure(&mut mesh, options).await?;
    end(mesh, "profile", report).await
}

/// Throughput over tables that have grown.
pub async fn history(options: &Options, report: &mut Report) -> Result<()> {
    if !options.cases().contains(&Case::History) {
        return Ok(());
    }
    let mut mesh = start(Vec::new()).await?;
    preload::fill_mesh(&mesh, options.customers).await?;
    report.history = history::measure(&mut mesh, options).await?;
    end(mesh, "history", report).await
}

/// The mesh as in production: processes, every commit on disk, and traces sampled.
pub async fn start(mut settings: Vec<(MeshService, &'static str, String)>) -> Result<Mesh> {
    let here = std::env::current_exe().context("find this program")?;
    let program = here.with_file_name("brokerctl");
    if !program.exists() {
        bail!("there is no brokerctl beside this program: start it with `cargo xtask bench`");
    }
    settings.extend(collector::settings().await?);
    let options = MeshOptions {
        replicas: Some(1),
        durable: true,
        seed: false,
        serve_command: Some(program),
        // What a service copes with is not news here, and terminals are slow.
        log: "error".to_owned(),
        settings,
        ..MeshOptions::default()
    };
    eprintln!("starting the mesh …");
    Mesh::start(options).await.context("start the mesh")
}

/// Proves the books and stops the mesh.
pub async fn end(mesh: Mesh, name: &'static str, report: &mut Report) -> Result<()> {
    report.audits.push((name, audit::verify(&mesh).await));
    report.postgres = preload::postgres(&mesh).await?;
    mesh.stop().await.context("stop the mesh")?;
    // Services send what they have left when they end.
    report.spans = collector::spans();
    ensure!(report.spans > 0, "the services were to send traces, and none came");
    Ok(())
}
