//! The collector: rotel, which prints every span that reaches it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use dev_cluster::free_port;

use super::running::Running;
use crate::tools;

/// The running collector.
pub struct Collector {
    endpoint: String,
    output: PathBuf,
    _running: Running,
}

/// A span that arrived.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Span {
    /// Which service sent it.
    pub service: String,
    /// Of which trace.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// Under which it is; empty for a root.
    pub parent: String,
    /// What it is.
    pub name: String,
    /// Its attributes, as text.
    pub attributes: BTreeMap<String, String>,
}

impl Collector {
    /// Starts it on free ports.
    ///
    /// # Errors
    /// When it is not installed, or cannot be started.
    pub fn start(work: &Path) -> Result<Self> {
        let (grpc, http) = (free_port()?, free_port()?);
        let output = work.join("collector.txt");
        let mut command = tools::command("rotel-agent")?;
        command.args([
            "start",
            "--exporter",
            "blackhole",
            "--debug-log",
            "traces",
            "--debug-log-verbosity",
            "detailed",
        ]);
        command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")]);
        command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")]);
        command.arg("--pid-file").arg(work.join("collector.pid")).env("NO_COLOR", "1");
        let running = Running::start(&mut command, &output)?;
        Ok(Self { endpoint: format!("http://127.0.0.1:{grpc}"), output, _running: running })
    }

    /// Where services push to.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Every span that has arrived.
    ///
    /// # Errors
    /// When its output cannot be read.
    pub fn spans(&self) -> Result<Vec<Span>> {
        Ok(read(&String::from_utf8_lossy(&fs::read(&self.output)?)))
    }
}

/// Reads what it prints: `key : value` lines, attributes with an arrow, the service before its spans.
fn read(text: &str) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut service = String::new();
    let mut in_span = false;
    // An attribute of a link or of an event is not one of the span.
    let mut in_own = false;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("ResourceSpans #") {
            in_span = false;
        } else if line.starts_with("Span #") {
            (in_span, in_own) = (true, true);
            spans.push(Span { service: service.clone(), ..Span::default() });
        } else if line.starts_with("Events") || line.starts_with("Links") || line.starts_with("SpanLink") {
            in_own = false;
        } else if let Some((key, value)) = line.strip_prefix("-> ").and_then(|line| line.split_once(": ")) {
            let value = value.split_once('(').map_or(value, |(_, inner)| inner.trim_end_matches(')'));
            match spans.last_mut().filter(|_| in_span) {
                Some(span) if in_own => drop(span.attributes.insert(key.to_owned(), value.to_owned())),
                None if key == "service.name" => value.clone_into(&mut service),
                Some(_) | None => {}
            }
        } else if let (Some(span), Some((key, value)), true) =
            (spans.last_mut(), line.split_once(':'), in_own)
        {
            let field = match key.trim() {
                "Trace ID" => &mut span.trace,
                "Parent ID" => &mut span.parent,
                "ID" => &mut span.id,
                "Name" => &mut span.name,
                _ => continue,
            };
            if field.is_empty() {
                value.trim().clone_into(field);
            }
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_collector_prints_is_read() {
        let text = "ResourceSpans #0\nResource attributes:\n     -> service.name: Str(order-svc)\nScopeSpans #0\n\
                    Span #0\n    Trace ID       : 01\n    Parent ID      : \n    ID             : 02\n    Name           : a b\n\
                    Attributes:\n     -> step: Str(open)\n     -> n: Int(3)\nSpan #1\n    Trace ID       : 01\n    Parent ID      : 02\n";
        let spans = read(text);
        assert_eq!(spans.len(), 2);
        assert_eq!((spans[0].service.as_str(), spans[0].name.as_str()), ("order-svc", "a b"));
        assert_eq!(spans[0].attributes["step"], "open");
        assert_eq!(spans[0].attributes["n"], "3");
        assert_eq!((spans[0].parent.as_str(), spans[1].parent.as_str()), ("", "02"));
    }
}
