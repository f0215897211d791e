//! Of what every service shares.

use super::{Defect, KIT, ORCHESTRATOR, service, unit};

/// The executor, the lane, pages and seals.
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
    service(
        KIT,
        "recalled_inbox_unread",
        "a driver that was replaced is obeyed where the epoch was not looked up",
        "executor_recalling::an_expired_attempt_and_a_stale_epoch_leave_no_row",
    ),
    service(
        KIT,
        "memory_outlives_its_connection",
        "rows that another server had are taken for this one's",
        "executor_recalling::what_another_server_has_is_not_written_over",
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
];
