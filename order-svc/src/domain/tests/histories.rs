//! A11: after any sequence of commands, an order is the fold of its events, also after a trip through JSON.

use brokerage_types::Reason;
use proptest::prelude::*;

use super::fixture::{CANCELER, Command, Two, qty};
use crate::audit::fold_order;
use crate::domain::{OrderEvent, fold};

fn any_command() -> impl Strategy<Value = Command> {
    let quantity = (1_u32..=10).prop_map(|n| qty(&n.to_string()));
    prop_oneof![
        1 => Just(Command::UndoDraft(Reason::InsufficientUsable)),
        1 => Just(Command::UndoDraft(Reason::CancelAsked)),
        4 => Just(Command::Open),
        2 => (CANCELER..CANCELER + 2).prop_map(Command::BeginCancel),
        2 => (CANCELER..CANCELER + 2).prop_map(Command::UndoBeginCancel),
        1 => Just(Command::ConfirmCancel),
        6 => quantity.clone().prop_map(Command::Reserve),
        2 => quantity.clone().prop_map(Command::Release),
        4 => quantity.prop_map(Command::Fill),
        1 => Just(Command::Suspend),
        2 => Just(Command::Resume),
    ]
}

proptest! {
    #[test]
    fn an_order_is_the_fold_of_its_events(commands in prop::collection::vec(any_command(), 0..40)) {
        let mut two = Two::drafted();
        for command in &commands {
            let before = two.clone();
            let outcome = two.run(command);
            prop_assert_eq!(two.alice.check(), Ok(()));
            prop_assert!(two.alice.cum_qty >= before.alice.cum_qty, "cum never decreases");
            if before.alice.status.is_terminal() {
                prop_assert_eq!(&two.alice, &before.alice);
            }
            let changes = i64::from(matches!(outcome, Ok(Some(_))));
            prop_assert_eq!(two.alice.version, before.alice.version + changes);
        }
        prop_assert_eq!(fold::fold(&two.events), Ok(two.alice.clone()));

        let stored: Vec<_> = two
            .events
            .iter()
            .map(|event| (event.change.kind().to_owned(), serde_json::to_value(event).unwrap()))
            .collect();
        prop_assert_eq!(fold_order(stored), Ok(two.alice));
    }
}

#[test]
fn a_history_with_a_gap_or_a_change_is_noticed() {
    let two = Two::drafted().after(&[Command::Open, Command::Reserve(qty("4")), Command::Fill(qty("4"))]);
    let check = |spoil: &dyn Fn(&mut Vec<OrderEvent>)| {
        let mut events = two.events.clone();
        spoil(&mut events);
        assert_ne!(fold::fold(&events).ok(), Some(two.alice.clone()));
    };
    check(&|events| drop(events.remove(1)));
    check(&|events| events.swap(1, 2));
    check(&|events| drop(events.pop()));
    check(&|events| events.push(events[2].clone()));
    check(&|events| events[3].status = crate::domain::Status::Matched);
}
