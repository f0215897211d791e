//! Every situation of an order × every command: what is legal gives the stated status, what is not changes nothing.

use brokerage_types::Reason;

use super::fixture::{CANCELER, Command, Two, qty};
use crate::domain::{Status, fold};

/// The situations, and the legal commands that lead there from a draft of 10.
fn situations() -> Vec<(&'static str, Two)> {
    let open = Command::Open;
    let ask = Command::BeginCancel(CANCELER);
    let (reserve, fill) = (|q| Command::Reserve(qty(q)), |q| Command::Fill(qty(q)));
    let at = |commands: &[Command]| Two::drafted().after(commands);
    let filled_4 = [open, reserve("4"), fill("4")];
    let and = |head: &[Command], tail: &[Command]| at(&[head, tail].concat());
    vec![
        ("init", at(&[])),
        ("init, asked", at(&[ask])),
        ("pending", at(&[open])),
        ("pending, 4 in flight", at(&[open, reserve("4")])),
        ("pending, 10 in flight", at(&[open, reserve("10")])),
        ("partly", at(&filled_4)),
        ("partly, 6 in flight", and(&filled_4, &[reserve("6")])),
        ("canceling", at(&[open, ask])),
        ("canceling, 4 in flight", at(&[open, reserve("4"), ask])),
        ("canceling, 10 in flight", at(&[open, reserve("10"), ask])),
        ("canceling, partly", and(&filled_4, &[ask])),
        ("canceling, was suspended", at(&[open, Command::Suspend, ask])),
        ("suspended", at(&[open, Command::Suspend])),
        ("suspended, 4 in flight", at(&[open, reserve("4"), Command::Suspend])),
        ("suspended, 10 in flight", at(&[open, reserve("10"), Command::Suspend])),
        ("suspended, partly", and(&filled_4, &[Command::Suspend])),
        ("matched", at(&[open, reserve("10"), fill("10")])),
        ("canceled", at(&[open, ask, Command::ConfirmCancel])),
        ("canceled, partly", and(&filled_4, &[ask, Command::ConfirmCancel])),
        ("canceled before open", at(&[ask, Command::UndoDraft(Reason::CancelAsked)])),
        ("rejected", at(&[Command::UndoDraft(Reason::InsufficientUsable)])),
    ]
}

/// One line per situation, one column per command. A status: legal, with that result. `=`: nothing to do. Else the
/// refusal: Ill(egal) Late Pend(ing) Asked Not(matchable) Exc(eeds).
const TABLE: &str = "
situation                | undo_draft undo_asked open  ask   undo_ask other_undo confirm reserve release fill suspend resume
init                     | REJ        CAN        PEN   INI   =        =          Ill     Not     Ill     Ill  Ill     Ill
init, asked              | REJ        CAN        Asked Pend  INI      =          Ill     Not     Ill     Ill  Ill     Ill
pending                  | Ill        Ill        Ill   CRQ   =        =          Ill     PEN     Ill     Ill  SUS     Ill
pending, 4 in flight     | Ill        Ill        Ill   CRQ   =        =          Ill     PEN     PEN     PAR  SUS     Ill
pending, 10 in flight    | Ill        Ill        Ill   CRQ   =        =          Ill     Exc     PEN     MAT  SUS     Ill
partly                   | Ill        Ill        Ill   CRQ   =        =          Ill     PAR     Ill     Ill  SUS     Ill
partly, 6 in flight      | Ill        Ill        Ill   CRQ   =        =          Ill     Exc     PAR     MAT  SUS     Ill
canceling                | Ill        Ill        Ill   Pend  PEN      =          CAN     Not     Ill     Ill  Ill     Ill
canceling, 4 in flight   | Ill        Ill        Ill   Pend  PEN      =          Ill     Not     CRQ     CRQ  Ill     Ill
canceling, 10 in flight  | Ill        Ill        Ill   Pend  PEN      =          Ill     Not     CRQ     MAT  Ill     Ill
canceling, partly        | Ill        Ill        Ill   Pend  PAR      =          CAN     Not     Ill     Ill  Ill     Ill
canceling, was suspended | Ill        Ill        Ill   Pend  SUS      =          CAN     Not     Ill     Ill  Ill     Ill
suspended                | Ill        Ill        Ill   CRQ   =        =          Ill     Not     Ill     Ill  Ill     PEN
suspended, 4 in flight   | Ill        Ill        Ill   CRQ   =        =          Ill     Not     SUS     SUS  Ill     PEN
suspended, 10 in flight  | Ill        Ill        Ill   CRQ   =        =          Ill     Not     SUS     MAT  Ill     PEN
suspended, partly        | Ill        Ill        Ill   CRQ   =        =          Ill     Not     Ill     Ill  Ill     PAR
matched                  | Ill        Ill        Ill   Late  =        =          Ill     Not     Ill     Ill  Ill     Ill
canceled                 | Ill        Ill        Ill   Late  =        =          =       Not     Ill     Ill  Ill     Ill
canceled, partly         | Ill        Ill        Ill   Late  =        =          =       Not     Ill     Ill  Ill     Ill
canceled before open     | Ill        Ill        Ill   Late  =        =          =       Not     Ill     Ill  Ill     Ill
rejected                 | Ill        Ill        Ill   Late  =        =          Ill     Not     Ill     Ill  Ill     Ill
";

fn command(name: &str, two: &Two) -> Command {
    let inflight = if two.alice.inflight_qty.is_zero() { qty("4") } else { two.alice.inflight_qty };
    match name {
        "undo_draft" => Command::UndoDraft(Reason::InsufficientUsable),
        "undo_asked" => Command::UndoDraft(Reason::CancelAsked),
        "open" => Command::Open,
        "ask" => Command::BeginCancel(CANCELER + 1),
        "undo_ask" => Command::UndoBeginCancel(CANCELER),
        "other_undo" => Command::UndoBeginCancel(CANCELER + 1),
        "confirm" => Command::ConfirmCancel,
        "reserve" => Command::Reserve(qty("4")),
        "release" => Command::Release(inflight),
        "fill" => Command::Fill(inflight),
        "suspend" => Command::Suspend,
        "resume" => Command::Resume,
        other => panic!("no command {other}"),
    }
}

fn status(cell: &str) -> Result<Status, Reason> {
    Ok(match cell {
        "INI" => Status::Init,
        "PEN" => Status::Pending,
        "PAR" => Status::PartiallyMatched,
        "CRQ" => Status::CancelRequested,
        "MAT" => Status::Matched,
        "CAN" => Status::Canceled,
        "REJ" => Status::Rejected,
        "SUS" => Status::Suspended,
        "Ill" => return Err(Reason::IllegalTransition),
        "Late" => return Err(Reason::TooLateToCancel),
        "Pend" => return Err(Reason::CancelPending),
        "Asked" => return Err(Reason::CancelAsked),
        "Not" => return Err(Reason::NotMatchable),
        "Exc" => return Err(Reason::QuantityExceedsLeaves),
        other => panic!("no cell {other}"),
    })
}

#[track_caller]
fn check(situation: &str, before: &Two, name: &str, cell: &str) {
    let mut after = before.clone();
    let outcome = after.run(&command(name, before));
    let what = format!("{situation} × {name}");
    let unchanged = |after: &Two| {
        assert_eq!(after.alice, before.alice, "{what} changed the order");
        assert_eq!(after.bob, before.bob, "{what} changed the counterparty's order");
        assert_eq!(after.events, before.events, "{what} left an event");
    };
    if cell == "=" {
        assert_eq!(outcome, Ok(None), "{what}");
        return unchanged(&after);
    }
    match status(cell) {
        Err(reason) => {
            assert_eq!(outcome, Err(reason), "{what}");
            unchanged(&after);
        }
        Ok(status) => {
            assert!(matches!(outcome, Ok(Some(_))), "{what}: {outcome:?}");
            assert_eq!(after.alice.status, status, "{what}");
            assert_eq!(after.alice.version, before.alice.version + 1, "{what}");
            assert_eq!(after.events.len(), before.events.len() + 1, "{what}: one change, one event");
            assert_eq!(fold::fold(&after.events).as_ref(), Ok(&after.alice), "{what}");
            assert_eq!(after.alice.check(), Ok(()), "{what}");
        }
    }
}

#[test]
fn every_command_in_every_situation_does_what_the_table_says() {
    let mut lines = TABLE.trim().lines();
    let names: Vec<&str> = lines.next().unwrap().split('|').nth(1).unwrap().split_whitespace().collect();
    let situations = situations();
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), situations.len(), "a line for each situation");
    for (line, (situation, two)) in lines.iter().zip(&situations) {
        let (title, cells) = line.split_once('|').unwrap();
        assert_eq!(title.trim(), *situation);
        let cells: Vec<&str> = cells.split_whitespace().collect();
        assert_eq!(cells.len(), names.len(), "{situation}: a cell for each command");
        for (name, cell) in names.iter().zip(cells) {
            check(situation, two, name, cell);
        }
    }
}

#[test]
fn the_table_covers_every_status() {
    for status in Status::ALL {
        assert!(situations().iter().any(|(_, two)| two.alice.status == *status), "{status}");
    }
}
