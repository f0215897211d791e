//! The call graph that the network policies allow: what may go out of one pod may come into the other, and nothing else.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use serde_json::Value;

/// From whom, to whom, on which port. Pods are `name/component`.
type Edge = (String, String, u64);

/// Calls between pods of the release, besides those of the databases and of the test: the call graph of the mesh.
const CALLS: &[(&str, &str, u64)] = &[
    ("saga-orchestrator/service", "asset-svc/service", 50052),
    ("saga-orchestrator/service", "order-svc/service", 50052),
];

/// Compares the edges that leave with the edges that arrive, and the calls with the call graph. Says how many there are.
///
/// # Errors
/// An edge with one end only, a call too many or too few, a pod without a policy.
pub fn check(objects: &[Value]) -> Result<usize> {
    let policies: Vec<&Value> = objects.iter().filter(|object| object["kind"] == "NetworkPolicy").collect();
    let (mut leaving, mut arriving) = (BTreeSet::new(), BTreeSet::new());
    for policy in &policies {
        let spec = &policy["spec"];
        let Some(here) = pod(&spec["podSelector"]) else { continue };
        for (rules, peers, outward) in [("egress", "to", true), ("ingress", "from", false)] {
            for rule in list(&spec[rules]) {
                for there in list(&rule[peers]).iter().filter_map(|peer| pod(&peer["podSelector"])) {
                    for port in list(&rule["ports"]).iter().filter_map(|port| port["port"].as_u64()) {
                        let edges = if outward { &mut leaving } else { &mut arriving };
                        let (from, to) = if outward { (&here, &there) } else { (&there, &here) };
                        edges.insert((from.clone(), to.clone(), port));
                    }
                }
            }
        }
    }
    let leaving = spread(leaving, objects);
    // The instances of one database reach each other; what leaves them is not restricted.
    arriving.retain(|(from, to, _)| from != to);
    let lonely: Vec<&Edge> = leaving.symmetric_difference(&arriving).collect();
    if !lonely.is_empty() {
        bail!("edges with one end only: {lonely:?}");
    }
    let calls: Vec<(&str, &str, u64)> = leaving
        .iter()
        .map(|(from, to, port)| (from.as_str(), to.as_str(), *port))
        .filter(|(from, to, _)| from.ends_with("/service") && to.ends_with("/service"))
        .collect();
    if calls != CALLS {
        bail!("the call graph is {CALLS:?}, and the policies allow {calls:?}");
    }
    Ok(leaving.len())
}

/// `helm test` may go to every service: one edge stands for all of them.
fn spread(edges: BTreeSet<Edge>, objects: &[Value]) -> BTreeSet<Edge> {
    let services = objects
        .iter()
        .filter(|object| object["kind"] == "Deployment")
        .filter_map(|object| pod(&object["spec"]["selector"]).filter(|pod| pod.ends_with("/service")));
    let services: Vec<String> = services.collect();
    let targets = |to: String| if to == "*/service" { services.clone() } else { vec![to] };
    edges
        .into_iter()
        .flat_map(|(from, to, port)| targets(to).into_iter().map(move |to| (from.clone(), to, port)))
        .collect()
}

/// Which pods a selector means: `name/component`, or a database's cluster. `None`: all of them, or strangers.
fn pod(selector: &Value) -> Option<String> {
    let labels = &selector["matchLabels"];
    if let Some(cluster) = labels["cnpg.io/cluster"].as_str() {
        return Some(cluster.to_owned());
    }
    let component = labels["app.kubernetes.io/component"].as_str()?;
    Some(format!("{}/{component}", labels["app.kubernetes.io/name"].as_str().unwrap_or("*")))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selector(name: &str) -> Value {
        json!({"podSelector": {"matchLabels": {
            "app.kubernetes.io/name": name, "app.kubernetes.io/component": "service"
        }}})
    }

    fn policy(name: &str, rules: &Value) -> Value {
        let mut spec = selector(name);
        spec.as_object_mut().unwrap().extend(rules.as_object().unwrap().clone());
        json!({"kind": "NetworkPolicy", "spec": spec})
    }

    fn mesh(asset_port: u64) -> Vec<Value> {
        let rule =
            |end: &str, name: &str, port: u64| json!({end: [selector(name)], "ports": [{"port": port}]});
        let out = [rule("to", "order-svc", 50052), rule("to", "asset-svc", 50052)];
        vec![
            policy("saga-orchestrator", &json!({"egress": out})),
            policy("order-svc", &json!({"ingress": [rule("from", "saga-orchestrator", 50052)]})),
            policy("asset-svc", &json!({"ingress": [rule("from", "saga-orchestrator", asset_port)]})),
        ]
    }

    #[test]
    fn an_edge_needs_both_ends() {
        assert_eq!(check(&mesh(50052)).unwrap(), 2);
        assert!(check(&mesh(50051)).unwrap_err().to_string().contains("one end only"));
    }

    #[test]
    fn a_call_too_many_is_found() {
        let mut objects = mesh(50052);
        let rule = |end: &str, name: &str| json!({end: [selector(name)], "ports": [{"port": 50052}]});
        objects.push(policy("order-svc", &json!({"egress": [rule("to", "asset-svc")]})));
        objects.push(policy("asset-svc", &json!({"ingress": [rule("from", "order-svc")]})));
        assert!(check(&objects).unwrap_err().to_string().contains("the call graph is"));
    }
}
