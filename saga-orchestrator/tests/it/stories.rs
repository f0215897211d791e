//! Stories: for each saga and failure a text file that shows every step, every answer and every compensation.
//!
//! The real engine drives a model of the participants. A story that changes is a change of behaviour: read its diff
//! like prose, and rewrite the files with `UPDATE_STORIES=1`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use brokerage_types::Reason;
use saga_orchestrator::engine::control::{Control, Links};
use saga_orchestrator::engine::decide::Status;
use saga_orchestrator::engine::definition::{Role, Script, Shape};
use saga_orchestrator::engine::drive::{Assignment, End, Engine, Outcome};
use saga_orchestrator::engine::pace::Pace;
use saga_orchestrator::engine::record::{Note, Recorder, Standing};
use saga_orchestrator::engine::reply::{Direction, Reply};
use saga_orchestrator::sagas::{Input, cancel_order, create_order, match_orders};
use service_kit::clock::SystemClock;
use uuid::Uuid;

use crate::model::{ALWAYS, Model, Row, Twist, When};

fn alice_buys_10_at_100() -> Script {
    let order_id = Uuid::from_u128(0xA).into();
    Input::CreateOrder(create_order::Input {
        order_id,
        customer_id: "alice".parse().unwrap(),
        client_order_id: "mine".parse().unwrap(),
        instrument: "THYAO".parse().unwrap(),
        base_asset: "THYAO".parse().unwrap(),
        quote_asset: "TRY".parse().unwrap(),
        side: brokerage_types::Side::Buy,
        limit_price: "100".parse().unwrap(),
        quantity: "10".parse().unwrap(),
        created_by: "alice".parse().unwrap(),
    })
    .script()
}

fn alice_cancels() -> Script {
    let order_id = Uuid::from_u128(0xA).into();
    Input::CancelOrder(cancel_order::Input { order_id, requested_by: "alice".parse().unwrap() }).script()
}

fn alice_meets_bob() -> Script {
    Input::MatchOrders(match_orders::Input {
        trade_id: Uuid::from_u128(0xC).into(),
        instrument: "THYAO".parse().unwrap(),
        base_asset: "THYAO".parse().unwrap(),
        quote_asset: "TRY".parse().unwrap(),
        buy_order_id: Uuid::from_u128(0xA).into(),
        sell_order_id: Uuid::from_u128(0xB).into(),
        buyer_id: "alice".parse().unwrap(),
        seller_id: "bob".parse().unwrap(),
        quantity: "10".parse().unwrap(),
        price: "100".parse().unwrap(),
    })
    .script()
}

/// Writes down what the driver says, equal answers in a row once.
struct Teller {
    shape: Shape,
    lines: Vec<String>,
    last: Option<String>,
    parked: Arc<Control>,
}

impl Recorder for Teller {
    fn note(&mut self, note: Note) {
        let step = &self.shape.steps[note.step];
        let verb = match note.direction {
            Direction::Do => "do".to_owned(),
            Direction::Undo(reason) => format!("undo ({})", reason.as_str()),
        };
        let explanation = note.reply.explanation();
        let line = format!(
            "{:<14} {:<9} {verb:<26} {} {explanation}",
            step.name,
            step.participant.as_str(),
            note.reply.word()
        );
        if self.last.as_ref() == Some(&line) {
            let again = format!("{:<14} … and again", "");
            if self.lines.last() != Some(&again) {
                self.lines.push(again);
            }
        } else {
            self.lines.push(line.trim_end().to_owned());
            self.last = Some(line);
        }
    }

    fn stands(&mut self, standing: Standing) {
        let reason = standing.reason.map_or(String::new(), |reason| format!(": {}", reason.as_str()));
        self.lines.push(format!("-- {:?}{reason}", standing.status).to_uppercase());
        self.last = None;
        if standing.status == Status::Parked {
            // An operator mends what was broken, and lets it try again.
            self.parked.resume();
        }
    }

    fn pausing(&mut self, _pause: Duration) {}

    async fn raise_epoch(&mut self, epoch: u64) -> bool {
        self.lines.push(format!("-- EPOCH {epoch}"));
        true
    }
}

impl Teller {
    fn new(shape: &Shape, parked: &Arc<Control>) -> Self {
        Self { shape: shape.clone(), lines: Vec::new(), last: None, parked: Arc::clone(parked) }
    }
}

struct Story {
    script: Script,
    twists: Vec<(When, Twist)>,
    is_impatient: bool,
    /// A message that arrives when all is over.
    late: Option<&'static str>,
}

impl Story {
    fn of(script: Script, twists: &[(When, Twist)]) -> Self {
        Self { script, twists: twists.to_vec(), is_impatient: false, late: None }
    }

    fn impatient(self) -> Self {
        Self { is_impatient: true, ..self }
    }

    fn late(self, step: &'static str) -> Self {
        Self { late: Some(step), ..self }
    }

    async fn tell(self) -> String {
        let shape = self.script.shape.clone();
        let budget = Duration::from_millis(if self.is_impatient { 20 } else { 60_000 });
        let pace = Pace { budget, park_failures: 8, jitter: false, ..Pace::scaled(0.05) };
        let mut engine = Engine {
            participants: Model::new(shape.clone(), self.twists),
            pace: Pace { attempt: Duration::from_secs(60), ..pace },
            clock: Arc::new(SystemClock),
            links: Arc::new(Links::default()),
        };
        let control = Arc::new(Control::default());
        let assignment = |control: &Arc<Control>, giving_up| Assignment {
            saga_id: Uuid::from_u128(0x5A6A).into(),
            script: self.script.clone(),
            epoch: 1,
            giving_up,
            control: Arc::clone(control),
        };
        let mut teller = Teller::new(&shape, &control);
        let end = engine.drive(assignment(&control, None), &mut teller).await;
        let mut text = format!("{} version {}\n\n", shape.kind, shape.version);
        for line in teller.lines {
            let _ = writeln!(text, "{line}");
        }
        let _ = writeln!(text, "\n{}", ending(&end));
        if let Some(name) = self.late {
            let step = shape.steps.iter().position(|step| step.name == name).unwrap();
            let reply = engine.participants.arrives(step, None, None);
            let _ = writeln!(
                text,
                "\nMuch later a copy of {name} arrives: {} {}",
                reply.word(),
                reply.explanation()
            );
            assert!(matches!(reply, Reply::Tombstone(_) | Reply::Done | Reply::Rejected(_)));
        }
        text.push('\n');
        for (number, step) in shape.steps.iter().enumerate() {
            let row = match (engine.participants.row(number), step.role) {
                (_, Role::Check) => "keeps nothing".to_owned(),
                (None, _) => "never heard of it".to_owned(),
                (Some(row), _) => words(row),
            };
            let _ = writeln!(text, "{:<14} {:<9} {row}", step.name, step.participant.as_str());
        }
        engine.participants.heal();
        for giving_up in [None, Some(Reason::AbortedByOperator)] {
            // A client may ask again, and whoever knows nothing may drive it again.
            let again =
                engine.drive(assignment(&control, giving_up), &mut Teller::new(&shape, &control)).await;
            assert_eq!(reason(&again), reason(&end), "driven again: {again:?}\n{text}");
        }
        text
    }
}

fn words(row: Row) -> String {
    match row {
        Row::Done => "done".to_owned(),
        Row::Rejected(reason) => format!("rejected, {}", reason.as_str()),
        Row::Compensated(reason) => format!("compensated, {}", reason.as_str()),
        Row::Tombstone(reason) => format!("tombstone, {}", reason.as_str()),
    }
}

/// Why it was rolled back; `None` if it was not. It must be the same for all who ask.
fn reason(end: &End) -> Option<Reason> {
    match end {
        End::Ended(Outcome::RolledBack { reason, .. }) => Some(*reason),
        End::Ended(Outcome::Completed) | End::Superseded | End::Stopped => None,
    }
}

fn ending(end: &End) -> String {
    match end {
        End::Ended(Outcome::Completed) => "COMPLETED".to_owned(),
        End::Ended(Outcome::RolledBack { reason, step: Some(step) }) => {
            format!("ROLLED_BACK: {} at {step}", reason.as_str())
        }
        End::Ended(Outcome::RolledBack { reason, step: None }) => format!("ROLLED_BACK: {}", reason.as_str()),
        End::Superseded => "LEFT TO ANOTHER PROCESS".to_owned(),
        End::Stopped => "LEFT FOR RECOVERY".to_owned(),
    }
}

async fn check(name: &str, story: Story) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("stories").join(format!("{name}.txt"));
    let told = story.tell().await;
    if std::env::var_os("UPDATE_STORIES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &told).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(told, kept, "the story {name} has changed; rewrite it with UPDATE_STORIES=1 if it should");
}

const CANNOT_BE_HEARD: Twist = Twist::ReplyLost;
const CANNOT_BE_REACHED: Twist = Twist::RequestLost;

#[tokio::test]
async fn create_order_tells_its_stories() {
    let story = |twists: &[(When, Twist)]| Story::of(alice_buys_10_at_100(), twists);
    let refused = |reason| Twist::Refused(reason);
    check("create_order/happy", story(&[])).await;
    let twist = (("place_hold", false, 1, ALWAYS), refused(Reason::InsufficientUsable));
    check("create_order/hold_refused", story(&[twist])).await;
    let twist = (("draft", false, 1, ALWAYS), refused(Reason::DuplicateClientOrderId));
    check("create_order/draft_refused", story(&[twist])).await;
    let twist = (("open", false, 1, ALWAYS), refused(Reason::CancelAsked));
    check("create_order/cancel_asked", story(&[twist])).await;
    let twist = (("draft", false, 1, 2), CANNOT_BE_HEARD);
    check("create_order/draft_unheard", story(&[twist])).await;
    let twist = (("open", false, 1, ALWAYS), CANNOT_BE_REACHED);
    check("create_order/pivot_never_ran", story(&[twist]).impatient().late("open")).await;
    let twist = (("open", false, 1, ALWAYS), CANNOT_BE_HEARD);
    check("create_order/pivot_had_run", story(&[twist]).impatient()).await;
    let twist = (("place_hold", false, 1, ALWAYS), CANNOT_BE_REACHED);
    check("create_order/late_hold", story(&[twist]).impatient().late("place_hold")).await;
    let twist = (("place_hold", false, 1, ALWAYS), Twist::RefusedUnheard(Reason::InsufficientUsable));
    check("create_order/refused_unheard", story(&[twist]).impatient()).await;
    let twist = (("open", false, 1, ALWAYS), Twist::RefusedUnheard(Reason::CancelAsked));
    check("create_order/cancel_asked_unheard", story(&[twist]).impatient()).await;
    let twist = (("place_hold", false, 1, ALWAYS), Twist::Poison);
    check("create_order/poison_before_the_pivot", story(&[twist])).await;
    let twist = (("draft", false, 1, 1), Twist::Expired);
    check("create_order/stamped_again", story(&[twist])).await;
    let twist = (("draft", false, 1, 1), Twist::Stale(7));
    check("create_order/epoch_raised", story(&[twist])).await;
    let refusal = (("place_hold", false, 1, ALWAYS), refused(Reason::CustomerFrozen));
    let twist = (("draft", true, 1, 12), CANNOT_BE_REACHED);
    check("create_order/parked_while_undoing", story(&[refusal, twist])).await;
}

#[tokio::test]
async fn cancel_order_tells_its_stories() {
    let story = |twists: &[(When, Twist)]| Story::of(alice_cancels(), twists);
    check("cancel_order/happy", story(&[])).await;
    let twist = (("await_drain", false, 1, 4), Twist::NotNow);
    check("cancel_order/waits_for_drain", story(&[twist])).await;
    let twist = (("await_drain", false, 1, ALWAYS), Twist::NotNowAndUndoneBehind);
    check("cancel_order/begin_undone_by_a_zombie", story(&[twist])).await;
    let twist = (("await_drain", false, 1, ALWAYS), Twist::Refused(Reason::TooLateToCancel));
    check("cancel_order/too_late", story(&[twist])).await;
    let twist = (("await_drain", false, 1, 5), CANNOT_BE_REACHED);
    check("cancel_order/check_has_no_budget", story(&[twist])).await;
    let twist = (("release_hold", false, 1, ALWAYS), CANNOT_BE_REACHED);
    check("cancel_order/release_never_ran", story(&[twist]).impatient().late("release_hold")).await;
    let twist = (("confirm_cancel", false, 1, 3), CANNOT_BE_HEARD);
    check("cancel_order/confirm_unheard", story(&[twist])).await;
}

#[tokio::test]
async fn match_orders_tells_its_stories() {
    let story = |twists: &[(When, Twist)]| Story::of(alice_meets_bob(), twists);
    check("match_orders/happy", story(&[])).await;
    let twist = (("reserve_match", false, 1, ALWAYS), Twist::Refused(Reason::QuantityExceedsLeaves));
    check("match_orders/reserve_refused", story(&[twist])).await;
    let twist = (("settle_trade", false, 1, ALWAYS), Twist::Refused(Reason::CustomerFrozen));
    check("match_orders/settle_refused", story(&[twist])).await;
    let twist = (("settle_trade", false, 1, 1), CANNOT_BE_HEARD);
    check("match_orders/settle_unheard", story(&[twist])).await;
    let twist = (("settle_trade", false, 1, ALWAYS), CANNOT_BE_HEARD);
    check("match_orders/settle_given_up_but_had_run", story(&[twist]).impatient()).await;
    let twist = (("apply_fill", false, 1, 3), CANNOT_BE_REACHED);
    check("match_orders/apply_fill_retried", story(&[twist])).await;
    let twist = (("apply_fill", false, 1, 1), Twist::Poison);
    check("match_orders/apply_fill_parked", story(&[twist])).await;
}
