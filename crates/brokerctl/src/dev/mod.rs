//! The whole mesh on one machine: databases, Redis, three services, one public port. Not for production.
//!
//! [`Mesh`] is also what tests and the benchmark start. Its services run on threads of this process, or, with
//! `replicas`, as processes that are watched and started again, which can be killed, frozen and thawed.

pub mod banner;
pub mod command;
mod edge;
pub mod forward;
mod in_process;
mod options;
mod probe;
pub mod ready;
mod replica;
pub mod seed;
mod service;
mod storage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use dev_cluster::{Cluster, Redis, Signal};

use self::edge::Edge;
use self::forward::{Forward, Member};
use self::in_process::InProcess;
use self::replica::Replica;
use self::service::{Assignment, Bound};
use self::storage::Storage;
use crate::api::Api;

pub use self::options::{Detour, Link, MeshOptions, PUBLIC_PORT};
pub use self::service::{Addresses, MeshService};
pub use self::storage::DatabaseUrls;

/// How long services may take to become ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a process may take to end; the services themselves cut off what takes longer than 5 s.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(25);
/// The token that seeds the mesh.
pub const ADMIN_TOKEN: &str = "token-admin";

/// A running mesh. Stops when dropped; [`Mesh::stop`] stops it in order.
#[derive(Debug)]
pub struct Mesh {
    edge: Option<Edge>,
    services: Vec<(MeshService, Processes)>,
    storage: Storage,
}

/// What runs one service.
#[derive(Debug)]
enum Processes {
    Here(InProcess),
    Replicas(Vec<Replica>),
}

impl Mesh {
    /// Starts everything, and answers when all of it is ready and seeded.
    ///
    /// # Errors
    /// With what to do, when something is missing; otherwise with what went wrong.
    pub async fn start(options: MeshOptions) -> Result<Self> {
        if options.replicas == Some(0) {
            bail!("at least one replica of each service is needed");
        }
        // First, so that a taken port is noticed before anything starts.
        let port = if options.random_ports { 0 } else { options.public_port };
        let public = service::bind(port)?;
        let storage = Storage::start(&options).await?;
        let services = start_services(&options, &storage)?;
        let mut mesh = Self { edge: None, services, storage };
        mesh = tokio::task::spawn_blocking(move || mesh.wait_until_ready().map(|()| mesh)).await??;
        mesh.edge = Some(Edge::start(public, mesh.forwards()?).await?);
        if options.seed {
            seed::seed(Api::new(&mesh.public_uri(), ADMIN_TOKEN)?).await.context("seed the mesh")?;
        }
        Ok(mesh)
    }

    /// Where the public API is.
    #[must_use]
    pub fn public_uri(&self) -> String {
        self.edge.as_ref().map(|edge| format!("http://{}", edge.address())).unwrap_or_default()
    }

    /// The databases of the three services.
    #[must_use]
    pub fn database_urls(&self) -> &DatabaseUrls {
        self.storage.urls()
    }

    /// Where a service takes internal calls: all its processes, separated by commas.
    #[must_use]
    pub fn internal_uri(&self, service: MeshService) -> String {
        let uris = self.addresses(service).into_iter().map(|at| format!("http://{}", at.internal));
        uris.collect::<Vec<_>>().join(",")
    }

    /// Where the processes of a service listen.
    #[must_use]
    pub fn addresses(&self, service: MeshService) -> Vec<Addresses> {
        match self.processes(service) {
            Processes::Here(thread) => vec![thread.addresses()],
            Processes::Replicas(replicas) => replicas.iter().map(Replica::addresses).collect(),
        }
    }

    /// The process ids of a service; this process's where it runs on a thread.
    #[must_use]
    pub fn pids(&self, service: MeshService) -> Vec<u32> {
        match self.processes(service) {
            Processes::Here(_) => vec![std::process::id()],
            Processes::Replicas(replicas) => replicas.iter().filter_map(Replica::pid).collect(),
        }
    }

    /// Kills a process without warning. It is started again at once, as Kubernetes would.
    ///
    /// # Errors
    /// Without replicas, or when that process does not run.
    pub fn kill9(&self, service: MeshService, index: usize) -> Result<()> {
        let replica = self.replica(service, index)?;
        replica.up().store(false, Ordering::Relaxed);
        replica.signal(Signal::Kill)
    }

    /// Asks a process to drain and end. It is started again afterwards; until then it is sent no new calls, as an
    /// endpoint that is being taken away.
    ///
    /// # Errors
    /// Without replicas, or when that process does not run.
    pub fn terminate(&self, service: MeshService, index: usize) -> Result<()> {
        let replica = self.replica(service, index)?;
        replica.up().store(false, Ordering::Relaxed);
        replica.signal(Signal::Terminate)
    }

    /// More environment for the next start of a process, and for that start only.
    ///
    /// # Errors
    /// Without replicas.
    pub fn equip_next_start(
        &self,
        service: MeshService,
        index: usize,
        env: Vec<(String, String)>,
    ) -> Result<()> {
        self.replica(service, index)?.equip_next_start(env);
        Ok(())
    }

    /// Freezes a process: it keeps its connections and answers nobody.
    ///
    /// # Errors
    /// Without replicas, or when that process does not run.
    pub fn pause(&self, service: MeshService, index: usize) -> Result<()> {
        self.replica(service, index)?.signal(Signal::Stop)
    }

    /// Thaws a frozen process.
    ///
    /// # Errors
    /// Without replicas, or when that process does not run.
    pub fn resume(&self, service: MeshService, index: usize) -> Result<()> {
        self.replica(service, index)?.signal(Signal::Continue)
    }

    /// Kills a process and keeps it down until [`Mesh::restart`].
    ///
    /// # Errors
    /// Without replicas.
    pub fn take_down(&self, service: MeshService, index: usize) -> Result<()> {
        self.replica(service, index)?.take_down()
    }

    /// Starts a process anew, killing it first if it runs, and waits until it is ready.
    ///
    /// # Errors
    /// Without replicas, or when it does not become ready.
    pub async fn restart(&self, service: MeshService, index: usize) -> Result<()> {
        let replica = self.replica(service, index)?;
        replica.take_down()?;
        replica.bring_up();
        wait_until_up(&replica.up()).await.with_context(|| format!("restart {}[{index}]", service.name()))
    }

    /// Waits until a process is ready that was killed and is being started again.
    ///
    /// # Errors
    /// Without replicas, or when it does not become ready.
    pub async fn wait_until_up(&self, service: MeshService, index: usize) -> Result<()> {
        let up = self.replica(service, index)?.up();
        wait_until_up(&up).await.with_context(|| format!("wait for {}[{index}]", service.name()))
    }

    /// How often a process was started.
    ///
    /// # Errors
    /// Without replicas.
    pub fn starts(&self, service: MeshService, index: usize) -> Result<u32> {
        Ok(self.replica(service, index)?.starts())
    }

    /// The private cluster, to be stopped, killed and restarted; `None` where the mesh uses somebody else's server.
    pub fn postgres(&mut self) -> Option<&mut Cluster> {
        self.storage.postgres()
    }

    /// The private Redis, if there is one.
    pub fn redis(&mut self) -> Option<&mut Redis> {
        self.storage.redis()
    }

    /// A service on a thread that has ended by itself. With replicas nothing ends for good.
    #[must_use]
    pub fn ended_service(&self) -> Option<MeshService> {
        let ended = |processes: &Processes| match processes {
            Processes::Here(thread) => thread.has_ended(),
            Processes::Replicas(_) => false,
        };
        self.services.iter().find(|(_, processes)| ended(processes)).map(|(service, _)| *service)
    }

    /// Stops everything in order: the edge, the services (draining), Redis, the databases.
    ///
    /// # Errors
    /// With the first thing that did not end well; the rest is stopped all the same.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(edge) = self.edge.take() {
            edge.stop();
        }
        let services = std::mem::take(&mut self.services);
        let ended =
            tokio::task::spawn_blocking(move || stop_services(services)).await.context("stop services")?;
        let stored = self.storage.stop().await;
        ended.and(stored)
    }

    fn processes(&self, service: MeshService) -> &Processes {
        // The services are started in the order of `ALL`, which is the order of their numbers.
        &self.services[service as usize].1
    }

    fn replica(&self, service: MeshService, index: usize) -> Result<&Replica> {
        match self.processes(service) {
            Processes::Here(_) => bail!("{} runs on a thread: start the mesh with replicas", service.name()),
            Processes::Replicas(replicas) => {
                replicas.get(index).with_context(|| format!("{} has no replica {index}", service.name()))
            }
        }
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let give_up = Instant::now() + READY_TIMEOUT;
        for (service, processes) in &mut self.services {
            match processes {
                Processes::Here(thread) => thread.wait_until_ready().context(service.name())?,
                Processes::Replicas(replicas) => {
                    for replica in replicas.iter() {
                        while !replica.up().load(Ordering::Relaxed) {
                            if Instant::now() > give_up {
                                bail!("{} did not become ready", service.name());
                            }
                            std::thread::sleep(POLL);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn forwards(&self) -> Result<Vec<(MeshService, Forward)>> {
        let member = |at: Addresses, up: Arc<AtomicBool>| Member::new(&format!("http://{}", at.public), up);
        let forward_to = |processes: &Processes| {
            let members: Result<Vec<Member>, _> = match processes {
                Processes::Here(thread) => {
                    vec![member(thread.addresses(), thread.up())].into_iter().collect()
                }
                Processes::Replicas(all) => all.iter().map(|one| member(one.addresses(), one.up())).collect(),
            };
            members.map(Forward::new)
        };
        let forwards =
            self.services.iter().map(|(service, processes)| Ok((*service, forward_to(processes)?)));
        forwards.collect()
    }
}

impl Drop for Mesh {
    fn drop(&mut self) {
        if let Some(edge) = self.edge.take() {
            edge.stop();
        }
        // Without a runtime to wait on: threads are told, processes are killed by their own `Drop`.
        for (_, processes) in &self.services {
            begin_stop(processes);
        }
    }
}

fn start_services(options: &MeshOptions, storage: &Storage) -> Result<Vec<(MeshService, Processes)>> {
    let count = options.replicas.unwrap_or(1);
    // With replicas nobody needs to know the ports: the edge does.
    let random = options.random_ports || options.replicas.is_some();
    let mut bound: Vec<Vec<Bound>> = Vec::new();
    for service in MeshService::ALL {
        bound.push((0..count).map(|_| Bound::bind(*service, random)).collect::<Result<_>>()?);
    }
    let peers = |service: MeshService| -> Result<String> {
        let internal = bound[service as usize].iter().enumerate().map(|(index, one)| {
            let link = Link::Steps { to: service, index };
            Ok(format!("http://{}", options.detour.of(link, one.addresses()?.internal)?))
        });
        Ok(internal.collect::<Result<Vec<_>>>()?.join(","))
    };
    let (order_peers, asset_peers) = (peers(MeshService::Order)?, peers(MeshService::Asset)?);
    let assignment = |service: MeshService, at: Addresses, database_url: &str| Assignment {
        service,
        addresses: at,
        database_url: database_url.to_owned(),
        redis_url: storage.redis_url(),
        order_peers: order_peers.clone(),
        asset_peers: asset_peers.clone(),
        time_scale: options.time_scale,
        log: options.log.clone(),
        otlp: options.otlp.clone(),
        more: options.settings.iter().filter(|(of, ..)| *of == service).cloned().collect(),
    };
    let mut services = Vec::new();
    for (service, listeners) in MeshService::ALL.iter().zip(bound) {
        let mut replicas = Vec::new();
        let database_url = storage::rerouted(storage.urls().of(*service), |to| {
            options.detour.of(Link::Database { of: *service }, to)
        })?;
        for (index, one) in listeners.into_iter().enumerate() {
            let assignment = assignment(*service, one.addresses()?, &database_url);
            if options.replicas.is_none() {
                services.push((*service, Processes::Here(InProcess::start(one, &assignment)?)));
                continue;
            }
            let program = match &options.serve_command {
                Some(program) => program.clone(),
                None => std::env::current_exe().context("find this program")?,
            };
            // The process binds the port itself: it has to find it again after a restart.
            drop(one);
            replicas.push(Replica::start(program, &assignment, index));
        }
        if options.replicas.is_some() {
            services.push((*service, Processes::Replicas(replicas)));
        }
    }
    Ok(services)
}

fn begin_stop(processes: &Processes) {
    match processes {
        Processes::Here(thread) => thread.begin_stop(),
        Processes::Replicas(replicas) => replicas.iter().for_each(Replica::begin_stop),
    }
}

/// The orchestrator first: it calls the others until it has ended.
fn stop_services(services: Vec<(MeshService, Processes)>) -> Result<()> {
    let mut outcome = Ok(());
    for (service, mut processes) in services.into_iter().rev() {
        begin_stop(&processes);
        let ended = match &mut processes {
            Processes::Here(thread) => {
                thread.finish_stop().with_context(|| format!("stop {}", service.name()))
            }
            Processes::Replicas(replicas) => {
                replicas.iter_mut().for_each(|replica| replica.finish_stop(STOP_PATIENCE));
                Ok(())
            }
        };
        outcome = outcome.and(ended);
    }
    outcome
}

async fn wait_until_up(up: &AtomicBool) -> Result<()> {
    let give_up = Instant::now() + READY_TIMEOUT;
    while !up.load(Ordering::Relaxed) {
        if Instant::now() > give_up {
            bail!("it did not become ready within {} s", READY_TIMEOUT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
