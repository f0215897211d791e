//! What may happen between the glance at orders and instruments and the statement that drafts or opens.

use brokerage_proto::common::v1::{Side, Verdict};
use brokerage_proto::order::v1 as proto;
use order_svc::domain::Terms;
use order_svc::domain::command::{Command, Open};
use order_svc::store::books::OrderBooks;
use order_svc::store::world::World;
use service_kit::executor::{At, Books, Sagas, SaveError, Verdicts};
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
        let glanced = OrderBooks.glance(&mut connection, &Sagas::of([saga_id]), &[command]).await.unwrap();
        let (glimpse, mut world) = glanced.unwrap();
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

    async fn written(mut self) -> Result<(), SaveError> {
        OrderBooks.events(&mut self.world);
        OrderBooks.save_unchanged(&mut self.connection, self.world, Verdicts::default()).await
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
