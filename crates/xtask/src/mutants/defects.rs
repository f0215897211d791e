//! The seeded defects, and for each the test that has to notice it.
//!
//! A defect is a condition `defect::is_seeded("name")` in the code of its package; see `docs/reliability.md`.

/// Which program of a package holds a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suite {
    /// The tests beside the code.
    Unit,
    /// The tests in `tests/it`, against the real thing.
    Service,
}

/// A test, by its exact name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Catcher {
    /// Its package; the defect is there as well.
    pub package: &'static str,
    /// Its program.
    pub suite: Suite,
    /// Its path within the program.
    pub test: &'static str,
}

/// One mistake.
#[derive(Clone, Copy, Debug)]
pub struct Defect {
    /// As the environment names it.
    pub name: &'static str,
    /// What goes wrong.
    pub breaks: &'static str,
    /// What notices it.
    pub catcher: Catcher,
}

const KIT: &str = "service-kit";
const ASSET: &str = "asset-svc";
const ORDER: &str = "order-svc";
const ORCHESTRATOR: &str = "saga-orchestrator";

const fn unit(package: &'static str, name: &'static str, breaks: &'static str, test: &'static str) -> Defect {
    Defect { name, breaks, catcher: Catcher { package, suite: Suite::Unit, test } }
}

const fn service(
    package: &'static str,
    name: &'static str,
    breaks: &'static str,
    test: &'static str,
) -> Defect {
    Defect { name, breaks, catcher: Catcher { package, suite: Suite::Service, test } }
}

/// Every defect.
pub const DEFECTS: &[Defect] = &[
    // The one write path.
    service(
        KIT,
        "tombstone_forgotten",
        "undoing what never ran leaves no trace",
        "executor::a_step_that_arrives_after_its_tombstone_never_runs",
    ),
    service(
        KIT,
        "rejection_forgotten",
        "a rejection is answered, but not kept",
        "executor::a_rejection_is_remembered_even_when_it_would_be_granted_now",
    ),
    service(
        KIT,
        "fault_remembered_as_rejection",
        "a broken row passes for a business answer",
        "executor::a_poison_command_hurts_only_itself",
    ),
    service(
        KIT,
        "request_hash_ignored",
        "another command under the same key gets its answer",
        "executor::another_command_under_the_same_key_is_a_mismatch",
    ),
    service(
        KIT,
        "lost_race_kept",
        "who loses the race for an inbox row keeps his effect",
        "executor::two_replicas_that_both_found_nothing_have_one_effect",
    ),
    service(
        KIT,
        "stored_reason_untold",
        "who compensates a step is not told why it was refused or undone before",
        "executor::whoever_undoes_a_step_is_told_the_reason_that_was_recorded_first",
    ),
    service(
        KIT,
        "stale_inbox_is_a_fault",
        "who loses a race to undo a step is told of a fault, because rows no longer fit what it read before",
        "executor::two_replicas_that_undo_at_once_for_two_reasons_tell_one",
    ),
    unit(
        ORCHESTRATOR,
        "own_reason_told",
        "a driver tells its own reason for an end that another has a reason for",
        "engine::decide::tests::the_row_of_the_first_step_says_why",
    ),
    service(
        KIT,
        "late_attempt_decided",
        "an attempt after its not_after is decided",
        "executor::an_expired_attempt_and_a_stale_epoch_leave_no_row",
    ),
    unit(
        KIT,
        "stale_epoch_decided",
        "a zombie's step is decided",
        "executor::rule::tests::a_step_without_a_row_is_decided_unless_it_comes_late",
    ),
    unit(
        KIT,
        "pivot_undone",
        "a pivot that ran is compensated",
        "executor::rule::tests::a_pivot_that_ran_refuses_and_one_that_did_not_is_forestalled",
    ),
    // The lane.
    service(
        KIT,
        "failed_commit_answered",
        "answers are given out whatever became of the commit",
        "executor::a_commit_that_fails_is_not_answered_and_leaves_nothing",
    ),
    service(
        KIT,
        "transaction_left_open",
        "a connection is used again without a rollback",
        "executor::a_poison_command_hurts_only_itself",
    ),
    service(
        KIT,
        "poison_fails_its_batch",
        "one bad command fails all that travel with it",
        "executor::a_poison_command_hurts_only_itself",
    ),
    service(
        KIT,
        "replay_not_confirmed",
        "a verdict is told again before the standby has it",
        "standby::a_verdict_that_is_told_again_waits_for_the_standby_as_the_first_did",
    ),
    service(
        KIT,
        "event_forgotten",
        "a change leaves no event",
        "executor::a_repeated_step_gets_its_first_verdict_and_changes_nothing",
    ),
    unit(
        KIT,
        "seal_unchained",
        "a seal does not cover the one before it",
        "seal::digest::tests::the_first_link_is_the_hash_of_32_zero_bytes_and_the_content",
    ),
    unit(
        KIT,
        "page_token_unbound",
        "a page token serves other filters too",
        "page::tests::a_token_brings_its_cursor_back_to_the_same_filters_only",
    ),
    // Money.
    service(
        ASSET,
        "freeze_unnoticed",
        "a hold whose statement began before a freeze is placed after it",
        "optimistic::who_changes_a_customer_changes_all_his_balances",
    ),
    service(
        ASSET,
        "customer_unchecked",
        "a hold that was decided before a freeze is placed after it",
        "optimistic::a_customer_who_was_frozen_without_his_balances_gets_no_hold_either",
    ),
    unit(
        ASSET,
        "negative_balance_clamped",
        "a short account is set to zero",
        "domain::balance::tests::a_posting_counts_and_a_short_account_says_by_how_much",
    ),
    unit(
        ASSET,
        "price_improvement_kept",
        "a better price gives nothing back",
        "domain::hold::tests::fills_take_what_the_rule_says",
    ),
    unit(
        ASSET,
        "fee_rounded_up",
        "a fee is rounded up instead of half up",
        "domain::hold::tests::fills_take_what_the_rule_says",
    ),
    unit(
        ASSET,
        "closed_hold_released_again",
        "a closed hold is closed once more",
        "domain::hold::tests::a_hold_refuses_what_is_not_its_own",
    ),
    unit(
        ASSET,
        "hold_overdrawn",
        "a fill may be larger than what is left",
        "domain::hold::tests::a_hold_refuses_what_is_not_its_own",
    ),
    service(
        ASSET,
        "frozen_customer_trades",
        "a frozen customer places and settles",
        "holds::a_frozen_customer_trades_nothing_and_is_released_as_ever",
    ),
    service(
        ASSET,
        "trade_settled_twice",
        "a second saga settles the same trade",
        "holds::a_settlement_is_refused_for_its_reason",
    ),
    service(
        ASSET,
        "foreign_hold_settled",
        "a trade takes from somebody else's hold",
        "holds::a_settlement_is_refused_for_its_reason",
    ),
    // Orders.
    unit(
        ORDER,
        "fill_in_flight_not_awaited",
        "a cancel goes on while a fill is in flight",
        "domain::tests::races::a_match_that_came_first_makes_the_cancel_wait_and_then_cancel_what_is_left",
    ),
    unit(
        ORDER,
        "early_cancel_overlooked",
        "an order opens though its cancel was asked",
        "domain::tests::races::a_cancel_before_open_makes_open_refuse_and_the_order_ends_canceled",
    ),
    unit(
        ORDER,
        "cancel_does_not_stop_matches",
        "an order that is being canceled is matched",
        "domain::tests::races::a_cancel_that_came_first_keeps_the_match_out",
    ),
    unit(
        ORDER,
        "reserved_quantity_matched_again",
        "what is in flight counts as free",
        "domain::tests::races::two_matches_may_be_in_flight_up_to_what_is_left",
    ),
    unit(
        ORDER,
        "self_trade_allowed",
        "a customer trades with himself",
        "domain::tests::pairs::two_orders_of_one_owner_are_refused",
    ),
    unit(
        ORDER,
        "instruments_mixed",
        "orders of two instruments meet",
        "domain::tests::pairs::a_match_across_instruments_is_refused",
    ),
    service(
        ORDER,
        "other_numbers_filled",
        "a fill is not what was reserved",
        "lives::a_fill_without_its_reservation_or_with_other_numbers_is_refused",
    ),
    service(
        ORDER,
        "label_taken_twice",
        "a customer's label is used again",
        "labels::labels_are_unique_per_customer_and_kept_by_rejected_orders",
    ),
    service(
        ORDER,
        "foreign_order_shown",
        "another customer's order is visible",
        "reads::an_order_is_found_by_those_who_may_see_it_and_does_not_exist_for_others",
    ),
    // Sagas.
    unit(
        ORCHESTRATOR,
        "pivot_not_asked_first",
        "giving up starts with the other steps",
        "engine::decide::tests::giving_up_begins_at_the_pivot",
    ),
    unit(
        ORCHESTRATOR,
        "unheard_sibling_forgotten",
        "a step of unknown outcome is not undone",
        "engine::decide::tests::a_recorded_refusal_compensates_all_others_at_once",
    ),
    service(
        ORCHESTRATOR,
        "ended_before_undone",
        "a saga ends before its compensations",
        "stories::create_order_tells_its_stories",
    ),
    unit(
        ORCHESTRATOR,
        "unavailable_means_rejected",
        "an outage passes for a refusal",
        "participants::classify::tests::statuses_are_unknown_or_poison_and_never_a_refusal",
    ),
    unit(
        ORCHESTRATOR,
        "timeout_means_done",
        "silence passes for success",
        "participants::classify::tests::statuses_are_unknown_or_poison_and_never_a_refusal",
    ),
    service(
        ORCHESTRATOR,
        "reused_request_id_answered",
        "another payload under one request id gets its answer",
        "trading::creating_twice_is_creating_once",
    ),
    unit(
        ORCHESTRATOR,
        "living_owner_robbed",
        "sagas are taken from a process that lives",
        "engine::recover::tests::a_saga_is_taken_if_nobody_alive_drives_it",
    ),
    unit(
        ORCHESTRATOR,
        "orphans_left_alone",
        "nobody drives what a dead process left",
        "engine::recover::tests::a_saga_is_taken_if_nobody_alive_drives_it",
    ),
];

/// Every package with a defect, and its directory.
pub const PACKAGES: [(&str, &str); 4] = [
    (KIT, "crates/service-kit"),
    (ASSET, "asset-svc"),
    (ORDER, "order-svc"),
    (ORCHESTRATOR, "saga-orchestrator"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The names in `is_seeded("…")` of every file below.
    fn seeded(dir: &Path, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                seeded(&path, names);
            } else if !path.ends_with("service-kit/src/defect.rs") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                names.extend(
                    text.split("is_seeded(\"")
                        .skip(1)
                        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())),
                );
            }
        }
    }

    #[test]
    fn every_defect_is_in_its_package_and_every_seed_in_the_table() {
        for (package, dir) in PACKAGES {
            let mut found = BTreeSet::new();
            seeded(&crate::process::root().join(dir).join("src"), &mut found);
            let of_package = DEFECTS.iter().filter(|defect| defect.catcher.package == package);
            let listed: BTreeSet<String> = of_package.map(|defect| defect.name.to_owned()).collect();
            assert_eq!(found, listed, "{package}");
        }
    }

    #[test]
    fn there_are_at_least_twenty_defects_and_no_two_share_a_name() {
        let names: BTreeSet<&str> = DEFECTS.iter().map(|defect| defect.name).collect();
        assert_eq!(names.len(), DEFECTS.len());
        assert!(names.len() >= 20);
    }
}
