//! Custom objects, those that an operator adds to Kubernetes: `deploy/check-custom.mjs` has their schemas.
//!
//! Kubernetes drops a field that a custom object's schema does not know, so here such a field is refused. What only the
//! operator itself would refuse (rules between fields, its webhook) is not seen.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tools;

/// `apiVersion` and `kind`.
pub type Kind = (String, String);

/// A preset's rendering with a mistake in it: in the first object of the kind, at the pointer, the field has the value.
struct Mistake {
    kind: &'static str,
    at: &'static str,
    field: &'static str,
    value: &'static str,
    says: &'static str,
}

/// What has to be refused, and a piece of what is said then.
const REFUSED: &[Mistake] = &[
    Mistake {
        kind: "Cluster",
        at: "/spec/postgresql/synchronous",
        field: "dataDurabilty",
        value: "required",
        says: "unknown field /spec/postgresql/synchronous/dataDurabilty",
    },
    Mistake {
        kind: "Cluster",
        at: "/spec/postgresql/synchronous",
        field: "dataDurability",
        value: "always",
        says: "dataDurability must be equal to one of the allowed values",
    },
    Mistake {
        kind: "GRPCRoute",
        at: "/spec/rules/0/matches/0/method",
        field: "servce",
        value: "brokerage.order.v1.OrderService",
        says: "unknown field /spec/rules/0/matches/0/method/servce",
    },
    Mistake {
        kind: "GRPCRoute",
        at: "/spec/rules/0/backendRefs/0",
        field: "port",
        value: "grpc",
        says: "port must be integer",
    },
    Mistake {
        kind: "ServiceMonitor",
        at: "/spec/endpoints/0",
        field: "intervall",
        value: "15s",
        says: "unknown field /spec/endpoints/0/intervall",
    },
    Mistake {
        kind: "PrometheusRule",
        at: "/spec/groups/0/rules/0",
        field: "for",
        value: "five minutes",
        says: "for must match pattern",
    },
    Mistake { kind: "GRPCRoute", at: "", field: "kind", value: "GRPCPath", says: "no schema" },
];

/// The kinds that the validator of Kubernetes has no schema for, from what it has said.
///
/// # Errors
/// When it warns of anything else: then something was not validated, and nobody would know.
pub fn kinds(said: &str) -> Result<BTreeSet<Kind>> {
    let mut kinds = BTreeSet::new();
    for line in said.lines().filter(|line| line.starts_with("WARN ")) {
        let named = line
            .split_once("Couldn't find schema for kind ")
            .and_then(|(_, rest)| rest.split_once(" for kubernetes version"))
            .and_then(|(named, _)| named.split_once(" with api version "));
        let Some((kind, version)) = named else { bail!("nobody has checked this: {line}") };
        kinds.insert((version.to_owned(), kind.to_owned()));
    }
    Ok(kinds)
}

/// The objects of these kinds, against their operators' schemas. Says how many there are.
///
/// # Errors
/// What does not fit, a field that the schema does not know, an object without a schema.
pub fn check(work: &Path, objects: &[Value], kinds: &BTreeSet<Kind>) -> Result<usize> {
    let custom: Vec<&Value> = objects.iter().filter(|object| kinds.contains(&kind(object))).collect();
    validate(work, &custom)?;
    Ok(custom.len())
}

/// Sees each mistake refused, in these objects. Says how many there are.
///
/// # Errors
/// A mistake that was not refused, or was for another reason; a kind that is not among the objects.
pub fn check_mistakes(work: &Path, objects: &[Value]) -> Result<usize> {
    for Mistake { kind, at, field, value, says } in REFUSED {
        let object = objects.iter().find(|object| object["kind"] == *kind);
        let mut object = object.with_context(|| format!("there is a {kind}"))?.clone();
        let place = object.pointer_mut(at).and_then(Value::as_object_mut);
        place.with_context(|| format!("a {kind} has {at}"))?.insert((*field).to_owned(), (*value).into());
        match validate(work, &[&object]) {
            Err(error) if format!("{error:#}").contains(says) => {}
            Err(error) => bail!("{kind} with {at}/{field} was refused, but not with `{says}`:\n{error:#}"),
            Ok(()) => bail!("{kind} with {at}/{field} = {value} must be refused"),
        }
    }
    Ok(REFUSED.len())
}

fn validate(work: &Path, objects: &[&Value]) -> Result<()> {
    if objects.is_empty() {
        return Ok(());
    }
    let file = work.join("custom.json");
    fs::write(&file, serde_json::to_string(objects)?)?;
    let mut node = tools::command("node")?;
    tools::output(node.arg("deploy/check-custom.mjs").arg(tools::directory()).arg(&file))
        .context("validate custom objects")?;
    Ok(())
}

fn kind(object: &Value) -> Kind {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    (text("apiVersion"), text("kind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_without_a_schema_are_named() {
        let said = "INFO a.yaml passed for resource service/a against version 1.37\n\
                    WARN a.yaml Couldn't find schema for kind Cluster with api version postgresql.cnpg.io/v1 for kubernetes version 1.37\n";
        let cluster = ("postgresql.cnpg.io/v1".to_owned(), "Cluster".to_owned());
        assert_eq!(kinds(said).unwrap(), BTreeSet::from([cluster]));
    }

    #[test]
    fn another_warning_is_an_error() {
        let error = kinds("WARN a.yaml Couldn't parse schema service-v1.json").unwrap_err();
        assert!(error.to_string().contains("nobody has checked this"));
    }
}
