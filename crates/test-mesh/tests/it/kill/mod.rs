//! Processes are killed without warning in the middle of sagas, and nothing is lost.

mod funds;
mod load;
mod rig;

use brokerctl::dev::MeshService;

use load::{Answered, Command, buy, cancel, done, matched, sell};
use rig::Rig;

/// Sagas of each kind that a service is killed in the middle of, and how many of them are answered by then.
const SAGAS: usize = 120;
const ANSWERED: usize = 20;

/// What is going on when a service dies.
#[derive(Clone, Copy, Debug)]
enum Saga {
    Create,
    Cancel,
    Match,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_any_service_in_the_middle_of_any_saga_loses_nothing() {
    let rig = Rig::start(1).await;
    let mut answered = Vec::new();
    for saga in [Saga::Create, Saga::Cancel, Saga::Match] {
        for &service in MeshService::ALL {
            let commands = prepare(&rig, saga).await;
            let answers = rig.load(commands, &[(ANSWERED, service)]).await;
            let case = format!("{saga:?} without {}", service.name());
            println!("{case}: {} of {SAGAS} done", done(&answers));
            // Those that were answered before, at the least.
            assert!(done(&answers) >= ANSWERED, "{case}: {answers:?}");
            rig.settles().await;
            rig.stands_by(&answers).await;
            answered.extend(answers);
        }
    }
    assert_eq!(answered.len(), 9 * SAGAS);
    rig.stands_by(&answered).await;
    rig.settles().await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killing_each_service_once_in_the_middle_of_1000_sagas_loses_nothing() {
    const COUNT: usize = 1_000;
    let rig = Rig::start(1).await;
    let commands = (0..COUNT).map(|_| buy("customer-a", "10")).collect();
    let strikes = [(250, MeshService::Order), (500, MeshService::Asset), (750, MeshService::Orchestrator)];
    let answered = rig.load(commands, &strikes).await;
    println!("{} of {COUNT} done", done(&answered));
    assert!(done(&answered) > COUNT / 2, "too many were given up for this to say much");
    rig.settles().await;
    rig.stands_by(&answered).await;
    rig.settles().await;
    rig.stop().await;
}

/// Commands that start as many sagas, with everything they need.
async fn prepare(rig: &Rig, saga: Saga) -> Vec<Command> {
    match saga {
        Saga::Create => (0..SAGAS).map(|_| buy("customer-a", "10")).collect(),
        Saga::Cancel => {
            let sells = place(rig, || sell("customer-b", "100")).await;
            sells.iter().map(|order| cancel(&order.id)).collect()
        }
        Saga::Match => {
            let sells = place(rig, || sell("customer-b", "100")).await;
            let buys = place(rig, || buy("customer-a", "100")).await;
            buys.iter().zip(&sells).map(|(buy, sell)| matched(&buy.id, &sell.id)).collect()
        }
    }
}

/// Orders in the market, while nobody is killed.
async fn place(rig: &Rig, order: impl FnMut() -> Command) -> Vec<Answered> {
    let placed = rig.load(std::iter::repeat_with(order).take(SAGAS).collect(), &[]).await;
    assert_eq!(done(&placed), SAGAS, "{placed:?}");
    placed
}
