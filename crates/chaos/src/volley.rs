//! Many new orders at a given rate, whatever becomes of them: an open loop, as the world outside is.

use std::time::Duration;

use anyhow::{Context, Result};
use brokerage_proto::common::v1::Side;
use brokerage_types::Reason;
use brokerctl::api::Api;
use brokerctl::dev::{ADMIN_TOKEN, MeshService};
use service_kit::fault::reason_of;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::Code;

use crate::load::one_share;
use crate::world::World;

/// Orders are sent in bundles, so often.
const TICK: Duration = Duration::from_millis(10);
const CONNECTIONS: usize = 4;

/// What came of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It is in the market.
    Done,
    /// The mesh had no room for it: RESOURCE_EXHAUSTED or UNAVAILABLE.
    Shed,
    /// It was accepted, and undone for want of time.
    Undone,
    /// Nobody knows.
    Unknown,
}

/// One order as its sender saw it.
#[derive(Clone, Debug)]
pub struct Shot {
    /// Its request id.
    pub request_id: String,
    /// What came of it.
    pub outcome: Outcome,
    /// From sending to the answer.
    pub took: Duration,
    /// When the answer came, from the first shot on.
    pub at: Duration,
}

/// Some shots and how long they were fired for.
#[derive(Clone, Debug, Default)]
pub struct Volley {
    /// Each of them.
    pub shots: Vec<Shot>,
    /// For so long.
    pub lasted: Duration,
}

/// Who shoots: connections straight to the orchestrators, and for whom.
#[derive(Clone)]
pub struct Battery {
    apis: Vec<Api>,
    customers: Vec<String>,
}

impl Battery {
    /// With some customers of its own.
    ///
    /// # Errors
    /// The mesh could not be set up.
    pub async fn of(world: &World, customers: usize) -> Result<Self> {
        let customers: Vec<String> = (0..customers).map(|at| format!("volley-{at}")).collect();
        for customer in &customers {
            world.customer(customer, &[("TRY", "100000000000")]).await?;
        }
        let mut apis = Vec::new();
        for at in world.mesh.addresses(MeshService::Orchestrator) {
            for _ in 0..CONNECTIONS {
                apis.push(Api::new(&format!("http://{}", at.public), ADMIN_TOKEN)?);
            }
        }
        Ok(Self { apis, customers })
    }

    /// So many clients in a closed loop.
    ///
    /// # Errors
    /// A client panicked.
    pub async fn closed(&self, clients: usize, time: Duration) -> Result<Volley> {
        let begun = Instant::now();
        let clients = (0..clients).map(|at| {
            let battery = self.clone();
            tokio::spawn(async move {
                let mut shots = Vec::new();
                while begun.elapsed() < time {
                    shots.push(battery.shoot(at, begun).await);
                }
                shots
            })
        });
        let shots = futures::future::try_join_all(clients).await.context("a client panicked")?;
        Ok(Volley { shots: shots.concat(), lasted: begun.elapsed() })
    }

    /// So many orders a second, whatever becomes of them; waits for all answers.
    ///
    /// # Errors
    /// A client panicked.
    pub async fn open(&self, rate: f64, time: Duration) -> Result<Volley> {
        let begun = Instant::now();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut fired = Vec::new();
        while begun.elapsed() < time {
            ticks.tick().await;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a small positive count"
            )]
            let due = (rate * begun.elapsed().min(time).as_secs_f64()) as usize;
            while fired.len() < due {
                let (battery, at) = (self.clone(), fired.len());
                fired.push(tokio::spawn(async move { battery.shoot(at, begun).await }));
            }
        }
        let lasted = begun.elapsed();
        let shots = futures::future::try_join_all(fired).await.context("a shot panicked")?;
        Ok(Volley { shots, lasted })
    }

    async fn shoot(&self, at: usize, begun: Instant) -> Shot {
        let request = one_share(&self.customers[at % self.customers.len()], Side::Buy);
        let request_id = request.request_id.clone();
        let sent = Instant::now();
        let answer = self.apis[at % self.apis.len()].trading.clone().create_order(request).await;
        let outcome = match answer {
            Ok(_) => Outcome::Done,
            Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::Unavailable) => {
                Outcome::Shed
            }
            Err(status) if reason_of(&status) == Some(Reason::GaveUp) => Outcome::Undone,
            Err(_) => Outcome::Unknown,
        };
        Shot { request_id, outcome, took: sent.elapsed(), at: begun.elapsed() }
    }
}

impl Volley {
    /// How many shots had this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.shots.iter().filter(|shot| shot.outcome == outcome).count()
    }

    /// Orders a second that came to market while it was fired.
    #[must_use]
    pub fn goodput(&self) -> f64 {
        let in_time = |shot: &&Shot| shot.outcome == Outcome::Done && shot.at <= self.lasted;
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
        let done = self.shots.iter().filter(in_time).count() as f64;
        done / self.lasted.as_secs_f64()
    }

    /// The time that 99 of 100 shots with this outcome stayed under.
    #[must_use]
    pub fn p99(&self, outcome: Outcome) -> Duration {
        let of = self.shots.iter().filter(|shot| shot.outcome == outcome);
        let mut times: Vec<Duration> = of.map(|shot| shot.took).collect();
        times.sort_unstable();
        let at = times.len().saturating_sub(1) * 99 / 100;
        times.get(at).copied().unwrap_or_default()
    }
}
