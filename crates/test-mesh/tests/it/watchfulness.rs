//! The tests' own eyes: a snapshot or an audit that sees nothing would prove nothing.

use test_mesh::{ALICE, Brokerage};

/// Done behind everybody's back, and what sees it: the snapshot, the audit, or both.
const TAMPERINGS: &[(&str, bool)] = &[
    ("UPDATE balances SET available = available + 0.01", true),
    ("UPDATE holds SET released = released + 0.01", true),
    ("UPDATE customers SET name = 'Mallory'", false),
];

#[tokio::test]
async fn a_kurus_out_of_place_is_seen() {
    for (statement, is_a_break) in TAMPERINGS {
        let brokerage = Brokerage::start().await;
        brokerage.admin().deposits(ALICE, "TRY", "100").await;
        brokerage.alice().buys("THYAO", "1", "8.00").await;
        let before = brokerage.snapshot().await;
        assert_eq!(brokerage.snapshot().await, before, "looking changes nothing");
        brokerage.audit().await;
        sqlx::query(*statement).execute(&mut brokerage.databases.asset().await).await.unwrap();
        assert_ne!(brokerage.snapshot().await, before, "{statement}");
        let audit = tokio::spawn(async move { brokerage.audit().await }).await;
        assert_eq!(audit.is_err(), *is_a_break, "{statement}");
    }
}
