//! `brokerctl saga why`: what a saga waits for, in the order in which somebody who was just woken wants to know it.

use brokerage_proto::saga::v1::{AwaitedStep, ExplainSagaRequest, Saga, SagaExplanation};
use chrono::{DateTime, Utc};

use super::saga::status_text;
use crate::api::Api;
use crate::failure::Failure;
use crate::output::{Format, json, say, time};

pub(super) async fn run(mut api: Api, format: Format, saga_id: String) -> Result<(), Failure> {
    let answer = api.sagas.explain_saga(ExplainSagaRequest { saga_id }).await?.into_inner();
    match format {
        Format::Table => say(text(&answer, Utc::now()).trim_end()),
        Format::Json => say(json("brokerage.saga.v1.SagaExplanation", &answer)?),
    }
    Ok(())
}

/// The whole answer: first the sentence, then what to do, then the evidence.
fn text(answer: &SagaExplanation, now: DateTime<Utc>) -> String {
    let mut lines = vec![answer.summary.clone(), String::new(), "what to do".to_owned()];
    lines.extend(answer.advice.iter().map(|line| format!("  {line}")));
    lines.push(String::new());
    if let Some(saga) = &answer.saga {
        lines.extend(about(saga, now));
    }
    for step in &answer.waits_for {
        lines.extend(about_step(step, now));
    }
    if !answer.trouble.is_empty() {
        lines.push(line("went wrong", &answer.trouble));
    }
    if let Some(next) = answer.next_attempt_at.as_ref().and_then(instant).filter(|next| *next > now) {
        lines.push(line("next try", &format!("in {}, or when it is woken", span(next - now))));
    }
    for blocker in &answer.waits_for_sagas {
        lines.push(line("in the way", &format!("saga {blocker}")));
    }
    lines.extend(about_driver(answer, now));
    for action in &answer.actions {
        let why = if action.reason.is_empty() { "no reason given" } else { &action.reason };
        let what = format!(
            "{} by {} at {}: {why} ({})",
            action.verb,
            action.actor,
            time(action.at.as_ref()),
            action.outcome
        );
        lines.push(line("operators", &what));
    }
    lines.join("\n")
}

fn about(saga: &Saga, now: DateTime<Utc>) -> Vec<String> {
    let reason = if saga.reason.is_empty() { String::new() } else { format!(", {}", saga.reason) };
    let age = saga.created_at.as_ref().and_then(instant).map(|at| format!(", {} old", span(now - at)));
    vec![
        line("saga", &format!("{} ({} v{})", saga.saga_id, saga.kind, saga.definition_version)),
        line("status", &format!("{}{reason}{}", status_text(saga.status()), age.unwrap_or_default())),
        line("asked by", &format!("{}, request {}", saga.caller, saga.request_id)),
    ]
}

fn about_step(step: &AwaitedStep, now: DateTime<Utc>) -> Vec<String> {
    let verb = if step.compensation { "undo" } else { "do" };
    let mut lines = vec![line(
        "waits for",
        &format!(
            "{} to {verb} {} (step {}); breaker {}",
            step.participant, step.name, step.step, step.breaker
        ),
    )];
    if step.attempts > 0 {
        let ago = step.last_at.as_ref().and_then(instant).map(|at| format!(" {} ago", span(now - at)));
        let reason =
            if step.last_reason.is_empty() { String::new() } else { format!(": {}", step.last_reason) };
        let reply =
            format!("{} at attempt {}{}{reason}", step.last_reply, step.attempts, ago.unwrap_or_default());
        lines.push(line("last answer", &reply));
    }
    lines
}

fn about_driver(answer: &SagaExplanation, now: DateTime<Utc>) -> Option<String> {
    let driver = answer.driver.as_ref()?;
    let beat = driver.beat_at.as_ref().and_then(instant).map(|at| format!("beat {} ago", span(now - at)));
    let health = match (driver.is_alive, beat) {
        (true, Some(beat)) => format!("alive, {beat}"),
        (false, Some(beat)) => format!("NOT alive, {beat}"),
        (true | false, None) => "gone".to_owned(),
    };
    let source = if answer.is_live {
        "asked directly"
    } else {
        "drives it in another process: the above is what it wrote down, and lags"
    };
    Some(line("driver", &format!("{} ({health}); {source}", driver.owner)))
}

fn line(name: &str, value: &str) -> String {
    format!("{name:<12} {value}")
}

fn instant(at: &prost_types::Timestamp) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)
}

/// A time span as people say it: the larger of its units only.
fn span(span: chrono::TimeDelta) -> String {
    let ms = span.num_milliseconds().max(0);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        _hours => format!("{} h", ms / 3_600_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brokerage_proto::saga::v1::{SagaDriver, SagaStatus};

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    }

    #[test]
    fn the_sentence_comes_first_and_what_to_do_second() {
        let saga = Saga {
            saga_id: "0197".into(),
            kind: "cancel_order".into(),
            definition_version: 1,
            status: SagaStatus::Running.into(),
            caller: "alice".into(),
            request_id: "r".into(),
            created_at: at(100),
            ..Saga::default()
        };
        let step = AwaitedStep {
            step: 1,
            name: "await_drain".into(),
            participant: "order-svc".into(),
            attempts: 9,
            last_reply: "NOT_NOW".into(),
            last_at: at(399),
            breaker: "closed".into(),
            ..AwaitedStep::default()
        };
        let driver = SagaDriver { owner: "me".into(), is_alive: true, beat_at: at(399), is_here: true };
        let answer = SagaExplanation {
            saga: Some(saga),
            summary: "It waits.".into(),
            waits_for: vec![step],
            driver: Some(driver),
            is_live: true,
            next_attempt_at: at(402),
            waits_for_sagas: vec!["0042".into()],
            advice: vec!["Look.".into()],
            ..SagaExplanation::default()
        };
        let expected = "\
It waits.

what to do
  Look.

saga         0197 (cancel_order v1)
status       RUNNING, 5 min old
asked by     alice, request r
waits for    order-svc to do await_drain (step 1); breaker closed
last answer  NOT_NOW at attempt 9 1 s ago
next try     in 2 s, or when it is woken
in the way   saga 0042
driver       me (alive, beat 1 s ago); asked directly";
        let now = DateTime::from_timestamp(400, 0).unwrap();
        assert_eq!(text(&answer, now), expected);
    }

    #[test]
    fn spans_are_short() {
        let cases = [(5, "5 ms"), (1_500, "1 s"), (119_999, "119 s"), (180_000, "3 min"), (7_200_000, "2 h")];
        for (ms, expected) in cases {
            assert_eq!(span(chrono::TimeDelta::milliseconds(ms)), expected);
        }
        assert_eq!(span(chrono::TimeDelta::milliseconds(-5)), "0 ms");
    }
}
