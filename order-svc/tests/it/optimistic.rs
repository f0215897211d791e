//! What may happen between the glance at orders and instruments and the statement that drafts, opens or cancels.

use brokerage_proto::common::v1::{Side, Verdict};
use brokerage_proto::order::v1 as proto;
use chrono::{TimeDelta, Utc};
use order_svc::domain::Terms;
use order_svc::domain::command::{BeginCancel, Command, ConfirmCancel, Open};
use order_svc::store::books::OrderBooks;
use order_svc::store::world::World;
use service_kit::executor::{Asked, At, Books, Key, SaveError, Unread, Verdicts, Wish};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fixture::{Server, Step, draft, verdict, xyz};

/// A command that is decided, and not written yet.
struct Decided {
    connection: PgConnection,
    world: World,
}

impl Decided {
    async fn by_a_glance(server: &Server, saga_id: Uuid, command: &Command) -> Self {
        let mut connection = server.connection().await;
        let asked = Asked::of([Key { saga_id, step: 0 }]);
        let wishes = [Wish { command, is_undo: false }];
        let (glimpse, mut world) =
            OrderBooks.glance(&mut connection, &asked, &wishes).await.unwrap().unwrap();
        let at = At { saga_id, step: 0, now: glimpse.now };
        OrderBooks.execute(&mut world, &at, command).unwrap();
        Self { connection, world }
    }

    async fn draft(server: &Server, draft: &proto::Draft) -> Self {
        let terms = Terms {
            order_id: draft.order_id.parse().unwrap(),
            customer: draft.customer_id.parse().unwrap(),
            client_order_id: draft.client_order_id.parse().unwrap(),
            instrument: draft.instrument.parse().unwrap(),
            side: brokerage_types::Side::Buy,
            limit_price: draft.limit_price.parse().unwrap(),
            qty: draft.quantity.parse().unwrap(),
            created_by: draft.created_by.parse().unwrap(),
        };
        Self::by_a_glance(server, draft.order_id.parse().unwrap(), &Command::Draft(terms)).await
    }

    async fn open(server: &Server, draft: &proto::Draft) -> Self {
        let order_id = draft.order_id.parse().unwrap();
        let open = Open { order_id, instrument: draft.instrument.parse().unwrap() };
        Self::by_a_glance(server, draft.order_id.parse().unwrap(), &Command::Open(open)).await
    }

    async fn begin_cancel(server: &Server, order: &proto::Draft) -> Self {
        let begin = BeginCancel {
            order_id: order.order_id.parse().unwrap(),
            requested_by: "customer-a".parse().unwrap(),
        };
        Self::by_a_glance(server, Uuid::now_v7(), &Command::BeginCancel(begin)).await
    }

    async fn confirm_cancel(server: &Server, order: &proto::Draft) -> Self {
        let confirm = ConfirmCancel { order_id: order.order_id.parse().unwrap() };
        Self::by_a_glance(server, Uuid::now_v7(), &Command::ConfirmCancel(confirm)).await
    }

    async fn written(self) -> Result<(), SaveError> {
        self.written_with(Verdicts::default()).await
    }

    async fn written_with(mut self, verdicts: Verdicts) -> Result<(), SaveError> {
        OrderBooks.events(&mut self.world);
        OrderBooks.save_unchanged(&mut self.connection, &self.world, &verdicts).await
    }

    /// It finds that something has changed, and leaves no trace.
    async fn conflicts(self, server: &Server) {
        let before = server.everything().await;
        let written = self.written().await;
        assert!(matches!(written, Err(SaveError::Conflict)), "{written:?}");
        assert_eq!(server.everything().await, before);
    }
}

#[tokio::test]
async fn drafts_and_opens_are_written_when_nothing_has_changed() {
    let server = Server::with_xyz().await;
    let order = draft("customer-a", Side::Buy, "10");
    Decided::draft(&server, &order).await.written().await.unwrap();
    assert_eq!(server.status(&order.order_id).await, proto::OrderStatus::Init);
    Decided::open(&server, &order).await.written().await.unwrap();
    assert_eq!(server.status(&order.order_id).await, proto::OrderStatus::Pending);
}

#[tokio::test]
async fn an_order_or_a_label_that_came_after_the_glance_is_not_drafted_again() {
    let server = Server::with_xyz().await;
    let order = draft("customer-a", Side::Buy, "10");
    let decided = Decided::draft(&server, &order).await;
    server.done(&Step::draft(&proto::Draft { customer_id: "customer-b".to_owned(), ..order.clone() })).await;
    decided.conflicts(&server).await;

    let order = draft("customer-a", Side::Buy, "10");
    let decided = Decided::draft(&server, &order).await;
    let same_label = proto::Draft {
        client_order_id: order.client_order_id.clone(),
        ..draft("customer-a", Side::Sell, "7")
    };
    server.done(&Step::draft(&same_label)).await;
    decided.conflicts(&server).await;
}

#[tokio::test]
async fn an_instrument_that_was_halted_after_the_glance_opens_nothing() {
    let server = Server::with_xyz().await;
    let order = server.drafted("customer-a", Side::Buy, "10").await;
    let decided = Decided::open(&server, &order).await;
    server.upsert(proto::Instrument { state: proto::InstrumentState::Halted.into(), ..xyz() }).await;
    decided.conflicts(&server).await;
}

#[tokio::test]
async fn an_instrument_that_was_halted_after_the_glance_drafts_nothing() {
    let server = Server::with_xyz().await;
    let decided = Decided::draft(&server, &draft("customer-a", Side::Buy, "10")).await;
    server.upsert(proto::Instrument { state: proto::InstrumentState::Halted.into(), ..xyz() }).await;
    decided.conflicts(&server).await;
}

#[tokio::test]
async fn a_process_that_remembers_an_open_market_notices_that_another_has_halted_it() {
    let server = Server::with_xyz().await;
    let other = server.replica().await;
    let order = server.drafted("customer-a", Side::Buy, "10").await;
    let early = server.drafted("customer-a", Side::Buy, "10").await;
    other.upsert(proto::Instrument { state: proto::InstrumentState::Halted.into(), ..xyz() }).await;
    assert_eq!(server.refused(&Step::open(&order)).await, "MARKET_HALTED");
    other.done(&Step::draft(&draft("customer-b", Side::Buy, "10"))).await;
    assert_eq!(
        verdict(&other.step(&Step::begin_cancel(Uuid::now_v7(), &early.order_id)).await),
        Verdict::Done
    );
    assert_ne!(verdict(&server.step(&Step::open(&early)).await), Verdict::Done);
    server.audit().await;
}

#[tokio::test]
async fn what_was_not_looked_up_is_looked_after_when_it_is_written() {
    let server = Server::with_xyz().await;
    let known = server.drafted("customer-a", Side::Buy, "1").await;
    let known: Uuid = known.order_id.parse().unwrap();
    let (past, future) = (Utc::now() - TimeDelta::seconds(1), Utc::now() + TimeDelta::seconds(60));
    // Its draft came with epoch 1.
    for (saga, epoch, not_after, is_right) in [
        (known, 1, Some(future), true),
        (known, 0, None, false),
        (Uuid::now_v7(), 0, None, true),
        (known, 1, Some(past), false),
    ] {
        let decided = Decided::draft(&server, &draft("customer-a", Side::Buy, "10")).await;
        let (sagas, epochs) = (vec![saga], vec![epoch]);
        let unread = Unread { sagas, epochs, first: saga, last: saga, not_after };
        let written = decided.written_with(Verdicts { unread, ..Verdicts::default() }).await;
        assert_eq!(written.is_ok(), is_right, "{epoch}, {not_after:?}: {written:?}");
    }
}

#[tokio::test]
async fn a_priority_is_given_once() {
    let server = Server::with_xyz().await;
    let order = server.drafted("customer-a", Side::Buy, "10").await;
    let decided = Decided::open(&server, &order).await;
    server.opened("customer-b", Side::Buy, "1").await;
    decided.conflicts(&server).await;
    server.done(&Step::open(&order)).await;
    server.audit().await;
}

#[tokio::test]
async fn an_order_that_changed_after_the_glance_is_not_opened() {
    let server = Server::with_xyz().await;
    let order = server.drafted("customer-a", Side::Buy, "10").await;
    let decided = Decided::open(&server, &order).await;
    let asked = server.step(&Step::begin_cancel(Uuid::now_v7(), &order.order_id)).await;
    assert_eq!(verdict(&asked), Verdict::Done, "{asked:?}");
    decided.conflicts(&server).await;
}

#[tokio::test]
async fn cancels_are_written_when_nothing_has_changed() {
    let server = Server::with_xyz().await;
    let order = server.opened("customer-a", Side::Buy, "10").await;
    Decided::begin_cancel(&server, &order).await.written().await.unwrap();
    assert_eq!(server.status(&order.order_id).await, proto::OrderStatus::CancelRequested);
    Decided::confirm_cancel(&server, &order).await.written().await.unwrap();
    assert_eq!(server.status(&order.order_id).await, proto::OrderStatus::Canceled);
    assert_eq!(server.order(&order.order_id).await.canceled_quantity, "10");
}

#[tokio::test]
async fn a_cancel_is_kept_that_came_in_the_batch_of_its_draft() {
    let server = Server::with_xyz().await;
    let order = draft("customer-a", Side::Buy, "10");
    let order_id = order.order_id.parse().unwrap();
    let mut decided = Decided::draft(&server, &order).await;
    let saga_id = Uuid::now_v7();
    let begin = Command::BeginCancel(BeginCancel { order_id, requested_by: "customer-a".parse().unwrap() });
    let at = At { saga_id, step: 0, now: chrono::Utc::now() };
    OrderBooks.execute(&mut decided.world, &at, &begin).unwrap();
    decided.written().await.unwrap();
    let kept = "SELECT cancel_saga FROM orders WHERE order_id = $1";
    let mut connection = server.connection().await;
    let kept: Option<Uuid> =
        sqlx::query_scalar(kept).bind(order_id.uuid()).fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, Some(saga_id));
}

#[tokio::test]
async fn an_order_that_was_reserved_after_the_glance_is_not_cancelled_under_the_match() {
    let server = Server::with_xyz().await;
    let (buy, sell) = server.a_crossing_pair().await;
    let decided = Decided::begin_cancel(&server, &buy).await;
    server.done(&Step::reserve(&buy, &sell, "1")).await;
    decided.conflicts(&server).await;
}

#[tokio::test]
async fn a_row_that_is_locked_is_not_waited_for() {
    let server = Server::with_xyz().await;
    let order = server.drafted("customer-a", Side::Buy, "10").await;
    for table in ["orders", "instruments"] {
        let decided = Decided::open(&server, &order).await;
        let mut holder = server.connection().await;
        let lock = format!("BEGIN; SELECT 1 FROM {table} FOR NO KEY UPDATE");
        sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut holder).await.unwrap();
        decided.conflicts(&server).await;
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    }
}

/// That a draft is done.
fn drafted(saga_id: Uuid) -> Verdicts {
    Verdicts {
        sagas: vec![saga_id],
        steps: vec![0],
        verdicts: vec![1],
        reasons: vec![None],
        details: vec![String::new()],
        hashes: vec![vec![7; 32]],
        epochs: vec![1],
        commands: vec!["Draft"],
        effects: vec![serde_json::Value::Null],
        answers: vec![Vec::new()],
        intents: vec![None],
        traces: vec![None],
        ..Verdicts::default()
    }
}

#[tokio::test]
async fn a_draft_that_waits_for_an_order_has_no_verdict_yet() {
    let server = Server::with_xyz().await;
    server.drafted("customer-b", Side::Buy, "1").await;
    let order = draft("customer-a", Side::Buy, "10");
    let saga_id: Uuid = order.order_id.parse().unwrap();
    let decided = Decided::draft(&server, &order).await;
    // The long way writes rows first, and verdicts last.
    let mut long = server.connection().await;
    sqlx::raw_sql("BEGIN").execute(&mut long).await.unwrap();
    let same_order = "INSERT INTO orders
        SELECT (jsonb_populate_record(o, jsonb_build_object('order_id', $1, 'client_order_id', $1))).*
        FROM orders o LIMIT 1";
    sqlx::query(same_order).bind(saga_id).execute(&mut long).await.unwrap();
    let mut watcher = server.connection().await;
    let long_way = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watcher).await.unwrap() == 0 {}
        let same_verdict =
            "INSERT INTO inbox (saga_id, step, verdict, detail, request_hash, epoch, command, effect, answer)
            VALUES ($1, 0, 1, '', '', 1, 'Draft', 'null', '')";
        sqlx::query(same_verdict).bind(saga_id).execute(&mut long).await.unwrap();
        sqlx::raw_sql("COMMIT").execute(&mut long).await.unwrap();
    };
    let (written, ()) = tokio::join!(decided.written_with(drafted(saga_id)), long_way);
    assert!(matches!(written, Err(SaveError::Conflict)), "{written:?}");
}
