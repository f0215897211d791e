//! Many clients at once.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use brokerctl::api::Api;
use brokerctl::dev::ADMIN_TOKEN;
use futures::future::try_join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::History;
use super::client::{Client, Shared};
use crate::wait::PATIENCE;
use crate::world::World;

/// What each client's customers begin with.
const MONEY: (&str, &str) = ("TRY", "100000000");
const SHARES: (&str, &str) = ("THYAO", "1000000");

/// How a crowd shall be.
#[derive(Clone, Debug)]
pub struct CrowdPlan {
    /// How many clients.
    pub clients: usize,
    /// Where their randomness starts.
    pub seed: u64,
    /// Where they call, drawn at random for each call. Empty: the mesh's public port.
    pub targets: Vec<String>,
    /// Deadline of one call; shorter than a pause that a row makes, so that a frozen process is left alone.
    pub deadline: Duration,
    /// After the stop, unanswered commands are asked for so long.
    pub patience: Duration,
    /// No more commands than this for each client.
    pub commands_max: usize,
}

impl Default for CrowdPlan {
    fn default() -> Self {
        Self {
            clients: 8,
            seed: 0,
            targets: Vec::new(),
            deadline: Duration::from_secs(2),
            patience: PATIENCE,
            commands_max: usize::MAX,
        }
    }
}

/// A crowd at work.
#[derive(Debug)]
pub struct Crowd {
    shared: Arc<Shared>,
    answered: watch::Receiver<usize>,
    clients: Vec<JoinHandle<History>>,
}

impl Crowd {
    /// Sets up every client's customers, then lets them all go.
    ///
    /// # Errors
    /// The mesh could not be set up.
    pub async fn start(world: &World, plan: CrowdPlan) -> Result<Self> {
        let crowd = world.next_crowd();
        let names: Vec<String> = (0..plan.clients).map(|at| format!("crowd{crowd}-client{at}")).collect();
        let customers = names.iter().flat_map(|name| {
            let [buyer, seller] = Client::customers(name);
            [(buyer, MONEY), (seller, SHARES)]
        });
        try_join_all(
            customers.map(|(customer, asset)| async move { world.customer(&customer, &[asset]).await }),
        )
        .await
        .context("set up the customers")?;
        let targets =
            if plan.targets.is_empty() { vec![world.mesh.public_uri()] } else { plan.targets.clone() };
        let (answered, progress) = watch::channel(0);
        let stop = watch::Sender::new(false);
        let (patience, commands_max) = (plan.patience, plan.commands_max);
        let shared = Arc::new(Shared { answered, stop, patience, commands_max });
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        let mut clients = Vec::new();
        for name in names {
            let apis = targets.iter().map(|uri| Api::with_deadline(uri, ADMIN_TOKEN, plan.deadline));
            let apis = apis.collect::<Result<Vec<_>>>()?;
            let client = Client { name, apis, rng: rng.fork(), shared: Arc::clone(&shared) };
            clients.push(tokio::spawn(client.run()));
        }
        Ok(Self { shared, answered: progress, clients })
    }

    /// How many commands were answered so far.
    #[must_use]
    pub fn answered(&self) -> usize {
        *self.answered.borrow()
    }

    /// Waits until so many more commands were answered.
    ///
    /// # Errors
    /// Nothing moves any more.
    pub async fn until_more(&self, more: usize) -> Result<()> {
        let wanted = self.answered().saturating_add(more);
        let mut progress = self.answered.clone();
        let moves = progress.wait_for(|answered| *answered >= wanted);
        match tokio::time::timeout(PATIENCE, moves).await {
            Ok(reached) => reached.map(drop).context("the clients have ended"),
            Err(_) => anyhow::bail!("waited {PATIENCE:?} in vain: {more} more commands are answered"),
        }
    }

    /// Lets every client finish what it is doing; what they remember.
    ///
    /// # Errors
    /// A client panicked.
    pub async fn finish(self) -> Result<Vec<History>> {
        self.shared.stop.send_replace(true);
        self.all_done().await
    }

    /// Waits for clients that have a number of commands to do; what they remember.
    ///
    /// # Errors
    /// A client panicked.
    pub async fn all_done(self) -> Result<Vec<History>> {
        try_join_all(self.clients).await.context("a client panicked")
    }
}
