//! The spans that the trace of a saga must have, by its kind and by how it ended.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use super::collector::Span;
use super::mesh::Saga;

const SAGA_ID: &str = "brokerage.saga.id";

/// The commands of a saga, those that it always begins with first.
fn commands(kind: &str) -> &'static [&'static str] {
    match kind {
        "create_order" => &["draft", "place_hold", "open"],
        "cancel_order" => &["begin_cancel", "await_drain", "release_hold", "confirm_cancel"],
        "match_orders" => &["reserve_match", "settle_trade", "apply_fill"],
        _ => &[],
    }
}

/// Compares every saga with its trace. One at risk may have lost its trace with the process that drove it.
///
/// # Errors
/// Every span that is missing.
pub fn check(sagas: &[Saga], at_risk: &BTreeSet<String>, spans: &[Span]) -> Result<String> {
    let mut traces: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    let mut of_saga: BTreeMap<&str, &str> = BTreeMap::new();
    for span in spans {
        traces.entry(&span.trace).or_default().push(span);
        if let Some(id) = span.attributes.get(SAGA_ID).filter(|_| span.name.starts_with("saga ")) {
            of_saga.insert(id, &span.trace);
        }
    }
    let mut missing = Vec::new();
    let (mut completed, mut undone, mut adopted, mut lost, mut seen) = (0, 0, 0, 0, 0);
    for saga in sagas {
        let trace = of_saga.get(saga.id.as_str()).and_then(|trace| traces.get(trace));
        let Some(trace) = trace else {
            if at_risk.contains(&saga.id) {
                lost += 1;
                continue;
            }
            missing.push(format!("{} {}: no trace", saga.kind, saga.id));
            continue;
        };
        missing
            .extend(lacks(saga, trace).into_iter().map(|name| format!("{} {}: {name}", saga.kind, saga.id)));
        seen += trace.len();
        match (saga.rolled_back, saga.adopted) {
            (_, true) => adopted += 1,
            (true, false) => undone += 1,
            (false, false) => completed += 1,
        }
    }
    if !missing.is_empty() {
        let few: Vec<&str> = missing.iter().take(10).map(String::as_str).collect();
        bail!("{} spans are missing, such as\n  {}", missing.len(), few.join("\n  "));
    }
    Ok(format!(
        "{} sagas: {completed} completed, {undone} undone, {adopted} taken over; every trace has its spans, {seen} in \
         all. {lost} ended in the killed process just before it could send theirs",
        sagas.len()
    ))
}

/// What this trace lacks.
fn lacks(saga: &Saga, trace: &[&Span]) -> Vec<String> {
    // Participants spell commands in their own way: `place_hold`, `ReserveMatch`.
    let names: BTreeSet<String> = trace.iter().map(|span| plain(&span.name)).collect();
    let mut wanted = vec![format!("saga {}", saga.kind)];
    let commands = commands(&saga.kind);
    if saga.adopted {
        // What the killed process had not sent yet is gone; the one that took over says what it did.
    } else if saga.rolled_back {
        wanted.push(format!("attempt {}", commands[0]));
    } else {
        wanted.extend(commands.iter().map(|command| format!("attempt {command}")));
        // A check only reads, so nothing is executed for it.
        let executed = commands.iter().filter(|command| **command != "await_drain");
        wanted.extend(executed.map(|command| format!("execute {command}")));
    }
    if saga.rolled_back && !saga.adopted && !names.iter().any(|name| name.starts_with("compensate ")) {
        wanted.push("compensate …".to_owned());
    }
    let mut lacking: Vec<String> = wanted.into_iter().filter(|name| !names.contains(&plain(name))).collect();
    if !saga.adopted && !trace.iter().any(|span| span.name.starts_with("transaction ")) {
        lacking.push("transaction …".to_owned());
    }
    let services: BTreeSet<&str> = trace.iter().map(|span| span.service.as_str()).collect();
    if !saga.adopted && services.len() < 2 {
        lacking.push(format!("spans of another service than {services:?}"));
    }
    lacking
}

fn plain(name: &str) -> String {
    name.to_lowercase().replace('_', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(service: &str, name: &str) -> Span {
        let saga = (SAGA_ID.to_owned(), "s".to_owned());
        Span {
            service: service.into(),
            trace: "t".into(),
            name: name.into(),
            attributes: [saga].into(),
            ..Span::default()
        }
    }

    #[test]
    fn a_span_that_is_missing_is_named() {
        let saga = Saga { id: "s".into(), kind: "match_orders".into(), rolled_back: false, adopted: false };
        let mut spans =
            vec![span("saga-orchestrator", "saga match_orders"), span("order-svc", "transaction executor")];
        for command in commands("match_orders") {
            spans.push(span("saga-orchestrator", &format!("attempt {command}")));
            spans.push(span("order-svc", &format!("execute {command}")));
        }
        assert!(check(std::slice::from_ref(&saga), &BTreeSet::new(), &spans).is_ok());
        spans.retain(|span| span.name != "execute settle_trade");
        assert!(
            check(&[saga], &BTreeSet::new(), &spans)
                .unwrap_err()
                .to_string()
                .contains("execute settle_trade")
        );
    }
}
