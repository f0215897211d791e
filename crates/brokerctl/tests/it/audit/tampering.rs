//! Somebody with every right changes sealed rows after they were sealed, past every trigger: each way is found by A10.
//!
//! Most of them are consistent in every other way, so that nothing but the chain can tell.

use brokerctl::audit::Report;

use super::corruptions::{broken, statements};
use super::world::{Db, World};

/// What A10 alone finds, and a word of what it says.
const HIDDEN: &[(&str, &str)] = &[
    // An edit: of an amount and its counterpart, of a time, of a cause.
    (
        "is not what was sealed",
        "UPDATE postings SET amount = CASE line WHEN 6 THEN 0.6 ELSE 0.58 END WHERE tx_id = #101 AND kind = 3",
    ),
    ("is not what was sealed", "UPDATE ledger_tx SET created_at = created_at + interval '1 us' WHERE tx_id = #301"),
    ("is not what was sealed", "UPDATE ledger_tx SET caused_by = 'actor:nobody' WHERE tx_id = #303"),
    ("is not what was sealed", "UPDATE ledger_tx SET actor = '' WHERE tx_id = #303"),
    ("is not what was sealed", "UPDATE ledger_tx SET hash = prev_hash WHERE book_seq = 4"),
    ("does not follow", "UPDATE ledger_tx SET prev_hash = hash WHERE book_seq = 4"),
    // An insertion: of postings, of a transaction between others, of one with a number that is taken.
    (
        "is not what was sealed",
        "INSERT INTO postings VALUES (#301, 90, 'house', 'TRY', 5, 1), (#301, 91, 'house', 'TRY', 6, -1)",
    ),
    (
        "does not follow",
        "UPDATE ledger_tx SET book_seq = book_seq + 1000 WHERE book_seq >= 4;
         UPDATE ledger_tx SET book_seq = book_seq - 999 WHERE book_seq >= 1000;
         INSERT INTO ledger_tx (tx_id, kind, caused_by, reason, created_at, book_seq, prev_hash, hash)
         SELECT #999, 'TRANSFER', 'actor:mallory', 'x', created_at, 4, hash, sha256(hash) FROM ledger_tx WHERE book_seq = 3;
         INSERT INTO postings VALUES (#999, 1, 'house', 'TRY', 5, 1), (#999, 2, 'house', 'TRY', 6, -1)",
    ),
    (
        "given twice",
        "DROP INDEX ledger_tx_book_seq_once;
         INSERT INTO ledger_tx (tx_id, kind, caused_by, reason, created_at, book_seq, prev_hash, hash)
         SELECT #999, 'TRANSFER', 'actor:mallory', 'x', created_at, 3, prev_hash, hash FROM ledger_tx WHERE book_seq = 3;
         INSERT INTO postings VALUES (#999, 1, 'house', 'TRY', 5, 1), (#999, 2, 'house', 'TRY', 6, -1)",
    ),
    // A reorder: of the rows with their hashes, and of the rows under the hashes.
    (
        "does not follow",
        "UPDATE ledger_tx SET book_seq = -1 WHERE book_seq = 2;
         UPDATE ledger_tx SET book_seq = 2 WHERE book_seq = 3;
         UPDATE ledger_tx SET book_seq = 3 WHERE book_seq = -1",
    ),
    (
        "is not what was sealed",
        "CREATE TEMP TABLE was AS SELECT book_seq, prev_hash, hash FROM ledger_tx WHERE book_seq IN (2, 3);
         UPDATE ledger_tx SET book_seq = -book_seq WHERE book_seq IN (2, 3);
         UPDATE ledger_tx t SET book_seq = was.book_seq, prev_hash = was.prev_hash, hash = was.hash
         FROM was WHERE t.book_seq = was.book_seq - 5",
    ),
    // A cut tail, and heads that do not fit.
    (
        "the tail is cut",
        "UPDATE ledger_tx SET book_seq = NULL, prev_hash = NULL, hash = NULL
         WHERE book_seq = (SELECT max(book_seq) FROM ledger_tx)",
    ),
    ("the head knows only", "UPDATE seal_heads SET book_seq = book_seq - 1"),
    ("is not the head's", "UPDATE seal_heads SET hash = decode(repeat('00', 32), 'hex')"),
    ("is gone", "DELETE FROM seal_heads"),
    // Rows that no sealer has seen for a while.
    (
        "not sealed",
        "INSERT INTO ledger_tx (tx_id, kind, caused_by, reason, created_at)
         VALUES (#999, 'TRANSFER', 'actor:mallory', 'x', clock_timestamp() - interval '61 s');
         INSERT INTO postings VALUES (#999, 1, 'house', 'TRY', 5, 1), (#999, 2, 'house', 'TRY', 6, -1)",
    ),
];

/// What other claims find too.
const OPEN: &[(&str, &str)] = &[
    ("is not what was sealed", "UPDATE postings SET amount = amount * 2 WHERE tx_id = #301"),
    ("is not what was sealed", "UPDATE postings SET amount = 'NaN' WHERE tx_id = #301 AND kind = 7"),
    ("is not what was sealed", "DELETE FROM postings WHERE tx_id = #302"),
    ("are gone", "DELETE FROM postings WHERE tx_id = #302; DELETE FROM ledger_tx WHERE tx_id = #302"),
    (
        "the tail is cut",
        "DELETE FROM postings WHERE tx_id IN (SELECT tx_id FROM ledger_tx WHERE book_seq >= 8);
         DELETE FROM ledger_tx WHERE book_seq >= 8",
    ),
];

/// What an operator might want to have done differently.
const TRAIL: &[(&str, &str)] = &[
    ("is not what was sealed", "UPDATE operator_actions SET actor = 'nobody' WHERE book_seq = 2"),
    ("is not what was sealed", "UPDATE operator_actions SET reason = '' WHERE book_seq = 1"),
    ("is not what was sealed", "UPDATE operator_actions SET at = at - interval '1 h' WHERE book_seq = 3"),
    ("are gone", "DELETE FROM operator_actions WHERE book_seq = 2"),
    ("the tail is cut", "DELETE FROM operator_actions WHERE book_seq = 3"),
    (
        "does not follow",
        "UPDATE operator_actions SET book_seq = 4 WHERE book_seq = 1;
         UPDATE operator_actions SET book_seq = 1 WHERE book_seq = 2;
         UPDATE operator_actions SET book_seq = 2 WHERE book_seq = 4",
    ),
    (
        "not sealed",
        "INSERT INTO operator_actions (action_id, at, actor, role, verb, saga_id, reason, outcome, found, request_id)
         VALUES (#904, clock_timestamp() - interval '61 s', 'admin', 'admin', 'abort', #900, 'x', 'ACCEPTED', 1, 'r')",
    ),
];

/// Three actions.
const ACTIONS: &str = "
    INSERT INTO operator_actions (action_id, actor, role, verb, saga_id, reason, outcome, found, request_id)
    VALUES (#901, 'admin', 'admin', 'pause', #900, 'the desk asked', 'ACCEPTED', 1, 'r-1'),
           (#902, 'admin', 'admin', 'retry', #900, '', 'ACCEPTED', 1, 'r-2'),
           (#903, 'admin', 'admin', 'abort', #900, 'x', 'SAGA_ENDED', 1, 'r-3')";

/// Moves 1 TRY within the house; nothing else knows of it.
const APPEND: &str = "
    INSERT INTO ledger_tx (tx_id, kind, caused_by, reason, created_at)
    VALUES (#999, 'TRANSFER', 'actor:admin', 'x', clock_timestamp());
    INSERT INTO postings VALUES (#999, 1, 'house', 'TRY', 5, 1), (#999, 2, 'house', 'TRY', 6, -1)";

fn says(report: &Report, word: &str) -> bool {
    let told = report.checks.iter().filter(|check| check.id == "A10").flat_map(|check| &check.breaks);
    told.into_iter().any(|what| what.contains(word))
}

#[tokio::test]
async fn each_way_to_tamper_with_sealed_rows_is_found() {
    let mut survived = Vec::new();
    for (alone, ways) in [(true, HIDDEN), (false, OPEN)] {
        for &(word, sql) in ways {
            let world = World::at_rest().await;
            world.damage(Db::Asset, &statements(sql)).await;
            let report = world.audit().await;
            if !says(&report, word) || (alone && broken(&report) != ["A10"]) {
                survived.push(format!("{word} by: {sql}\n{}", report.to_table()));
            }
        }
    }
    assert!(survived.is_empty(), "{}", survived.join("\n\n"));
}

#[tokio::test]
async fn each_way_to_tamper_with_what_operators_did_is_found() {
    let mut survived = Vec::new();
    for &(word, sql) in TRAIL {
        let world = World::at_rest().await;
        world.damage(Db::Sagas, &statements(ACTIONS)).await;
        world.seal().await;
        let whole = world.audit().await;
        assert!(whole.is_clean(), "{}", whole.to_table());
        world.damage(Db::Sagas, &statements(sql)).await;
        let report = world.audit().await;
        if !says(&report, word) || broken(&report) != ["A10"] {
            survived.push(format!("{word} by: {sql}\n{}", report.to_table()));
        }
    }
    assert!(survived.is_empty(), "{}", survived.join("\n\n"));
}

#[tokio::test]
async fn young_rows_may_wait_for_their_seal() {
    let world = World::at_rest().await;
    world.damage(Db::Asset, &statements(APPEND)).await;
    let report = world.audit().await;
    assert!(report.is_clean(), "{}", report.to_table());
}

#[tokio::test]
async fn a_chain_that_was_forged_as_a_whole_contradicts_its_anchors() {
    let world = World::at_rest().await;
    let early = world.anchor().await;
    world.damage(Db::Asset, &statements(APPEND)).await;
    world.seal().await;
    let late = world.anchor().await;
    let anchors = vec![early.clone(), late.clone()];
    let report = world.audit_against(anchors.clone()).await;
    assert!(report.is_clean(), "{}", report.to_table());

    // The last transaction is undone, and the head moved back: nothing is left that could tell.
    world
        .damage(
            Db::Asset,
            &statements("DELETE FROM postings WHERE tx_id = #999; DELETE FROM ledger_tx WHERE tx_id = #999"),
        )
        .await;
    world.forge_seals().await;
    assert!(world.audit().await.is_clean());
    assert!(world.audit_against(vec![early]).await.is_clean());
    let report = world.audit_against(anchors.clone()).await;
    assert_eq!(broken(&report), ["A10"], "{}", report.to_table());
    assert!(says(&report, "it was cut"), "{}", report.to_table());

    // A transaction is rewritten, and everything after it sealed anew.
    world.damage(Db::Asset, &statements(APPEND)).await;
    world
        .damage(Db::Asset, &statements("UPDATE ledger_tx SET caused_by = 'actor:nobody' WHERE tx_id = #303"))
        .await;
    world.forge_seals().await;
    assert!(world.audit().await.is_clean());
    let report = world.audit_against(anchors).await;
    assert!(says(&report, "it was rewritten"), "{}", report.to_table());
}

#[tokio::test]
async fn an_anchor_of_a_chain_that_nobody_knows_is_a_finding() {
    let world = World::at_rest().await;
    let mut anchor = world.anchor().await;
    assert!(world.audit_against(vec![anchor.clone()]).await.is_clean());
    anchor.chain = "leger".to_owned();
    assert!(says(&world.audit_against(vec![anchor]).await, "there is no chain"));
}
