//! Which RPCs the services have answered, and how long that took, from their own metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use brokerctl::dev::{Mesh, MeshService};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The metric that every service has, without its ending.
const CALLS: &str = "rpc_server_call_duration_seconds";

/// What became of one method.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answered {
    /// How often it was answered, in whatever way.
    pub count: f64,
    /// How long that took in all.
    pub seconds: f64,
}

/// By method, such as `/brokerage.order.v1.OrderParticipant/Draft`.
pub type Calls = BTreeMap<String, Answered>;

/// What all services have answered so far.
///
/// # Errors
/// When one cannot be asked.
pub async fn read(mesh: &Mesh) -> Result<Calls> {
    let mut calls = Calls::new();
    for service in MeshService::ALL {
        for at in mesh.addresses(*service) {
            add(&mut calls, &metrics(at.ops).await.with_context(|| format!("ask {}", service.name()))?);
        }
    }
    Ok(calls)
}

/// What was answered between two readings.
pub fn between(before: &Calls, after: &Calls) -> Calls {
    let answered = after.iter().map(|(method, now)| {
        let then = before.get(method).copied().unwrap_or_default();
        (method.clone(), Answered { count: now.count - then.count, seconds: now.seconds - then.seconds })
    });
    answered.filter(|(_, answered)| answered.count > 0.0).collect()
}

/// How many calls of this RPC are under way.
///
/// # Errors
/// When a service cannot be asked.
#[cfg(test)]
pub async fn under_way(mesh: &Mesh, rpc: &str) -> Result<f64> {
    let mut count = 0.0;
    for service in MeshService::ALL {
        for at in mesh.addresses(*service) {
            let text = metrics(at.ops).await?;
            let gauges = text.lines().filter(|line| line.starts_with("rpc_server_active_calls{"));
            let of_rpc = gauges.filter(|line| line.contains(&format!("/{rpc}\"")));
            count += of_rpc.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
        }
    }
    Ok(count)
}

async fn metrics(at: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(at).await.context("connect")?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nhost: bench\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.context("read the metrics")?;
    ensure!(answer.starts_with("HTTP/1.") && answer.contains(" 200 "), "no metrics: {answer:.80}");
    Ok(answer)
}

fn add(calls: &mut Calls, text: &str) {
    for line in text.lines() {
        let Some((name, rest)) = line.strip_prefix(CALLS).and_then(|rest| rest.split_once('{')) else {
            continue;
        };
        let Some((_, rest)) = rest.split_once("rpc_method=\"") else { continue };
        let Some((method, rest)) = rest.split_once('"') else { continue };
        let Some(value) = rest.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()) else {
            continue;
        };
        let answered = calls.entry(method.to_owned()).or_default();
        match name {
            "_count" => answered.count += value,
            "_sum" => answered.seconds += value,
            _buckets => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_a_method_are_added_up_whatever_they_were() {
        let mut calls = Calls::new();
        add(
            &mut calls,
            "# HELP rpc_server_call_duration_seconds x\n\
             rpc_server_call_duration_seconds_bucket{rpc_method=\"/a/B\",rpc_response_status_code=\"OK\",le=\"1\"} 9\n\
             rpc_server_call_duration_seconds_sum{rpc_method=\"/a/B\",rpc_response_status_code=\"OK\"} 0.5\n\
             rpc_server_call_duration_seconds_count{rpc_method=\"/a/B\",rpc_response_status_code=\"OK\"} 2\n\
             rpc_server_call_duration_seconds_count{rpc_method=\"/a/B\",rpc_response_status_code=\"INTERNAL\"} 1\n\
             rpc_server_active_calls{rpc_method=\"/a/B\"} 7\n",
        );
        assert_eq!(calls, Calls::from([("/a/B".to_owned(), Answered { count: 3.0, seconds: 0.5 })]));
    }
}
