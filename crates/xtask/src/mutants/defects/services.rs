//! Of the three services.

use super::{ASSET, Defect, ORCHESTRATOR, ORDER, service, unit};

/// Of asset-svc.
pub const MONEY: &[Defect] = &[
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
    service(
        ASSET,
        "rate_unchecked",
        "a hold is charged a rate that is no more",
        "optimistic::a_rate_that_changed_is_noticed_by_a_hold_that_was_decided_by_the_old_one",
    ),
];

/// Of order-svc.
pub const ORDERS: &[Defect] = &[
    service(
        ORDER,
        "definition_unchecked",
        "an order is drafted by a definition that is no more",
        "optimistic::an_instrument_that_was_halted_after_the_glance_drafts_nothing",
    ),
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
];

/// Of saga-orchestrator.
pub const SAGAS: &[Defect] = &[
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
