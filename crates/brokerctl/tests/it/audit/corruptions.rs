//! One damage at a time: exactly the claim that it contradicts is found broken.
//!
//! Each damage is consistent with everything else, which takes some care: a changed amount is made good elsewhere, and
//! the journal's chain is forged to hide it.

use brokerctl::audit::Report;

use super::world::{Db, World, id};

pub fn broken(report: &Report) -> Vec<&'static str> {
    report.checks.iter().filter(|check| !check.breaks.is_empty()).map(|check| check.id).collect()
}

fn unexplained(report: &Report, asset: &str) -> Vec<String> {
    let of_asset = report.unexplained.iter().filter(|difference| difference.asset == asset);
    of_asset.map(|difference| difference.amount.clone()).filter(|amount| amount != "0").collect()
}

/// Makes 1 TRY that alice has held available, with everything the journal wants.
const FREE_1: &str = "
    INSERT INTO ledger_tx (tx_id, kind, caused_by, reason, created_at)
    VALUES (#999, 'TRANSFER', 'actor:mallory', 'because', clock_timestamp());
    INSERT INTO postings (tx_id, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq)
    SELECT #999::uuid, 1, owner, asset, 1, 1, available_seq + 1, available + 1, available_seq + held_seq + 1
    FROM balances WHERE owner = 'alice' AND asset = 'TRY'
    UNION ALL
    SELECT #999::uuid, 2, owner, asset, 2, -1, held_seq + 1, held - 1, available_seq + held_seq + 2
    FROM balances WHERE owner = 'alice' AND asset = 'TRY';
    UPDATE balances
    SET available = available + 1, held = held - 1, available_seq = available_seq + 1, held_seq = held_seq + 1
    WHERE owner = 'alice' AND asset = 'TRY';";

/// The other way round, and hold 1 has it.
const KEEP_1: &str = "
    INSERT INTO ledger_tx (tx_id, kind, caused_by, reason, created_at)
    VALUES (#999, 'TRANSFER', 'actor:mallory', 'because', clock_timestamp());
    INSERT INTO postings (tx_id, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq)
    SELECT #999::uuid, 1, owner, asset, 1, -1, available_seq + 1, available - 1, available_seq + held_seq + 1
    FROM balances WHERE owner = 'alice' AND asset = 'TRY'
    UNION ALL
    SELECT #999::uuid, 2, owner, asset, 2, 1, held_seq + 1, held + 1, available_seq + held_seq + 2
    FROM balances WHERE owner = 'alice' AND asset = 'TRY';
    UPDATE balances
    SET available = available - 1, held = held + 1, available_seq = available_seq + 1, held_seq = held_seq + 1
    WHERE owner = 'alice' AND asset = 'TRY';
    UPDATE holds SET placed = placed + 1 WHERE hold_id = #1";

/// Alice withdraws 5 more than she has, by the book.
const OVERDRAW: &str = "
    ALTER TABLE balances DROP CONSTRAINT balances_available_not_negative;
    ALTER TABLE postings DROP CONSTRAINT postings_running_balance;
    INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at)
    VALUES (#999, 'WITHDRAW', 'actor:alice', clock_timestamp());
    INSERT INTO postings (tx_id, line, owner, asset, kind, amount, account_seq, balance_after, statement_seq)
    SELECT #999::uuid, 1, owner, asset, 1, -(available + 5), available_seq + 1, -5, available_seq + held_seq + 1
    FROM balances WHERE owner = 'alice' AND asset = 'TRY'
    UNION ALL
    SELECT #999::uuid, 2, 'external', asset, 7, available + 5, NULL, NULL, NULL
    FROM balances WHERE owner = 'alice' AND asset = 'TRY';
    UPDATE balances SET available = -5, available_seq = available_seq + 1 WHERE owner = 'alice' AND asset = 'TRY';";

/// Order 4 is canceled by a proper event, and its hold forgotten.
const CANCEL_4: &str = "
    INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, seq)
    SELECT gen_random_uuid(), 'order', order_id::text, 'OrderCanceled',
           jsonb_build_object('order_id', order_id, 'version', 3, 'status', 'CANCELED', 'at', updated_at,
                              'type', 'OrderCanceled', 'reason', 'CANCEL_ASKED'), 3
    FROM orders WHERE order_id = #4;
    UPDATE orders SET status = 'CANCELED', reason = 'CANCEL_ASKED', canceled_qty = qty, version = 3
    WHERE order_id = #4;";

/// The claim, the database, the damage. `#4` is the id of that number.
const DAMAGES: &[(&str, Db, &str)] = &[
    // Two movements are wrong by the same amount.
    (
        "A1",
        Db::Asset,
        "UPDATE postings SET amount = amount - 1 WHERE tx_id = #301 AND kind = 7;
         UPDATE postings SET amount = amount + 1 WHERE tx_id = #303 AND kind = 7",
    ),
    (
        "A1",
        Db::Asset,
        "INSERT INTO ledger_tx (tx_id, kind, caused_by, created_at)
         VALUES (#999, 'DEPOSIT', 'actor:x', clock_timestamp())",
    ),
    ("A2", Db::Asset, "UPDATE ledger_tx SET kind = 'TRANSFER', reason = 'x' WHERE tx_id = #303"),
    (
        "A3",
        Db::Asset,
        "UPDATE balances SET available = available + 1 WHERE owner = 'alice' AND asset = 'TRY'",
    ),
    ("A3", Db::Asset, "INSERT INTO balances VALUES ('bob', 'USD', 1, 0, 0, 0, 1)"),
    ("A4", Db::Asset, OVERDRAW),
    ("A5", Db::Asset, FREE_1),
    ("A6", Db::Asset, KEEP_1),
    ("A6", Db::Asset, "UPDATE holds SET limit_price = 121 WHERE hold_id = #4"),
    ("A7", Db::Order, CANCEL_4),
    ("A8", Db::Order, "UPDATE trades SET price = 98"),
    ("A8", Db::Order, "UPDATE matches SET state = 'RELEASED'"),
    ("A8", Db::Asset, "UPDATE holds SET cum_quantity = 3 WHERE hold_id = #2"),
    (
        "A8",
        Db::Asset,
        "UPDATE outbox SET payload = payload || '{\"improvement\": \"3\"}' WHERE type = 'TradeSettled'",
    ),
    ("A9", Db::Asset, "UPDATE holds SET cum_fee = cum_fee + 0.01 WHERE hold_id = #2"),
    (
        "A10",
        Db::Asset,
        "UPDATE postings SET account_seq = 2, statement_seq = 2
         WHERE tx_id = #101 AND owner = 'alice' AND asset = 'XYZ'",
    ),
    ("A11", Db::Order, "UPDATE orders SET created_by = 'mallory' WHERE order_id = #4"),
    ("A11", Db::Order, "DELETE FROM outbox WHERE type = 'OrderRejected'"),
    ("A11", Db::Order, "DELETE FROM orders WHERE status = 'REJECTED'"),
    ("A11", Db::Order, "UPDATE instruments SET trade_seq = trade_seq + 1"),
    ("A11", Db::Order, "UPDATE instruments SET accept_seq = accept_seq - 1"),
    (
        "A11",
        Db::Asset,
        "UPDATE postings SET balance_after = balance_after + 1 WHERE tx_id = #301 AND kind = 1",
    ),
    ("A11", Db::Asset, "UPDATE balances SET held_seq = held_seq + 1 WHERE owner = 'bob' AND asset = 'XYZ'"),
    (
        "A12",
        Db::Sagas,
        "UPDATE sagas SET status = 5, ended_at = NULL, reason = 'INTERNAL_FAULT' WHERE saga_id = #4",
    ),
    (
        "A12",
        Db::Sagas,
        "UPDATE sagas SET status = 1, ended_at = NULL, created_at = created_at - interval '2 min' WHERE saga_id = #4",
    ),
    ("P5", Db::Sagas, "UPDATE sagas SET status = 4, reason = 'GAVE_UP' WHERE saga_id = #4"),
    ("P5", Db::Sagas, "UPDATE sagas SET status = 3 WHERE saga_id = #5"),
    ("P5", Db::Sagas, "UPDATE sagas SET status = 4, reason = 'GAVE_UP' WHERE saga_id = #201"),
    ("P5", Db::Sagas, "UPDATE sagas SET status = 4, reason = 'GAVE_UP' WHERE saga_id = #101"),
];

/// The statements with ids in place of their numbers.
pub fn statements(sql: &str) -> String {
    let mut parts = sql.split('#');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |so_far, part| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let number: u128 = part[..end].parse().unwrap();
        format!("{so_far}'{}'{}", id(number), &part[end..])
    })
}

#[tokio::test]
async fn a_consistent_world_is_clean() {
    let report = World::at_rest().await.audit().await;
    assert!(report.is_clean(), "{}", report.to_table());
    assert!(report.checks.iter().all(|check| check.examined > 0), "{}", report.to_table());
    assert_eq!((unexplained(&report, "TRY"), unexplained(&report, "XYZ")), (vec![], vec![]));
}

#[tokio::test]
async fn each_damage_breaks_exactly_its_claim() {
    let mut survived = Vec::new();
    for &(claim, database, sql) in DAMAGES {
        let world = World::at_rest().await;
        world.damage(database, &statements(sql)).await;
        world.forge_seals().await;
        let report = world.audit().await;
        if report.is_clean() || broken(&report) != [claim] {
            survived.push(format!("{claim} by: {sql}\n{}", report.to_table()));
        }
    }
    assert!(survived.is_empty(), "{}", survived.join("\n\n"));
}

#[tokio::test]
async fn sagas_in_flight_explain_their_own_differences_and_nobody_elses() {
    let world = World::with_sagas_in_flight().await;
    let report = world.audit().await;
    assert!(report.is_clean(), "{}", report.to_table());

    // Trade 102 is settled and reserved; what is settled must be what was reserved.
    let other_numbers = "UPDATE matches SET quantity = 1 WHERE state = 'RESERVED'";
    world.damage(Db::Order, other_numbers).await;
    assert_eq!(broken(&world.audit().await), ["A6", "A8"]);
    world.damage(Db::Order, "UPDATE matches SET quantity = 2 WHERE state = 'RESERVED'").await;

    // Somebody else's saga explains nothing.
    let stolen = statements("UPDATE sagas SET order_id = #4 WHERE kind = 'cancel_order' AND status = 1");
    world.damage(Db::Sagas, &stolen).await;
    let report = world.audit().await;
    assert_eq!(broken(&report), ["A6", "A7"], "{}", report.to_table());

    world.damage(Db::Sagas, "DELETE FROM sagas WHERE status = 1").await;
    let report = world.audit().await;
    assert_eq!(broken(&report), ["A6", "A7", "A8", "P5"], "{}", report.to_table());
    assert_eq!(unexplained(&report, "TRY"), ["198", "250.38"], "{}", report.to_table());
}
