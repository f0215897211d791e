//! What may happen between the glance at a customer's balance and the statement that places or releases his hold.

use asset_svc::domain::command::{Command, PlaceHold, ReleaseHold};
use asset_svc::store::{AssetBooks, Recollection};
use brokerage_proto::asset::v1 as wire;
use brokerage_types::{HoldId, Side};
use chrono::Utc;
use service_kit::executor::{Asked, At, Books, Glimpse, Key, SaveError, Verdicts, Wish};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::audit::audit;
use crate::harness::{World, buy, sell, trade};

/// A hold that is decided, and not written yet.
struct Decided {
    books: AssetBooks,
    connection: PgConnection,
    hold_id: Uuid,
    glimpse: Glimpse,
    world: asset_svc::domain::world::World,
}

impl Decided {
    /// A buy of customer-a for 10 TRY.
    async fn by_a_glance(world: &World) -> Self {
        let books = AssetBooks::new(|_| Vec::new());
        let mut connection = world.pool.acquire().await.unwrap().detach();
        let hold_id = Uuid::now_v7();
        let command = a_buy(hold_id);
        let asked = Asked::of([Key { saga_id: hold_id, step: 1 }]);
        let wishes = [Wish { command: &command, is_undo: false }];
        assert!(books.glance(&mut connection, &asked, &wishes).await.unwrap().is_none(), "assets unseen");
        books.load(&mut connection, &[&command]).await.unwrap();
        Self::after_a_glance(books, connection, hold_id, &command).await
    }

    /// The release of this hold.
    async fn to_release(world: &World, hold: &wire::PlaceHold) -> Self {
        let books = AssetBooks::new(|_| Vec::new());
        let connection = world.pool.acquire().await.unwrap().detach();
        let command = Command::ReleaseHold(ReleaseHold { hold_id: hold.hold_id.parse().unwrap() });
        Self::after_a_glance(books, connection, hold.hold_id.parse().unwrap(), &command).await
    }

    async fn after_a_glance(
        books: AssetBooks,
        mut connection: PgConnection,
        hold_id: Uuid,
        command: &Command,
    ) -> Self {
        let key = Key { saga_id: Uuid::now_v7(), step: 1 };
        let wishes = [Wish { command, is_undo: false }];
        let glanced = books.glance(&mut connection, &Asked::of([key]), &wishes).await.unwrap();
        let (glimpse, mut seen) = glanced.unwrap();
        let at = At { saga_id: key.saga_id, step: key.step, now: glimpse.now };
        books.execute(&mut seen, &at, command).unwrap();
        Self { books, connection, hold_id, glimpse, world: seen }
    }

    async fn written(mut self) -> Result<(), SaveError> {
        assert!(self.glimpse.known.is_empty());
        self.books.events(&mut self.world);
        self.books.save_unchanged(&mut self.connection, &self.world, &Verdicts::default()).await
    }
}

/// Of customer-a, for 10 TRY.
fn a_buy(hold_id: Uuid) -> Command {
    Command::PlaceHold(PlaceHold {
        hold_id: HoldId::from(hold_id),
        customer: "customer-a".parse().unwrap(),
        side: Side::Buy,
        base: "THYAO".parse().unwrap(),
        quote: "TRY".parse().unwrap(),
        limit: "10".parse().unwrap(),
        quantity: "1".parse().unwrap(),
    })
}

async fn alice_with_cash() -> World {
    let world = World::with_customers().await;
    world.deposit("customer-a", "TRY", "1000").await;
    world.deposit("customer-b", "TRY", "1000").await;
    world
}

#[track_caller]
fn assert_conflict(written: &Result<(), SaveError>) {
    assert!(matches!(written, Err(SaveError::Conflict)), "{written:?}");
}

#[tokio::test]
async fn a_hold_is_written_when_nothing_has_changed() {
    let world = alice_with_cash().await;
    Decided::by_a_glance(&world).await.written().await.unwrap();
    assert_eq!(world.has("customer-a", "TRY").await, ("990".to_owned(), "10".to_owned()));
}

#[tokio::test]
async fn a_customer_who_was_frozen_after_the_glance_gets_no_hold() {
    let world = alice_with_cash().await;
    let decided = Decided::by_a_glance(&world).await;
    world.customer("customer-a", wire::Tier::Standard, wire::CustomerState::Frozen).await;
    assert_conflict(&decided.written().await);
    assert_eq!(world.has("customer-a", "TRY").await, ("1000".to_owned(), "0".to_owned()));
    audit(&world.pool).await;
}

/// As a process of an earlier release freezes, and as anybody does while a first balance is being opened: no balance
/// that the hold knows has changed.
#[tokio::test]
async fn a_customer_who_was_frozen_without_his_balances_gets_no_hold_either() {
    let world = alice_with_cash().await;
    let decided = Decided::by_a_glance(&world).await;
    sqlx::query(
        "UPDATE customers SET state = 'FROZEN', version = version + 1 WHERE customer_id = 'customer-a'",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    assert_conflict(&decided.written().await);
    assert_eq!(world.has("customer-a", "TRY").await, ("1000".to_owned(), "0".to_owned()));
}

/// Seen by a statement that has begun before, and looks at a balance only afterwards.
#[tokio::test]
async fn who_changes_a_customer_changes_all_his_balances() {
    let world = alice_with_cash().await;
    world.deposit("customer-a", "THYAO", "1").await;
    let versions = "SELECT array_agg(version ORDER BY asset) FROM balances WHERE owner = 'customer-a'";
    let before: Vec<i64> = sqlx::query_scalar(versions).fetch_one(&world.pool).await.unwrap();
    world.customer("customer-a", wire::Tier::Standard, wire::CustomerState::Frozen).await;
    let after: Vec<i64> = sqlx::query_scalar(versions).fetch_one(&world.pool).await.unwrap();
    assert_eq!(after, before.iter().map(|version| version + 1).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_customer_whose_tier_changed_after_the_glance_is_charged_the_new_rate() {
    let world = alice_with_cash().await;
    let decided = Decided::by_a_glance(&world).await;
    world.customer("customer-a", wire::Tier::Premium, wire::CustomerState::Active).await;
    assert_conflict(&decided.written().await);
}

#[tokio::test]
async fn a_rate_that_changed_is_noticed_by_a_hold_that_was_decided_by_the_old_one() {
    let world = alice_with_cash().await;
    let decided = Decided::by_a_glance(&world).await;
    world.rate("STANDARD", 777).await;
    assert_conflict(&decided.written().await);
}

/// Whoever mends a row by hand may leave its version alone.
#[tokio::test]
async fn rows_that_were_changed_under_the_same_version_are_noticed_too() {
    for by_hand in [
        "UPDATE customers SET state = 'FROZEN' WHERE customer_id = 'customer-a'",
        "UPDATE customers SET tier = 'VIP' WHERE customer_id = 'customer-a'",
        "UPDATE balances SET available = available - 1 WHERE owner = 'customer-a'",
        "UPDATE balances SET held = held + 1 WHERE owner = 'customer-a'",
    ] {
        let world = alice_with_cash().await;
        let decided = Decided::by_a_glance(&world).await;
        sqlx::query(by_hand).execute(&world.pool).await.unwrap();
        assert_conflict(&decided.written().await);
    }
}

/// What a lane remembers of a customer is no reason to overlook what became of him elsewhere.
#[tokio::test]
async fn what_is_remembered_is_looked_after() {
    for (by_hand, is_right) in [
        ("SELECT 1", true),
        ("UPDATE customers SET state = 'FROZEN' WHERE customer_id = 'customer-a'", false),
        ("UPDATE tiers SET fee_ppm = 777 WHERE tier = 'STANDARD'", false),
        ("UPDATE tiers SET fee_ppm = 777 WHERE tier = 'VIP'", true),
        ("UPDATE balances SET version = version + 1 WHERE owner = 'customer-a'", false),
        ("UPDATE balances SET available = available + 1 WHERE owner = 'customer-a'", false),
    ] {
        let world = alice_with_cash().await;
        let mut first = Decided::by_a_glance(&world).await;
        first.books.events(&mut first.world);
        let Decided { books, mut connection, world: seen, .. } = first;
        books.save_unchanged(&mut connection, &seen, &Verdicts::default()).await.unwrap();
        let mut recollection = Recollection::default();
        books.remember(&mut recollection, seen);

        let command = a_buy(Uuid::now_v7());
        let wishes = [Wish { command: &command, is_undo: false }];
        assert!(books.recall(&mut Recollection::default(), &wishes).is_none());
        let undo = [Wish { command: &command, is_undo: true }];
        assert!(books.recall(&mut recollection, &undo).is_none());
        let mut recalled = books.recall(&mut recollection, &wishes).unwrap();
        let at = At { saga_id: Uuid::now_v7(), step: 1, now: Utc::now() };
        books.execute(&mut recalled, &at, &command).unwrap();
        books.events(&mut recalled);
        sqlx::query(by_hand).execute(&world.pool).await.unwrap();
        let written = books.save_unchanged(&mut connection, &recalled, &Verdicts::default()).await;
        if is_right {
            written.unwrap();
            assert_eq!(world.has("customer-a", "TRY").await, ("980".to_owned(), "20".to_owned()));
        } else {
            assert_conflict(&written);
        }
    }
}

#[tokio::test]
async fn a_balance_that_moved_after_the_glance_is_not_overwritten() {
    let world = alice_with_cash().await;
    let decided = Decided::by_a_glance(&world).await;
    world.deposit("customer-a", "TRY", "5").await;
    assert_conflict(&decided.written().await);
    assert_eq!(world.has("customer-a", "TRY").await, ("1005".to_owned(), "0".to_owned()));
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_hold_that_was_placed_after_the_glance_takes_nothing_twice() {
    let world = alice_with_cash().await;
    let decided = Decided::by_a_glance(&world).await;
    // Another customer's balance pays for it: of what was read, nothing has changed.
    let other =
        wire::PlaceHold { hold_id: decided.hold_id.to_string(), ..buy("customer-b", "THYAO", "1", "10") };
    world.place(&other).await;
    assert_conflict(&decided.written().await);
    assert_eq!(world.has("customer-a", "TRY").await, ("1000".to_owned(), "0".to_owned()));
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_locked_balance_is_not_waited_for() {
    let world = alice_with_cash().await;
    let decided = Decided::by_a_glance(&world).await;
    let mut holder = world.pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM balances WHERE owner = 'customer-a' FOR NO KEY UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    assert_conflict(&decided.written().await);
    holder.rollback().await.unwrap();
    assert_eq!(world.has("customer-a", "TRY").await, ("1000".to_owned(), "0".to_owned()));
}

#[tokio::test]
async fn a_hold_is_released_when_nothing_has_changed() {
    let world = alice_with_cash().await;
    let hold = buy("customer-a", "THYAO", "2", "10");
    world.place(&hold).await;
    Decided::to_release(&world, &hold).await.written().await.unwrap();
    assert_eq!(world.has("customer-a", "TRY").await, ("1000".to_owned(), "0".to_owned()));
}

#[tokio::test]
async fn a_hold_that_was_filled_after_the_glance_is_not_released_whole() {
    let world = alice_with_cash().await;
    world.deposit("customer-b", "THYAO", "5").await;
    let (hold, other) = (buy("customer-a", "THYAO", "2", "10"), sell("customer-b", "THYAO", "1", "10"));
    world.place(&hold).await;
    world.place(&other).await;
    let decided = Decided::to_release(&world, &hold).await;
    world.settle(&trade(&hold, &other, "1", "10")).await;
    assert_conflict(&decided.written().await);
    assert_eq!(world.has("customer-a", "TRY").await, ("980".to_owned(), "10".to_owned()));
    audit(&world.pool).await;
}

#[tokio::test]
async fn a_hold_that_was_released_after_the_glance_gives_nothing_back_twice() {
    let world = alice_with_cash().await;
    let hold = buy("customer-a", "THYAO", "2", "10");
    world.place(&hold).await;
    let decided = Decided::to_release(&world, &hold).await;
    Decided::to_release(&world, &hold).await.written().await.unwrap();
    // Whatever becomes of the balance meanwhile.
    let rewind = "UPDATE balances SET version = version - 1 WHERE owner = 'customer-a' AND asset = 'TRY'";
    sqlx::query(rewind).execute(&world.pool).await.unwrap();
    assert_conflict(&decided.written().await);
    assert_eq!(world.has("customer-a", "TRY").await, ("1000".to_owned(), "0".to_owned()));
}

/// The long way locks holds first and balances then. So does the short way, or the two could wait for each other.
#[tokio::test]
async fn who_waits_for_a_hold_has_no_balance_locked() {
    let world = alice_with_cash().await;
    let hold = buy("customer-a", "THYAO", "2", "10");
    world.place(&hold).await;
    let decided = Decided::to_release(&world, &hold).await;
    let mut long = world.pool.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM holds FOR NO KEY UPDATE").execute(&mut *long).await.unwrap();
    let long_way = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&world.pool).await.unwrap() == 0 {}
        let locked =
            sqlx::query("SELECT 1 FROM balances WHERE owner = 'customer-a' FOR NO KEY UPDATE NOWAIT")
                .fetch_all(&mut *long)
                .await;
        assert!(!locked.unwrap().is_empty());
        long.rollback().await.unwrap();
    };
    let (written, ()) = tokio::join!(decided.written(), long_way);
    written.unwrap();
    assert_eq!(world.has("customer-a", "TRY").await, ("1000".to_owned(), "0".to_owned()));
}

#[tokio::test]
async fn the_short_way_looks_everything_up_by_key_even_on_empty_tables() {
    let migrator = service_kit::database::migrator(&asset_svc::migrations());
    let database = dev_cluster::test_database(migrator).await.unwrap();
    let mut settings = service_kit::settings::Settings::dev().database;
    settings.url.clone_from(&database.url);
    let mut lane = service_kit::database::connect_lane(&settings, "plans").await.unwrap();
    let is_of_the_short_way = |sql: &str| sql.contains("all_or_nothing(") || sql.contains("FROM glimpse");
    let crate_dir = env!("CARGO_MANIFEST_DIR");
    let plans = dev_cluster::plans(&mut lane, crate_dir, is_of_the_short_way).await.unwrap();
    assert_eq!(plans.len(), 5, "a glance, and four forms of the write");
    for (statement, plan) in plans {
        assert!(!plan.contains("Seq Scan"), "{plan}");
        assert!(plan.contains("balances_pkey") && plan.contains("Index Cond: ((owner = "), "{plan}");
        assert!(statement.contains("FROM glimpse") || plan.contains("Tid Scan on balances"), "{plan}");
    }
}
