//! The cost contract: what one saga takes in statements, round trips, bytes of WAL and calls may not grow unnoticed.
//!
//! Counted on a real mesh with a server of its own, so that whatever else is tested meanwhile is not in the figures.
//! One saga at a time is exact: of several, the one is taken that no background task happened to fall into (the least
//! statements and calls; of the WAL the median, because a page is split now and then). Many at once are not exact, but
//! what they share must show: each may take half of the statements, and three quarters of the calls.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use brokerage_proto::common::v1::Side;
use brokerage_proto::trading::v1::{CancelOrderRequest, MatchOrdersRequest};
use brokerctl::api::Api;
use brokerctl::dev::{ADMIN_TOKEN, Mesh, MeshOptions};
use dev_cluster::{Cluster, ClusterOptions};
use futures::future::join_all;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::client::order;
use crate::sample::median;
use crate::{calls, preload, profile, statements};

/// Sagas one at a time, of each kind.
const ALONE: usize = 9;
/// Sagas at once, and how often.
const TOGETHER: u32 = 16;
const TIMES: usize = 3;
const CUSTOMERS: u32 = 40;
/// A slow machine is no reason to give sagas up.
const UNHURRIED: f64 = 4.0;
/// What the WAL may vary by: numbers are not all of the same length.
const WAL_MARGIN: f64 = 1.15;
const TABLE: &str = include_str!("../costs.txt");
/// Names the variable that makes the test write the table instead.
const UPDATE: &str = "UPDATE_COSTS";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Create,
    Match,
    Cancel,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Create, Kind::Match, Kind::Cancel];

    fn as_str(self) -> &'static str {
        match self {
            Kind::Create => "create",
            Kind::Match => "match",
            Kind::Cancel => "cancel",
        }
    }

    fn method(self) -> &'static str {
        match self {
            Kind::Create => "CreateOrder",
            Kind::Match => "MatchOrders",
            Kind::Cancel => "CancelOrder",
        }
    }
}

/// What sagas have taken.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Taken {
    /// Without those that begin and end transactions.
    statements: f64,
    /// To Postgres.
    round_trips: f64,
    wal_bytes: f64,
    /// Answered by the three services, the client's own included.
    calls: f64,
}

impl Taken {
    fn least(samples: &[Self]) -> Self {
        let least = |of: fn(&Self) -> f64| samples.iter().map(of).fold(f64::INFINITY, f64::min);
        Self {
            statements: least(|taken| taken.statements),
            round_trips: least(|taken| taken.round_trips),
            wal_bytes: median(samples.iter().map(|taken| taken.wal_bytes).collect()),
            calls: least(|taken| taken.calls),
        }
    }

    fn each(self, sagas: u32) -> Self {
        let sagas = f64::from(sagas);
        Self {
            statements: self.statements / sagas,
            round_trips: self.round_trips / sagas,
            wal_bytes: self.wal_bytes / sagas,
            calls: self.calls / sagas,
        }
    }

    fn figures(self) -> [(&'static str, f64); 4] {
        [
            ("statements", self.statements),
            ("round trips", self.round_trips),
            ("bytes of WAL", self.wal_bytes),
            ("calls", self.calls),
        ]
    }
}

/// The mesh, and the server that counts.
struct Rig {
    api: Api,
    admin: PgConnection,
    sagas: PgConnection,
    databases: Vec<String>,
    mesh: Mesh,
    _cluster: Cluster,
}

impl Rig {
    async fn start() -> Self {
        let mut cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
        statements::enable(&mut cluster).await.unwrap();
        let options = MeshOptions {
            postgres_url: Some(cluster.url("postgres")),
            redis: false,
            seed: false,
            time_scale: UNHURRIED,
            log: "error".to_owned(),
            ..MeshOptions::default()
        };
        let mesh = Mesh::start(options).await.unwrap();
        preload::fill_mesh(&mesh, CUSTOMERS).await.unwrap();
        let api = Api::new(&mesh.public_uri(), ADMIN_TOKEN).unwrap();
        let admin = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
        let sagas = PgConnection::connect(&mesh.database_urls().orchestrator).await.unwrap();
        let databases = profile::databases(&mesh).unwrap();
        Self { api, admin, sagas, databases, mesh, _cluster: cluster }
    }

    /// An order of each side, by two customers.
    async fn orders(&self, number: u32) -> [String; 2] {
        let mut trading = self.api.trading.clone();
        let mut ids = [String::new(), String::new()];
        for (id, (who, side)) in ids.iter_mut().zip([(0, Side::Buy), (1, Side::Sell)]) {
            let who = (2 * number + who) % CUSTOMERS;
            *id = trading.create_order(order(who, side)).await.unwrap().into_inner().order_id;
        }
        ids
    }

    async fn run(&self, kind: Kind, number: u32, [buy_order_id, sell_order_id]: [String; 2]) {
        let mut trading = self.api.trading.clone();
        let request_id = Uuid::new_v4().to_string();
        match kind {
            Kind::Create => drop(trading.create_order(order(number % CUSTOMERS, Side::Buy)).await.unwrap()),
            Kind::Match => {
                let request = MatchOrdersRequest {
                    request_id,
                    buy_order_id,
                    sell_order_id,
                    ..MatchOrdersRequest::default()
                };
                drop(trading.match_orders(request).await.unwrap());
            }
            Kind::Cancel => {
                let request = CancelOrderRequest {
                    request_id,
                    order_id: buy_order_id,
                    ..CancelOrderRequest::default()
                };
                drop(trading.cancel_order(request).await.unwrap());
            }
        }
    }

    /// Until every saga has its terminal mark.
    async fn settle(&mut self) {
        loop {
            let left: i64 =
                sqlx::query_scalar("/* bench */ SELECT count(*) FROM sagas WHERE ended_at IS NULL")
                    .fetch_one(&mut self.sagas)
                    .await
                    .unwrap();
            if left == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn alone(&mut self, kind: Kind) -> Taken {
        let mut samples = Vec::new();
        for number in 0..u32::try_from(ALONE).unwrap() {
            let orders = self.orders(number).await;
            self.settle().await;
            let before = self.so_far().await;
            self.run(kind, number, orders).await;
            self.settle().await;
            samples.push(self.since(&before).await);
        }
        Taken::least(&samples)
    }

    /// Everybody's intent is held back until all have asked, so that what can be shared is.
    async fn together(&mut self, kind: Kind) -> Taken {
        let mut samples = Vec::new();
        for _ in 0..TIMES {
            let orders = join_all((0..TOGETHER).map(|number| self.orders(number))).await;
            self.settle().await;
            let before = self.so_far().await;
            let url = self.mesh.database_urls().orchestrator.clone();
            let mut gate = PgConnection::connect(&url).await.unwrap();
            for sql in ["/* bench */ BEGIN", "/* bench */ LOCK TABLE sagas IN EXCLUSIVE MODE"] {
                sqlx::raw_sql(sql).execute(&mut gate).await.unwrap();
            }
            let asked = (0..TOGETHER).zip(orders).map(|(number, orders)| self.run(kind, number, orders));
            let opened = async {
                while calls::under_way(&self.mesh, kind.method()).await.unwrap() < f64::from(TOGETHER) {
                    tokio::task::yield_now().await;
                }
                gate.close().await.unwrap();
            };
            tokio::join!(join_all(asked), opened);
            self.settle().await;
            samples.push(self.since(&before).await);
        }
        Taken::least(&samples).each(TOGETHER)
    }

    async fn so_far(&mut self) -> (statements::Statements, calls::Calls) {
        let statements = statements::read(&mut self.admin, &self.databases).await.unwrap();
        (statements, calls::read(&self.mesh).await.unwrap())
    }

    async fn since(&mut self, before: &(statements::Statements, calls::Calls)) -> Taken {
        let now = self.so_far().await;
        let mut taken = Taken::default();
        for ((_, query), cost) in statements::between(&before.0, &now.0) {
            // Read twice a second at most, whatever the number of sagas.
            if query.contains("SELECT definition") {
                continue;
            }
            taken.round_trips += cost.calls;
            taken.wal_bytes += cost.wal_bytes;
            if !["BEGIN", "COMMIT", "ROLLBACK"].contains(&query.as_str()) {
                taken.statements += cost.calls;
            }
        }
        let calls = calls::between(&before.1, &now.1);
        let counted = calls.iter().filter(|(method, _)| !method.ends_with("/GetInstrumentTerms"));
        taken.calls = counted.map(|(_, answered)| answered.count).sum();
        taken
    }
}

/// `kind statements round-trips wal-bytes calls`, one kind a line.
fn noted() -> BTreeMap<String, [f64; 4]> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let (kind, figures) = line.split_once(' ').unwrap();
            let figures: Vec<f64> =
                figures.split_whitespace().map(|figure| figure.parse().unwrap()).collect();
            (kind.to_owned(), figures.try_into().unwrap())
        })
        .collect()
}

fn table(all: &BTreeMap<Kind, Taken>) -> String {
    let comments = TABLE.lines().filter(|line| line.starts_with('#'));
    let mut text: String = comments.flat_map(|line| [line, "\n"]).collect();
    for (kind, taken) in all {
        write!(text, "{}", kind.as_str()).unwrap();
        for (_, figure) in taken.figures() {
            write!(text, " {figure:.0}").unwrap();
        }
        text.push('\n');
    }
    text
}

/// How much of what it takes alone a saga may take among others. Reads and the client's own call are not shared.
fn part_at_once(figure: &str) -> f64 {
    match figure {
        // Pages are split and cleaned by whoever comes by.
        "bytes of WAL" => 1.5,
        "calls" => 0.75,
        _statements => 0.5,
    }
}

/// What has grown, in words.
fn grown(kind: Kind, taken: Taken, noted: [f64; 4]) -> Vec<String> {
    let figures = taken.figures().into_iter().zip(noted);
    let figures = figures.map(|((name, figure), noted)| {
        let most = if name == "bytes of WAL" { noted * WAL_MARGIN } else { noted };
        (name, figure, noted, most)
    });
    let grown = figures.filter(|(_, figure, _, most)| figure > most);
    grown
        .map(|(name, figure, noted, _)| {
            format!("a {} takes {figure:.0} {name}, not {noted:.0}", kind.as_str())
        })
        .collect()
}

#[tokio::test]
async fn a_saga_costs_what_the_table_says() {
    let mut rig = Rig::start().await;
    let mut all = BTreeMap::new();
    let mut wrong = Vec::new();
    for kind in Kind::ALL {
        let alone = rig.alone(kind).await;
        let together = rig.together(kind).await;
        println!("{kind:?}: alone {alone:?}, each of {TOGETHER} at once {together:?}");
        for ((name, alone), (_, together)) in alone.figures().into_iter().zip(together.figures()) {
            let most = alone * part_at_once(name);
            if together > most {
                let kind = kind.as_str();
                wrong.push(format!(
                    "each {kind} of {TOGETHER} at once takes {together:.2} {name}, alone {alone:.0}"
                ));
            }
        }
        all.insert(kind, alone);
    }
    rig.mesh.stop().await.unwrap();
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("costs.txt"), table(&all)).unwrap();
    } else {
        let noted = noted();
        for (kind, taken) in &all {
            wrong.extend(grown(*kind, *taken, noted[kind.as_str()]));
        }
    }
    assert!(
        wrong.is_empty(),
        "sagas cost more than crates/bench/costs.txt says:\n  {}\nIf that is meant, run this test with {UPDATE}=1, and \
         say in the commit why. The table would be:\n{}",
        wrong.join("\n  "),
        table(&all)
    );
}

#[test]
fn only_what_grows_is_wrong() {
    let noted = [4.0, 8.0, 1_000.0, 5.0];
    let taken = Taken { statements: 3.0, round_trips: 8.0, wal_bytes: 1_100.0, calls: 5.0 };
    assert_eq!(grown(Kind::Create, taken, noted), Vec::<String>::new());
    let taken = Taken { statements: 5.0, round_trips: 9.0, wal_bytes: 1_200.0, calls: 6.0 };
    assert_eq!(grown(Kind::Create, taken, noted).len(), 4);
}
