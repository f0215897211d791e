//! What a saga may leave behind: nothing but append-only records if it was rolled back, and the same as without any
//! fault if it completed. A table without a rule here may not change at all.

use std::collections::BTreeMap;

use brokerage_types::{Amount, SagaId};
use serde_json::{Value, json};

use super::snapshot::Change;

/// Every change that a saga without effect may not have made.
pub fn forbidden(changes: &[Change], saga_id: SagaId) -> Vec<String> {
    let mut findings: Vec<String> = changes
        .iter()
        .filter(|change| !is_residue(change, &json!(saga_id.to_string())))
        .map(|change| format!("{}: {:?} became {:?}", change.table, change.before, change.after))
        .collect();
    let posted = changes.iter().filter(|change| change.table == "asset.postings");
    let mut sums: BTreeMap<String, Amount> = BTreeMap::new();
    for row in posted.filter_map(|change| change.after.as_ref()) {
        let sum = sums.entry(format!("{} {} {}", row["owner"], row["asset"], row["kind"])).or_default();
        *sum = sum.checked_add(amount(&row["amount"])).unwrap();
    }
    let moved = sums.into_iter().filter(|(_, sum)| !sum.is_zero());
    findings.extend(moved.map(|(account, sum)| format!("account {account} moved by {sum}")));
    findings
}

fn is_residue(change: &Change, saga: &Value) -> bool {
    let Some(row) = &change.after else { return false };
    let is_new = change.before.is_none();
    let same_but =
        |columns: &[&str]| change.before.as_ref().is_some_and(|before| equal_but(before, row, columns));
    match change.table.as_str() {
        "order.inbox" | "asset.inbox" => is_new && row["saga_id"] == *saga,
        "order.outbox" | "asset.outbox" | "asset.postings" => is_new,
        "order.orders" => {
            let is_stillborn = is_new
                && row["order_id"] == *saga
                && row["status"] == "REJECTED"
                && !row["reason"].is_null()
                && amount(&row["cum_qty"]).is_zero();
            is_stillborn || same_but(&["version", "updated_at"])
        }
        "order.matches" => is_new && row["trade_id"] == *saga && row["state"] == "RELEASED",
        "asset.ledger_tx" => is_new && (row["kind"] == "HOLD" || row["kind"] == "RELEASE"),
        "asset.balances" => {
            let is_empty = is_new && amount(&row["available"]).is_zero() && amount(&row["held"]).is_zero();
            is_empty || same_but(&["available_seq", "held_seq", "version"])
        }
        "asset.holds" => {
            let is_whole_again = row["released"] == row["placed"] && amount(&row["captured"]).is_zero();
            is_new && row["hold_id"] == *saga && row["status"] == "CLOSED" && is_whole_again
        }
        _no_rule => false,
    }
}

fn equal_but(before: &Value, after: &Value, columns: &[&str]) -> bool {
    let without = |row: &Value| {
        let mut row = row.clone();
        columns.iter().for_each(|column| row[*column] = Value::Null);
        row
    };
    without(before) == without(after)
}

fn amount(number: &Value) -> Amount {
    Amount::parse(&number.to_string()).unwrap_or_else(|error| panic!("{number}: {error}"))
}

/// The changes without what differs from one run to the next: names, ids, times, places in the log.
pub fn normal(changes: &[Change], names: &[(String, &'static str)]) -> Vec<String> {
    let show = |row: &Option<Value>| {
        let mut row = row.clone().unwrap_or(Value::Null);
        if let Some(columns) = row.as_object_mut() {
            // The hash covers the ids, every call has a trace of its own, and an event stands behind those of before.
            columns.remove("request_hash");
            columns.remove("traceparent");
            columns.remove("position");
        }
        anonymous(&row.to_string(), names)
    };
    let line =
        |change: &Change| format!("{} {} -> {}", change.table, show(&change.before), show(&change.after));
    let mut lines: Vec<String> = changes.iter().map(line).collect();
    lines.sort();
    lines
}

fn anonymous(text: &str, names: &[(String, &'static str)]) -> String {
    let named =
        names.iter().fold(text.to_owned(), |text, (name, role)| text.replace(name, &format!("<{role}>")));
    let mut rest = named.as_str();
    let mut out = String::with_capacity(named.len());
    while let Some(first) = rest.chars().next() {
        let (word, length) = match (uuid_at(rest), instant_at(rest)) {
            (Some(length), _) => ("<uuid>", length),
            (None, Some(length)) => ("<instant>", length),
            (None, None) => ("", first.len_utf8()),
        };
        out.push_str(if word.is_empty() { &rest[..length] } else { word });
        rest = &rest[length..];
    }
    out
}

fn uuid_at(text: &str) -> Option<usize> {
    const LENGTH: usize = 36;
    text.get(..LENGTH).and_then(|text| uuid::Uuid::try_parse(text).ok()).map(|_| LENGTH)
}

/// `2026-01-31T12:00:00`, and what may follow.
fn instant_at(text: &str) -> Option<usize> {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00";
    let fits = |(have, want): (&u8, &u8)| if *want == b'0' { have.is_ascii_digit() } else { have == want };
    let head = text.as_bytes().get(..SHAPE.len())?;
    if !head.iter().zip(SHAPE).all(fits) {
        return None;
    }
    let tail =
        text[SHAPE.len()..].bytes().take_while(|byte| byte.is_ascii_digit() || b".:+-Z".contains(byte));
    Some(SHAPE.len() + tail.count())
}

#[test]
fn names_ids_and_instants_are_forgotten_and_numbers_are_not() {
    let text = r#"{"at":"2026-01-31T12:00:00.123+00:00","id":"saga:0197d3a0-0000-7000-8000-000000000001","n":7,"of":"bob"}"#;
    let expected = r#"{"at":"<instant>","id":"saga:<uuid>","n":7,"of":"<buyer>"}"#;
    assert_eq!(anonymous(text, &[("bob".to_owned(), "buyer")]), expected);
}
