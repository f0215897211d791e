//! Every step: repeated, altered, at the same time 64 times, compensated twice, compensated before it ran, done after
//! its compensation. `SETUP` brings the ledger to where the step makes sense.

use brokerage_proto::asset::v1 as wire;
use brokerage_proto::asset::v1::asset_command::Kind;
use brokerage_proto::common::v1::StepReply;
use futures::future::join_all;

use crate::audit::audit;
use crate::harness::{World, buy, context, fresh, sell, trade, verdict};

/// A step with its idempotency key.
#[derive(Clone)]
struct Step {
    saga_id: String,
    command: Kind,
    pivot: bool,
}

impl Step {
    async fn run(&self, world: &World) -> StepReply {
        let context = context(&self.saga_id, 1);
        let mut participant = world.participant();
        let answer = match self.command.clone() {
            Kind::PlaceHold(command) => {
                participant.place_hold(wire::PlaceHoldRequest { context, command: Some(command) }).await
            }
            Kind::ReleaseHold(command) => {
                participant.release_hold(wire::ReleaseHoldRequest { context, command: Some(command) }).await
            }
            Kind::SettleTrade(command) => {
                participant.settle_trade(wire::SettleTradeRequest { context, command: Some(command) }).await
            }
        };
        answer.unwrap().into_inner()
    }

    async fn undo(&self, world: &World) -> StepReply {
        world.compensate((&self.saga_id, 1), self.command.clone()).await
    }

    /// The same key, another command.
    fn altered(&self) -> Self {
        let command = match self.command.clone() {
            Kind::PlaceHold(hold) => Kind::PlaceHold(wire::PlaceHold { quantity: "7".to_owned(), ..hold }),
            Kind::ReleaseHold(_) => Kind::ReleaseHold(wire::ReleaseHold { hold_id: fresh() }),
            Kind::SettleTrade(trade) => {
                Kind::SettleTrade(wire::SettleTrade { quantity: "1".to_owned(), ..trade })
            }
        };
        Self { command, ..self.clone() }
    }
}

/// A buyer with cash, a seller with shares, both with an order; and each of the three steps, ready to run.
async fn three_steps() -> (World, Vec<Step>) {
    let world = World::with_customers().await;
    world.rate("STANDARD", 1_500).await;
    world.deposit("customer-a", "TRY", "10000").await;
    world.deposit("customer-b", "THYAO", "100").await;
    let (bid, ask) = (buy("customer-a", "THYAO", "10", "50"), sell("customer-b", "THYAO", "10", "49"));
    let (other, new) = (buy("customer-a", "THYAO", "3", "40"), buy("customer-a", "THYAO", "5", "45"));
    for hold in [&bid, &ask, &other] {
        assert_eq!(verdict(&world.place(hold).await), "DONE");
    }
    let trade = trade(&bid, &ask, "4", "49.5");
    let steps = vec![
        Step { saga_id: new.hold_id.clone(), command: Kind::PlaceHold(new), pivot: false },
        Step {
            saga_id: fresh(),
            command: Kind::ReleaseHold(wire::ReleaseHold { hold_id: other.hold_id }),
            pivot: true,
        },
        Step { saga_id: trade.trade_id.clone(), command: Kind::SettleTrade(trade), pivot: true },
    ];
    (world, steps)
}

#[tokio::test]
async fn a_repeated_step_is_done_once() {
    let (world, steps) = three_steps().await;
    for step in &steps {
        let before = world.effects().await;
        assert_eq!(verdict(&step.run(&world).await), "DONE");
        let after = world.effects().await;
        assert_ne!(before, after);
        assert_eq!(verdict(&step.run(&world).await), "DONE");
        assert_eq!(verdict(&step.altered().run(&world).await), "MISMATCH");
        assert_eq!(world.effects().await, after);
    }
    audit(&world.pool).await;
}

#[tokio::test]
async fn sixty_four_at_once_are_one() {
    let (world, steps) = three_steps().await;
    let count = "SELECT count(*) FROM ledger_tx";
    for step in &steps {
        let before: i64 = sqlx::query_scalar(count).fetch_one(&world.pool).await.unwrap();
        let replies = join_all((0..64).map(|_| step.run(&world))).await;
        assert!(replies.iter().all(|reply| verdict(reply) == "DONE"));
        let after: i64 = sqlx::query_scalar(count).fetch_one(&world.pool).await.unwrap();
        assert_eq!(after, before + 1);
    }
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_step_is_compensated_once_or_refuses_for_ever() {
    let (world, steps) = three_steps().await;
    for step in &steps {
        let before = world.has("customer-a", "TRY").await;
        assert_eq!(verdict(&step.run(&world).await), "DONE");
        let done = world.effects().await;
        let undone = step.undo(&world).await;
        if step.pivot {
            assert_eq!(verdict(&undone), "REFUSED");
            assert_eq!(verdict(&step.undo(&world).await), "REFUSED");
            assert_eq!(world.effects().await, done);
            assert_eq!(verdict(&step.run(&world).await), "DONE");
        } else {
            assert_eq!(verdict(&undone), "DONE(GAVE_UP)");
            assert_eq!(world.has("customer-a", "TRY").await, before);
            let after = world.effects().await;
            assert_eq!(verdict(&step.undo(&world).await), "DONE(GAVE_UP)");
            assert_eq!(verdict(&step.run(&world).await), "TOMBSTONE(GAVE_UP)");
            assert_eq!(world.effects().await, after);
        }
    }
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_late_step_after_its_tombstone_changes_nothing() {
    let (world, steps) = three_steps().await;
    for step in &steps {
        let before = world.effects().await;
        assert_eq!(verdict(&step.undo(&world).await), "DONE(GAVE_UP)");
        assert_eq!(verdict(&step.run(&world).await), "TOMBSTONE(GAVE_UP)");
        assert_eq!(verdict(&step.undo(&world).await), "DONE(GAVE_UP)");
        assert_eq!(verdict(&step.run(&world).await), "TOMBSTONE(GAVE_UP)");
        assert_eq!(world.effects().await, before);
    }
    audit(&world.pool).await;
}

#[tokio::test]
async fn do_and_compensate_at_the_same_time_end_with_nothing_held() {
    let (world, _) = three_steps().await;
    for _ in 0..16 {
        let before = world.has("customer-a", "TRY").await;
        let hold = buy("customer-a", "THYAO", "2", "10");
        let step = Step { saga_id: hold.hold_id.clone(), command: Kind::PlaceHold(hold), pivot: false };
        let (_, undone) = tokio::join!(step.run(&world), step.undo(&world));
        assert_eq!(verdict(&undone), "DONE(GAVE_UP)");
        assert_eq!(verdict(&step.run(&world).await), "TOMBSTONE(GAVE_UP)");
        assert_eq!(world.has("customer-a", "TRY").await, before);
    }
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_rejection_is_remembered_though_it_would_work_now() {
    let world = World::with_customers().await;
    let hold = buy("customer-a", "THYAO", "1", "50");
    assert_eq!(verdict(&world.place(&hold).await), "REJECTED(INSUFFICIENT_USABLE)");
    world.deposit("customer-a", "TRY", "50").await;
    let before = world.effects().await;
    assert_eq!(verdict(&world.place(&hold).await), "REJECTED(INSUFFICIENT_USABLE)");
    let saga = hold.hold_id.clone();
    let undone = world.compensate((&saga, 1), Kind::PlaceHold(hold)).await;
    assert_eq!(verdict(&undone), "DONE(INSUFFICIENT_USABLE)");
    assert_eq!(world.effects().await, before);
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_cancel_of_an_order_that_was_rolled_back_finds_nothing_to_release() {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "50").await;
    // Never placed: the hold was tombstoned first.
    assert_eq!(verdict(&world.release(&fresh(), &fresh()).await), "DONE");
    // Placed and released by its own saga.
    let hold = buy("customer-a", "THYAO", "1", "50");
    world.place(&hold).await;
    let saga = hold.hold_id.clone();
    world.compensate((&saga, 1), Kind::PlaceHold(hold)).await;
    assert_eq!(verdict(&world.release(&fresh(), &saga).await), "DONE");
    assert_eq!(world.has("customer-a", "TRY").await, ("50".to_owned(), "0".to_owned()));
    audit(&world.pool).await;
}
