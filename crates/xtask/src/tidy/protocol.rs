//! Rules about the proto files: a saga step without its context could not be repeated safely.

use std::collections::HashMap;

use super::Finding;

const CONTEXT: &str = "brokerage.common.v1.StepContext context";
/// An RPC whose name starts so changes nothing.
const READS: &[&str] = &["Get", "List", "Watch"];

/// Every RPC of a `…Participant` service that may change something carries a `StepContext` as `context`.
pub fn step_contexts(path: &str, text: &str) -> Vec<Finding> {
    let messages = messages(text);
    let mut participant = false;
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("service ") {
            participant = rest.split_whitespace().next().is_some_and(|name| name.ends_with("Participant"));
        }
        let Some((name, request)) = rpc(line) else { continue };
        if !participant || READS.iter().any(|read| name.starts_with(read)) {
            continue;
        }
        if !has_context(&messages, request) && !repeats_what_has(&messages, request) {
            findings.push(Finding::new(
                path,
                index + 1,
                format!(
                    "`{name}` takes `{request}`, which has no `{CONTEXT}`: without it a repeat runs twice"
                ),
            ));
        }
    }
    findings
}

fn has_context(messages: &HashMap<&str, Vec<&str>>, message: &str) -> bool {
    messages.get(message).is_some_and(|body| body.iter().any(|field| field.starts_with(CONTEXT)))
}

/// Whether it is a list of steps, each of which is one of several messages that all have their own context.
fn repeats_what_has(messages: &HashMap<&str, Vec<&str>>, message: &str) -> bool {
    let types = |message: &str| {
        let fields = messages.get(message).into_iter().flatten();
        fields.filter_map(|field| field.split_whitespace().next()).collect::<Vec<_>>()
    };
    let fields = messages.get(message).into_iter().flatten();
    let Some(step) = fields.filter_map(|field| field.strip_prefix("repeated ")?.split_once(' ')).next()
    else {
        return false;
    };
    let steps: Vec<_> = types(step.0).into_iter().filter(|kind| messages.contains_key(kind)).collect();
    !steps.is_empty() && steps.iter().all(|kind| has_context(messages, kind))
}

/// `rpc Name(Request) returns …`
fn rpc(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.strip_prefix("rpc ")?.split_once('(')?;
    let (request, _) = rest.split_once(')')?;
    Some((name.trim(), request.trim()))
}

/// The lines of each message at the top of the file.
fn messages(text: &str) -> HashMap<&str, Vec<&str>> {
    let mut messages: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut open = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("message ") {
            open = rest.split_whitespace().next();
        } else if line.starts_with('}') {
            open = None;
        } else if let Some(name) = open {
            messages.entry(name).or_default().push(line.trim());
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
service OrderParticipant {
  // A step.
  rpc Draft(DraftRequest) returns (StepReply);
  rpc GetTerms(GetTermsRequest) returns (Terms);
}
message DraftRequest {
  // Key.
  brokerage.common.v1.StepContext context = 1;
}
message GetTermsRequest {
  string order_id = 1;
}
";

    #[test]
    fn a_step_with_its_context_and_a_read_without_are_fine() {
        assert_eq!(step_contexts("a.proto", GOOD), []);
    }

    #[test]
    fn a_step_without_a_context_is_found() {
        for bad in [
            GOOD.replace("  brokerage.common.v1.StepContext context = 1;\n", ""),
            GOOD.replace("StepContext context", "StepContext key"),
        ] {
            let found = step_contexts("a.proto", &bad);
            assert_eq!(found.len(), 1);
            assert!(found[0].to_string().starts_with("a.proto:4: `Draft` takes `DraftRequest`"));
        }
    }

    #[test]
    fn steps_that_travel_together_have_a_context_each() {
        let many = "  rpc DoSteps(DoStepsRequest) returns (DoStepsReply);\n}\nmessage OrderStep {\n  oneof kind {\n    \
                    DraftRequest draft = 1;\n  }\n}\nmessage DoStepsRequest {\n  repeated OrderStep steps = 1;\n}\n";
        let good = GOOD.replacen("}\n", many, 1);
        assert_eq!(step_contexts("a.proto", &good), []);
        let bad = good.replace("  brokerage.common.v1.StepContext context = 1;\n", "");
        assert_eq!(step_contexts("a.proto", &bad).len(), 2);
    }

    #[test]
    fn a_public_service_needs_no_context() {
        assert_eq!(
            step_contexts(
                "a.proto",
                &GOOD.replace("OrderParticipant", "OrderService").replace("context", "x")
            ),
            []
        );
    }
}
