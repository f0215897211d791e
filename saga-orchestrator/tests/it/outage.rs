//! An outage of a participant: who asks it meanwhile, and that everybody goes on when it is back.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use brokerage_types::SagaId;
use futures::future::join_all;
use saga_orchestrator::engine::breaker::Position;
use saga_orchestrator::engine::control::Control;
use saga_orchestrator::engine::decide::Status;
use saga_orchestrator::engine::drive::{Assignment, End, Engine, Outcome};
use saga_orchestrator::engine::links::{Links, Seen};
use saga_orchestrator::engine::pace::Pace;
use saga_orchestrator::engine::record::{Note, Recorder, Standing};
use saga_orchestrator::engine::reply::{Answer, Participants, Reply, Request, Trouble, TroubleKind};
use saga_orchestrator::sagas::command::{Command, Participant};
use saga_orchestrator::sagas::{Input, cancel_order};
use service_kit::clock::SystemClock;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

/// How asset-svc fares. order-svc always answers, and nothing is kept: these sagas never repeat a step that was done.
#[derive(Default)]
struct AssetService {
    is_down: AtomicBool,
    /// What it answers when it is there and cannot.
    trouble: Mutex<Option<TroubleKind>>,
    calls: AtomicU32,
}

/// Both participants.
struct Services(Arc<AssetService>);

impl Participants for Services {
    async fn send(&self, request: &Request<'_>) -> Answer {
        let unknown = |kind| Reply::Unknown(Trouble { kind, detail: "on purpose".to_owned() });
        let reply = match request.command {
            Command::Order(_) => Reply::Done,
            Command::Asset(_) => {
                self.0.calls.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                let trouble = *self.0.trouble.lock().unwrap();
                match (self.0.is_down.load(Ordering::Relaxed), trouble) {
                    (true, _) => unknown(TroubleKind::NoAnswer),
                    (false, Some(kind)) => unknown(kind),
                    (false, None) => Reply::Done,
                }
            }
        };
        Answer { reply, database_time: None }
    }
}

/// Counts the sagas that are parked.
struct Counter(Arc<AtomicU32>);

impl Recorder for Counter {
    fn note(&mut self, _: Note) {}
    fn stands(&mut self, standing: Standing) {
        if standing.status == Status::Parked {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn pausing(&mut self, _: Duration) {}
    async fn raise_epoch(&mut self, _: u64) -> bool {
        true
    }
}

struct Bench {
    engine: Arc<Engine<Services>>,
    asset: Arc<AssetService>,
    parked: Arc<AtomicU32>,
}

impl Bench {
    fn new(pace: Pace) -> Self {
        let asset = Arc::new(AssetService::default());
        let links = Arc::new(Links::new(&pace));
        let participants = Services(Arc::clone(&asset));
        let engine = Arc::new(Engine { participants, pace, clock: Arc::new(SystemClock), links });
        Self { engine, asset, parked: Arc::default() }
    }

    /// Cancels so many orders; the pivot of each is asset-svc's.
    fn cancels(&self, many: u128) -> Vec<JoinHandle<End>> {
        let cancel = |number| {
            let (engine, parked) = (Arc::clone(&self.engine), Arc::clone(&self.parked));
            tokio::spawn(async move {
                let saga_id = SagaId::from(Uuid::from_u128(number));
                let order_id = Uuid::from_u128(number).into();
                let requested_by = "alice".parse().unwrap();
                let script = Input::CancelOrder(cancel_order::Input { order_id, requested_by }).script();
                let control = Arc::new(Control::default());
                let assignment = Assignment { saga_id, script, epoch: 1, giving_up: None, control };
                engine.drive(assignment, &mut Counter(parked)).await
            })
        };
        (1..=many).map(cancel).collect()
    }

    fn is_down(&self, is_down: bool) {
        self.asset.is_down.store(is_down, Ordering::Relaxed);
    }

    fn feels(&self, trouble: Option<TroubleKind>) {
        *self.asset.trouble.lock().unwrap() = trouble;
    }

    fn calls(&self) -> u32 {
        self.asset.calls.load(Ordering::Relaxed)
    }

    fn seen(&self) -> Seen {
        self.engine.links.to(Participant::Asset).seen()
    }

    /// Probes as the service does it beside its sagas, until something is so.
    async fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let waiting = async {
            while !is_so() {
                self.engine.links.probe();
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), waiting)
            .await
            .unwrap_or_else(|_| panic!("never {what}"));
    }

    async fn all_end(&self, sagas: Vec<JoinHandle<End>>) -> Vec<End> {
        self.until("did all end", || sagas.iter().all(JoinHandle::is_finished)).await;
        join_all(sagas).await.into_iter().map(Result::unwrap).collect()
    }
}

/// A second is fifty milliseconds, and nobody gives up: only the breaker can be what holds a saga.
fn patient() -> Pace {
    Pace { budget: Duration::from_secs(3_600), ..Pace::scaled(0.05) }
}

#[tokio::test]
async fn a_silent_participant_is_asked_once_a_second_and_all_go_on_when_it_is_back() {
    let bench = Bench::new(patient());
    bench.is_down(true);
    let sagas = bench.cancels(500);
    bench.until("opened", || bench.seen().breaker != Position::Closed).await;
    // What was sent before it opened comes to nothing, and from then on there are only probes.
    let pace = &bench.engine.pace;
    let held = bench.seen().held_by_breaker;
    bench.until("held all", || bench.seen().held_by_breaker >= held + 500).await;
    let (before, since) = (bench.calls(), Instant::now());
    bench.until("probed", || bench.calls() >= before + 10).await;
    assert!(since.elapsed() >= pace.breaker_probe * 8, "ten calls in {:?}", since.elapsed());
    bench.is_down(false);
    let ends = bench.all_end(sagas).await;
    assert!(ends.iter().all(|end| *end == End::Ended(Outcome::Completed)));
    assert_eq!((bench.seen().breaker, bench.seen().opened), (Position::Closed, 1));
}

#[tokio::test]
async fn nobody_needs_to_be_woken_to_find_out() {
    let bench = Bench::new(patient());
    bench.is_down(true);
    let sagas = bench.cancels(100);
    while bench.seen().breaker == Position::Closed {
        tokio::task::yield_now().await;
    }
    bench.is_down(false);
    let ends = tokio::time::timeout(Duration::from_secs(30), join_all(sagas)).await.expect("they hang");
    assert!(ends.into_iter().all(|end| end.unwrap() == End::Ended(Outcome::Completed)));
}

#[tokio::test]
async fn a_command_that_makes_a_participant_fail_does_not_cut_off_others() {
    let bench = Bench::new(patient());
    for kind in [TroubleKind::Faulted, TroubleKind::Busy, TroubleKind::Forbidden] {
        bench.feels(Some(kind));
        let before = bench.calls();
        let sagas = bench.cancels(200);
        bench.until("tried again", || bench.calls() >= before + 250).await;
        assert_eq!(bench.seen().breaker, Position::Closed, "{kind:?}");
        bench.feels(None);
        let ends = bench.all_end(sagas).await;
        assert!(ends.iter().all(|end| *end == End::Ended(Outcome::Completed)), "{kind:?}");
    }
    assert_eq!(bench.seen().opened, 0);
}

#[tokio::test]
async fn repetitions_at_a_busy_participant_keep_to_their_budget() {
    let bench = Bench::new(patient());
    bench.feels(Some(TroubleKind::Busy));
    let began = Instant::now();
    let sagas = bench.cancels(500);
    bench.until("held back", || bench.seen().held_by_budget >= 1_000).await;
    // The first attempts, what was saved for usual callers, and the trickle.
    let trickled = began.elapsed().div_duration_f64(bench.engine.pace.retry_trickle);
    let most = 500.0 + 80.0 + trickled + 1.0;
    assert!(f64::from(bench.calls()) <= most, "{} calls, at most {most}", bench.calls());
    bench.feels(None);
    let ends = bench.all_end(sagas).await;
    assert!(ends.iter().all(|end| *end == End::Ended(Outcome::Completed)));
}

#[tokio::test]
async fn a_saga_that_cannot_even_give_up_is_parked_and_undone_when_the_participant_is_back() {
    let park_after = Duration::from_millis(300);
    let bench = Bench::new(Pace { park_after, parked_retry: park_after, ..Pace::scaled(0.05) });
    bench.is_down(true);
    let sagas = bench.cancels(100);
    bench.until("parked", || bench.parked.load(Ordering::Relaxed) >= 100).await;
    bench.is_down(false);
    let ends = bench.all_end(sagas).await;
    assert!(ends.iter().all(|end| matches!(end, End::Ended(Outcome::RolledBack { .. }))));
}
