//! One more orchestrator of a brokerage, as a process of its own: it can crash, and everything that it says is kept.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use dev_cluster::free_port;
use service_kit::crash;
use test_mesh::{Brokerage, Identity, Person, until};
use tonic::transport::Endpoint;

/// A running process. It is killed with this value.
pub struct Process {
    child: Option<Child>,
    /// Read all the time: a process whose pipe is full would stand still.
    said: Vec<JoinHandle<String>>,
    ports: [u16; 3],
}

impl Process {
    /// Over the brokerage's databases and participants, with these settings more; crashes at this point, if at all.
    pub async fn start(brokerage: &Brokerage, settings: &[(&str, &str)], crash_at: Option<&str>) -> Self {
        let ports = [(); 3].map(|()| free_port().unwrap());
        let peer = |running: &test_mesh::Running| format!("http://{}", running.addresses.internal);
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh-service"));
        command.args(["serve", "saga-orchestrator"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut set = |key: &str, value: &str| {
            command.env(format!("SAGA_ORCHESTRATOR__{key}"), value);
        };
        set("PROFILE", "dev");
        set("DATABASE__URL", &brokerage.databases.orchestrator.url);
        set("PEERS__ORDER", &peer(&brokerage.order));
        set("PEERS__ASSET", &peer(&brokerage.asset));
        for (key, port) in ["LISTEN__PUBLIC", "LISTEN__INTERNAL", "LISTEN__OPS"].iter().zip(ports) {
            set(key, &format!("127.0.0.1:{port}"));
        }
        for (key, value) in settings {
            set(key, value);
        }
        if let Some(point) = crash_at {
            command.env(crash::ARMED, point);
        }
        let mut child = command.spawn().unwrap();
        let said = vec![listen(child.stdout.take().unwrap()), listen(child.stderr.take().unwrap())];
        let process = Self { child: Some(child), said, ports };
        let ready = process.ops();
        until("the process is ready", async || {
            super::numbers::get(&ready, "/readyz").await.filter(|answer| answer.contains(" 200 ")).map(drop)
        })
        .await;
        process
    }

    /// A caller of this process.
    pub fn caller(&self, brokerage: &Brokerage, token: &str, customer_id: &str) -> Person {
        let uri = format!("http://127.0.0.1:{}", self.ports[0]);
        let channel = Endpoint::from_shared(uri).unwrap().connect_lazy();
        Person::to(
            &Identity::user(token),
            customer_id,
            [&channel, &brokerage.order.public, &brokerage.asset.public],
        )
    }

    /// Its listener for services.
    pub fn internal(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }

    /// Its listener for numbers.
    pub fn ops(&self) -> String {
        format!("127.0.0.1:{}", self.ports[2])
    }

    /// Ends it as an operator would; everything that it has said.
    pub async fn end(mut self) -> String {
        let (mut child, said) = (self.child.take().unwrap(), std::mem::take(&mut self.said));
        let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let ended = tokio::task::spawn_blocking(move || {
            child.wait().unwrap();
            said.into_iter().map(|said| said.join().unwrap()).collect::<String>()
        });
        ended.await.unwrap()
    }
}

fn listen(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut said = Vec::new();
        pipe.read_to_end(&mut said).unwrap();
        String::from_utf8_lossy(&said).into_owned()
    })
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have crashed, as it was told to.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
