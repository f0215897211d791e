//! Every query of every panel of every dashboard, executed. One without data is found.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::prometheus::Prometheus;
use crate::process;

/// What Grafana would put in for panels of the last minutes.
const RATE_INTERVAL: &str = "30s";

/// Executes all of them. Says how many there are.
///
/// # Errors
/// Every query that has no data, or is none.
pub fn check(prometheus: &Prometheus) -> Result<String> {
    let mut files: Vec<_> = fs::read_dir(process::root().join("deploy/dashboards"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    let (mut panels, mut queries, mut series, mut values) = (0, 0, 0, 0);
    let mut empty = Vec::new();
    for file in &files {
        let dashboard: Value = serde_json::from_slice(&fs::read(file)?)?;
        for panel in dashboard["panels"].as_array().context("a dashboard has panels")? {
            let Some(targets) = panel["targets"].as_array() else { continue };
            panels += 1;
            for target in targets {
                let query = target["expr"].as_str().context("a target has a query")?;
                let query = query.replace("$__rate_interval", RATE_INTERVAL);
                let (had, of) = prometheus.values(&query)?;
                if had == 0 {
                    empty.push(format!("{}, {}: {query}", dashboard["title"], panel["title"]));
                }
                (queries, series, values) = (queries + 1, series + of, values + had);
            }
        }
    }
    if !empty.is_empty() {
        bail!("{} queries have no data:\n  {}", empty.len(), empty.join("\n  "));
    }
    Ok(format!(
        "{} dashboards, {panels} panels, {queries} queries: every one has data, {values} values in {series} series",
        files.len()
    ))
}
