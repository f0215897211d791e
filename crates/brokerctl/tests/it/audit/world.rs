//! Three databases with a few orders and their money, consistent to the last unit, written row by row.
//!
//! | order | what                       | ends                                      |
//! |-------|----------------------------|-------------------------------------------|
//! | 1     | alice buys 10 at 100       | 4 filled at 99 by trade 101               |
//! | 2     | bob sells 4 at 99          | filled by trade 101                       |
//! | 3     | alice buys 1 at 50         | canceled by saga 201                      |
//! | 4     | bob sells 5 at 120         | open                                      |
//! | 5     | alice buys 1000 at 100     | rejected: not enough                      |
//!
//! With sagas in flight, these too:
//!
//! | order | what                       | ends                                      |
//! |-------|----------------------------|-------------------------------------------|
//! | 6     | bob sells 6 at 99          | 2 reserved and settled at 99 by trade 102 |
//! | 7     | alice buys 1 at 50         | held, not opened yet                      |
//! | 8     | alice buys 1 at 50         | released by saga 202, not canceled yet    |
//!
//! Commission is 0.15 %, in whole kuruş.

use asset_svc::store::Journal;
use brokerage_types::{Reason, Side};
use brokerctl::audit::{Anchor, Demands, Report, Urls, heads, verify_against};
use dev_cluster::{TestDatabase, test_database};
use order_svc::domain::{Change, Status};
use saga_orchestrator::store::OperatorTrail;
use service_kit::database::migrator;
use service_kit::seal::seal_waiting;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::money::{Book, Deal, Placed};
use super::orders::{History, filled, terms};

/// Status of a saga that has completed.
pub const COMPLETED: i16 = 3;
const ROLLED_BACK: i16 = 4;
const RUNNING: i16 = 1;

pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Which of the three databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Db {
    Order,
    Asset,
    Sagas,
}

pub struct World {
    order: TestDatabase,
    asset: TestDatabase,
    sagas: TestDatabase,
}

impl World {
    /// Everything has ended or rests.
    pub async fn at_rest() -> Self {
        Self::new(false).await
    }

    /// The same, and three sagas in the middle of their work.
    pub async fn with_sagas_in_flight() -> Self {
        Self::new(true).await
    }

    async fn new(in_flight: bool) -> Self {
        let (order, asset, sagas) = tokio::join!(
            test_database(migrator(&order_svc::migrations())),
            test_database(migrator(&asset_svc::migrations())),
            test_database(migrator(&saga_orchestrator::migrations())),
        );
        let world = Self { order: order.unwrap(), asset: asset.unwrap(), sagas: sagas.unwrap() };
        world.write_orders(in_flight).await;
        world.write_money(in_flight).await;
        world.write_sagas(in_flight).await;
        world.seal().await;
        world
    }

    pub async fn audit(&self) -> Report {
        self.audit_against(Vec::new()).await
    }

    pub async fn audit_against(&self, anchors: Vec<Anchor>) -> Report {
        let demands = Demands { anchors, ..Demands::default() };
        verify_against(&self.urls(), &demands).await.unwrap()
    }

    /// The end of the ledger, as an operator would write it down.
    pub async fn anchor(&self) -> Anchor {
        let head = heads(&self.urls()).await.unwrap().remove(0);
        Anchor { chain: head.chain, book_seq: head.book_seq, hash: head.hash.parse().unwrap() }
    }

    fn urls(&self) -> Urls {
        Urls {
            order: self.order.url.clone(),
            asset: self.asset.url.clone(),
            orchestrator: self.sagas.url.clone(),
        }
    }

    /// What the sealers do.
    pub async fn seal(&self) {
        seal_waiting::<Journal>(&mut self.connect(Db::Asset).await).await.unwrap();
        seal_waiting::<OperatorTrail>(&mut self.connect(Db::Sagas).await).await.unwrap();
    }

    /// Seals everything anew, as somebody would who wants to hide what he changed.
    pub async fn forge_seals(&self) {
        let forget = "UPDATE ledger_tx SET book_seq = NULL, prev_hash = NULL, hash = NULL;
                      UPDATE seal_heads SET book_seq = 0, hash = decode(repeat('00', 32), 'hex')";
        self.damage(Db::Asset, forget).await;
        self.seal().await;
    }

    /// Runs statements past every trigger.
    pub async fn damage(&self, database: Db, sql: &str) {
        let mut connection = self.connect(database).await;
        let sql = format!("SET session_replication_role = replica; {sql}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    }

    async fn connect(&self, database: Db) -> PgConnection {
        let database = match database {
            Db::Order => &self.order,
            Db::Asset => &self.asset,
            Db::Sagas => &self.sagas,
        };
        PgConnection::connect(&database.url).await.unwrap()
    }

    async fn write_orders(&self, in_flight: bool) {
        let mut db = self.connect(Db::Order).await;
        let accepted = if in_flight { 6 } else { 4 };
        super::orders::instrument(&mut db, accepted, 1).await;
        let mut first = History::opened(terms(1, "alice", Side::Buy, "100", "10"), 1);
        first.all([filled::reserved(101, "4", "99"), filled::partly(101, "4", "99")]);
        if in_flight {
            first.all([filled::reserved(102, "2", "99")]);
        }
        let mut second = History::opened(terms(2, "bob", Side::Sell, "99", "4"), 2);
        second.all([filled::reserved(101, "4", "99"), filled::wholly(101, "4", "99")]);
        let mut third = History::opened(terms(3, "alice", Side::Buy, "50", "1"), 3);
        third.cancel_asked(201, Status::Pending);
        third.all([Change::OrderCanceled { reason: Reason::CancelAsked }]);
        let fourth = History::opened(terms(4, "bob", Side::Sell, "120", "5"), 4);
        let mut fifth = History::drafted(terms(5, "alice", Side::Buy, "100", "1000"));
        fifth.all([Change::OrderRejected { reason: Reason::InsufficientUsable, terms: None }]);
        let mut histories = vec![first, second, third, fourth, fifth];
        if in_flight {
            let mut sixth = History::opened(terms(6, "bob", Side::Sell, "99", "6"), 5);
            sixth.all([filled::reserved(102, "2", "99")]);
            let seventh = History::drafted(terms(7, "alice", Side::Buy, "50", "1"));
            let mut eighth = History::opened(terms(8, "alice", Side::Buy, "50", "1"), 6);
            eighth.cancel_asked(202, Status::Pending);
            histories.extend([sixth, seventh, eighth]);
        }
        for history in histories {
            history.write(&mut db).await;
        }
        super::orders::matched(&mut db, 101, "APPLIED", (1, 2), "4").await;
        super::orders::trade(&mut db, 101, "4", "99").await;
        if in_flight {
            super::orders::matched(&mut db, 102, "RESERVED", (1, 6), "2").await;
        }
    }

    async fn write_money(&self, in_flight: bool) {
        let mut book = Book::open(self.connect(Db::Asset).await).await;
        book.post(301, "DEPOSIT", &[("external", "TRY", 7, "-10000"), ("alice", "TRY", 1, "10000")]).await;
        book.post(302, "DEPOSIT", &[("external", "XYZ", 7, "-100"), ("bob", "XYZ", 1, "100")]).await;
        book.post(303, "WITHDRAW", &[("alice", "TRY", 1, "-500"), ("external", "TRY", 7, "500")]).await;
        let buy = |order, limit, quantity, placed| Placed {
            order,
            customer: "alice",
            side: Side::Buy,
            limit,
            quantity,
            placed,
        };
        let sell = |order, limit, quantity| Placed {
            order,
            customer: "bob",
            side: Side::Sell,
            limit,
            quantity,
            placed: quantity,
        };
        book.place(buy(1, "100", "10", "1001.5")).await;
        book.place(sell(2, "99", "4")).await;
        book.place(buy(3, "50", "1", "50.08")).await;
        book.place(sell(4, "120", "5")).await;
        // 396 and its commission of 0.59; 4.00 less is needed than was held.
        let deal =
            Deal { trade: 101, orders: (1, 2), quantity: "4", notional: "396", fees: ("0.59", "0.59") };
        book.settle(deal, "4").await;
        book.release(3, "50.08").await;
        if in_flight {
            book.place(sell(6, "99", "6")).await;
            book.place(buy(7, "50", "1", "50.08")).await;
            book.place(buy(8, "50", "1", "50.08")).await;
            let deal =
                Deal { trade: 102, orders: (1, 6), quantity: "2", notional: "198", fees: ("0.3", "0.3") };
            book.settle(deal, "2").await;
            book.release(8, "50.08").await;
        }
    }

    async fn write_sagas(&self, in_flight: bool) {
        let mut db = self.connect(Db::Sagas).await;
        for order in 1..=4 {
            saga(&mut db, "create_order", order, COMPLETED, None).await;
        }
        saga(&mut db, "create_order", 5, ROLLED_BACK, None).await;
        saga(&mut db, "match_orders", 101, COMPLETED, Some(1)).await;
        saga(&mut db, "cancel_order", 201, COMPLETED, Some(3)).await;
        if in_flight {
            saga(&mut db, "create_order", 6, COMPLETED, None).await;
            saga(&mut db, "create_order", 7, RUNNING, None).await;
            saga(&mut db, "create_order", 8, COMPLETED, None).await;
            saga(&mut db, "match_orders", 102, RUNNING, Some(1)).await;
            saga(&mut db, "cancel_order", 202, RUNNING, Some(8)).await;
        }
    }
}

async fn saga(db: &mut PgConnection, kind: &str, number: u128, status: i16, order: Option<u128>) {
    sqlx::query(
        "INSERT INTO sagas (saga_id, kind, version, status, caller, request_id, request_hash, input, order_id, owner,
             reason, ended_at)
         VALUES ($1, $2, 1, $3, 'test', $1, '', '{}', $4, $1, CASE WHEN $3 = 4 THEN 'INSUFFICIENT_USABLE' END,
             CASE WHEN $3 IN (3, 4) THEN clock_timestamp() END)",
    )
    .bind(id(number))
    .bind(kind)
    .bind(status)
    .bind(order.map(id))
    .execute(db)
    .await
    .unwrap();
}
