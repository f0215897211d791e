//! `cargo xtask mutants`: tests of the tests. Every seeded defect has to be noticed by the test that is named for it.
//!
//! Each of those tests first has to pass without a defect. The services are built once, with every defect in them; the
//! environment of a run chooses one (`service_kit::defect`).

mod defects;
mod programs;

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::cluster;
use defects::Catcher;
use programs::{Programs, Verdict};

/// Runs every defect; `only` restricts it to those whose name contains one of these words.
///
/// # Errors
/// Names the defects that nothing has noticed, and the tests that fail without one.
pub fn run(only: &[String]) -> Result<()> {
    let start = Instant::now();
    let chosen: Vec<_> = defects::all()
        .filter(|defect| only.is_empty() || only.iter().any(|word| defect.name.contains(word.as_str())))
        .collect();
    ensure!(!chosen.is_empty(), "no defect has such a name");
    let programs = Programs::build()?;
    let server = cluster::start()?;
    let postgres = server.url("postgres");

    let catchers: BTreeSet<Catcher> = chosen.iter().map(|defect| defect.catcher).collect();
    let mut unsound = Vec::new();
    for catcher in &catchers {
        match programs.run(catcher, None, &postgres)? {
            Verdict::Passed => {}
            Verdict::Failed => unsound.push(format!("{}: fails without a defect", catcher.test)),
            Verdict::Unclear(why) => unsound.push(format!("{}: {why}", catcher.test)),
        }
    }
    ensure!(unsound.is_empty(), "these tests prove nothing:\n{}", unsound.join("\n"));
    eprintln!("{} tests pass without a defect", catchers.len());

    let mut escaped = Vec::new();
    for defect in &chosen {
        let outcome = match programs.run(&defect.catcher, Some(defect.name), &postgres)? {
            Verdict::Failed => "caught".to_owned(),
            Verdict::Passed => "ESCAPED".to_owned(),
            Verdict::Unclear(why) => format!("ESCAPED ({why})"),
        };
        if outcome != "caught" {
            escaped.push(defect.name);
        }
        let Catcher { package, test, .. } = defect.catcher;
        println!("{:<32} {:<52} {package} {test}: {outcome}", defect.name, defect.breaks);
    }
    eprintln!("{} defects in {:.0} s", chosen.len(), start.elapsed().as_secs_f64());
    ensure!(escaped.is_empty(), "not noticed: {}", escaped.join(", "));
    Ok(())
}
