//! What a replay tells at its end.

use std::time::Duration;

use comfy_table::Table;
use serde_json::{Value, json};

use super::compare::Difference;
use super::fold::{Folded, Skip};
use super::latency::Verb;
use super::play::Played;
use super::setup::Run;
use crate::output::{Format, say, table};

const DIFFERENCES_SHOWN: usize = 50;

/// The whole outcome of a run.
#[derive(Debug)]
pub struct Report {
    /// The run.
    pub run: Run,
    /// Lines of the file.
    pub messages: usize,
    /// The file, folded.
    pub folded: Folded,
    /// What was played.
    pub played: Played,
    /// How long playing took.
    pub took: Duration,
    /// Where server and file disagree.
    pub differences: Vec<Difference>,
}

impl Report {
    /// Whether the server ended where the file ends.
    ///
    /// # Errors
    /// Says in one sentence why not.
    pub fn verdict(&self) -> Result<(), String> {
        let unreachable: usize = self
            .folded
            .skipped
            .iter()
            .filter(|((_, skip), _)| skip.is_failure())
            .map(|(_, count)| count)
            .sum();
        let problems = [
            (self.differences.len(), "differences between file and server"),
            (self.played.unplayed.len(), "messages that failed"),
            (unreachable, "messages that are not supported or contradict the file"),
        ];
        let found: Vec<String> = problems
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if found.is_empty() { Ok(()) } else { Err(found.join(", ")) }
    }

    /// Prints everything.
    pub fn print(&self, format: Format) {
        match format {
            Format::Json => say(self.json()),
            Format::Table => self.print_tables(),
        }
    }

    fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let done = self.played.done as f64;
        done / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    fn print_tables(&self) {
        say(format!(
            "instrument {}: {} messages, {} played in {:.1} s ({:.0}/s), {} failed, {} repeated after a lost answer, \
             {} made anew after being given up",
            self.run.symbol,
            self.messages,
            self.played.done,
            self.took.as_secs_f64(),
            self.rate(),
            self.played.unplayed.len(),
            self.played.repeated,
            self.played.given_up,
        ));
        say(format!("\n{}", self.latency_table()));
        if !self.folded.skipped.is_empty() {
            let mut skipped = table(&["skipped", "what", "why"]);
            for ((kind, skip), count) in &self.folded.skipped {
                skipped.add_row([count.to_string(), kind.words().to_owned(), skip_text(*skip)]);
            }
            say(format!("\n{skipped}"));
        }
        for unplayed in self.played.unplayed.iter().take(DIFFERENCES_SHOWN) {
            say(format!(
                "line {} ({}): {}",
                unplayed.message.line,
                unplayed.message.kind.words(),
                unplayed.why
            ));
        }
        say(format!(
            "\ncompared {} orders, {} trades and {} price levels: {} differences",
            self.folded.orders.len() + self.folded.executions.len(),
            self.folded.executions.len(),
            self.folded.book().len(),
            self.differences.len()
        ));
        if !self.differences.is_empty() {
            say(self.difference_table());
        }
    }

    fn latency_table(&self) -> Table {
        let mut table = table(&["command", "count", "p50 ms", "p99 ms", "max ms"]);
        for verb in Verb::ALL {
            let latency = |quantile| format!("{:.1}", self.played.latencies.quantile_ms(*verb, quantile));
            let count = self.played.latencies.count(*verb).to_string();
            table.add_row([verb.words().to_owned(), count, latency(0.5), latency(0.99), latency(1.0)]);
        }
        table
    }

    fn difference_table(&self) -> Table {
        let mut table = table(&["what", "value", "file", "server"]);
        for difference in self.differences.iter().take(DIFFERENCES_SHOWN) {
            table.add_row([&difference.what, difference.value, &difference.file, &difference.server]);
        }
        let more = self.differences.len().saturating_sub(DIFFERENCES_SHOWN);
        if more > 0 {
            table.add_row([format!("… and {more} more")]);
        }
        table
    }

    fn json(&self) -> Value {
        let skipped = self.folded.skipped.iter().map(
            |((kind, skip), count)| json!({ "what": kind.words(), "why": skip.words(), "count": count }),
        );
        let latencies = Verb::ALL.iter().map(|verb| {
            let of = |quantile| self.played.latencies.quantile_ms(*verb, quantile);
            json!({ "command": verb.words(), "count": self.played.latencies.count(*verb),
                    "p50_ms": of(0.5), "p99_ms": of(0.99), "max_ms": of(1.0) })
        });
        let failed = self.played.unplayed.iter().map(
            |unplayed| json!({ "line": unplayed.message.line, "what": unplayed.message.kind.words(), "why": unplayed.why }),
        );
        json!({
            "instrument": self.run.symbol,
            "messages": self.messages,
            "played": self.played.done,
            "seconds": self.took.as_secs_f64(),
            "repeated": self.played.repeated,
            "given_up": self.played.given_up,
            "skipped": skipped.collect::<Vec<_>>(),
            "latencies": latencies.collect::<Vec<_>>(),
            "failed": failed.collect::<Vec<_>>(),
            "orders_compared": self.folded.orders.len() + self.folded.executions.len(),
            "differences": self.differences,
        })
    }
}

fn skip_text(skip: Skip) -> String {
    let mark = if skip.is_failure() { "FAILURE: " } else { "" };
    format!("{mark}{}", skip.words())
}
