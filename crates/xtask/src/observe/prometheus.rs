//! Prometheus over the mesh, with our rules, and the little of HTTP that asking it needs.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use dev_cluster::free_port;
use serde_json::Value;

use super::mesh::Mesh;
use super::running::Running;
use crate::{process, tools};

/// How far back a panel looks.
const WINDOW: Duration = Duration::from_secs(600);

/// The running Prometheus.
pub struct Prometheus {
    address: String,
    _running: Running,
}

impl Prometheus {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When it is not installed, or cannot be started.
    pub fn start(work: &Path, mesh: &Mesh) -> Result<Self> {
        let mut config = String::from("global: {scrape_interval: 1s, evaluation_interval: 5s}\n");
        let rules = process::root().join("deploy/alerts/brokerage.yaml");
        writeln!(config, "rule_files: [{}]\nscrape_configs:", rules.display())?;
        for service in ["order-svc", "asset-svc", "saga-orchestrator"] {
            let processes = mesh.processes()?;
            let targets = processes.into_iter().filter(|process| process.service == service);
            let targets: Vec<String> = targets.map(|process| format!("'{}'", process.ops)).collect();
            writeln!(
                config,
                "  - job_name: {service}\n    static_configs: [{{targets: [{}]}}]",
                targets.join(", ")
            )?;
        }
        let file = work.join("prometheus.yaml");
        fs::write(&file, config)?;
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut command = tools::command("prometheus")?;
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", work.join("prometheus").display()));
        command.arg(format!("--web.listen-address={address}"));
        let running = Running::start(&mut command, &work.join("prometheus.txt"))?;
        Ok(Self { address, _running: running })
    }

    /// How many values the query has had within the last minutes, in how many series.
    ///
    /// # Errors
    /// When it is not a query, or Prometheus does not answer.
    pub fn values(&self, query: &str) -> Result<(usize, usize)> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let from = now - WINDOW.as_secs();
        let answer =
            self.get(&format!("/api/v1/query_range?query={}&start={from}&end={now}&step=5", escaped(query)))?;
        let series = answer["data"]["result"].as_array().context("a result")?;
        let values = |series: &Value| {
            let values = series["values"].as_array().map_or(&[][..], Vec::as_slice);
            values.iter().filter(|value| value[1] != "NaN").count()
        };
        let counts: Vec<usize> = series.iter().map(values).filter(|count| *count > 0).collect();
        Ok((counts.iter().sum(), counts.len()))
    }

    /// The alerts that fire now, and whether each is a page.
    ///
    /// # Errors
    /// When Prometheus does not answer.
    pub fn firing(&self) -> Result<Vec<(String, bool)>> {
        let answer = self.get("/api/v1/alerts")?;
        let alerts = answer["data"]["alerts"].as_array().context("a list of alerts")?;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        Ok(firing
            .map(|alert| {
                let name = alert["labels"]["alertname"].as_str().unwrap_or_default();
                (name.to_owned(), alert["labels"]["severity"] == "page")
            })
            .collect())
    }

    fn get(&self, path: &str) -> Result<Value> {
        let mut stream = TcpStream::connect(&self.address).context("reach Prometheus")?;
        // With 1.0 the answer comes in one piece, and ends with the connection.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: prometheus\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer has a body")?;
        let body: Value = serde_json::from_str(body).with_context(|| format!("read {body}"))?;
        if body["status"] != "success" {
            bail!("{path}: {}", body["error"]);
        }
        Ok(body)
    }
}

fn escaped(query: &str) -> String {
    query.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn queries_are_escaped() {
        assert_eq!(super::escaped("a{b=~\"c+\"}"), "a%7Bb%3D%7E%22c%2B%22%7D");
    }
}
