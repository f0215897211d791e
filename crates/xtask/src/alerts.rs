//! The alert rules, by Prometheus' own tool. What needs no tool is in the tests below, for the dashboards as well.

use anyhow::Result;

use crate::{process, tools};

/// Checks the rules, and that each alert fires and stays quiet in its tests.
///
/// # Errors
/// What promtool has found, or that it is missing.
pub fn run() -> Result<()> {
    process::run(tools::command("promtool")?.args(["check", "rules", "deploy/alerts/brokerage.yaml"]))?;
    process::run(tools::command("promtool")?.args(["test", "rules", "deploy/alerts/tests.yaml"]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use serde_json::Value;

    use crate::process::root;

    fn text(path: &str) -> String {
        fs::read_to_string(root().join(path)).unwrap()
    }

    /// The names in the first column of the tables of docs/metrics.md.
    fn listed() -> BTreeSet<String> {
        let page = text("docs/metrics.md");
        let names = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        names.map(str::to_owned).collect()
    }

    /// The metrics that a PromQL expression names.
    fn named(expression: &str) -> BTreeSet<String> {
        let mut bare = String::new();
        let mut depth = 0;
        for c in expression.chars() {
            match c {
                '{' | '[' => depth += 1,
                '}' | ']' => depth -= 1,
                c if depth == 0 => bare.push(c),
                _ => {}
            }
        }
        // Labels to group by are no metrics.
        for clause in ["by (", "on ("] {
            while let Some((before, after)) = bare.split_once(clause) {
                bare = format!("{before}{}", after.split_once(')').map_or("", |(_, rest)| rest));
            }
        }
        let words = bare.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | ':'));
        let is_name = |word: &&str| word.contains(['_', ':']) && word.starts_with(char::is_alphabetic);
        let functions = ["histogram_quantile", "min_over_time", "clamp_min"];
        words.filter(is_name).filter(|word| !functions.contains(word)).map(str::to_owned).collect()
    }

    fn unknown(expression: &str, known: &BTreeSet<String>) -> Vec<String> {
        let is_known = |name: &String| {
            let family = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| name.strip_suffix(suffix));
            known.contains(name) || family.is_some_and(|family| known.contains(family))
        };
        named(expression).into_iter().filter(|name| !is_known(name)).collect()
    }

    fn recorded() -> BTreeSet<String> {
        let rules = text("deploy/alerts/brokerage.yaml");
        let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- record: "));
        names.map(str::to_owned).collect()
    }

    /// Each alert's name and its lines.
    fn alerts() -> Vec<(String, String)> {
        let rules = text("deploy/alerts/brokerage.yaml");
        let parts = rules.split("      - alert: ").skip(1);
        parts
            .map(|part| part.split_once('\n').unwrap())
            .map(|(name, rest)| (name.into(), rest.into()))
            .collect()
    }

    #[test]
    fn rules_name_only_metrics_that_are_listed() {
        let known: BTreeSet<String> = listed().union(&recorded()).cloned().collect();
        let rules = text("deploy/alerts/brokerage.yaml");
        for part in rules.split("expr: ").skip(1) {
            let ends = ["for:", "labels:", "- ", "#"];
            let lines = part.lines().take_while(|line| !ends.iter().any(|end| line.trim().starts_with(end)));
            let expression: Vec<&str> = lines.collect();
            let expression = expression.join("\n");
            assert_eq!(unknown(&expression, &known), [""; 0], "{expression}");
        }
    }

    #[test]
    fn dashboards_name_only_metrics_that_are_listed() {
        let known: BTreeSet<String> = listed().union(&recorded()).cloned().collect();
        let mut queries = 0;
        for entry in fs::read_dir(root().join("deploy/dashboards")).unwrap() {
            let dashboard: Value =
                serde_json::from_str(&fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
            for panel in dashboard["panels"].as_array().unwrap() {
                for target in panel["targets"].as_array().into_iter().flatten() {
                    let expression = target["expr"].as_str().unwrap();
                    assert_eq!(unknown(expression, &known), [""; 0], "{}: {expression}", panel["title"]);
                    queries += 1;
                }
            }
        }
        assert!(queries > 50, "{queries}");
    }

    #[test]
    fn every_alert_has_a_runbook_and_two_tests() {
        let anchors: Vec<String> = text("docs/operations.md")
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-"))
            .collect();
        let tests = text("deploy/alerts/tests.yaml");
        let alerts = alerts();
        assert!(alerts.len() > 20, "{}", alerts.len());
        for (name, rule) in alerts {
            let runbook = rule.split("docs/operations.md#").nth(1).and_then(|rest| rest.lines().next());
            assert!(
                runbook.is_some_and(|anchor| anchors.iter().any(|known| known == anchor)),
                "{name}: {runbook:?}"
            );
            for kind in ["fires", "stays quiet"] {
                assert!(
                    tests.contains(&format!("- name: {name} {kind}\n")),
                    "{name} has no test where it {kind}"
                );
            }
        }
    }

    #[test]
    fn metrics_are_told_from_labels_and_functions() {
        let expression = r#"histogram_quantile(0.9, sum by (job, le) (rate(a_seconds_bucket{b_c="d_e"}[5m]))) > max(x:y_z)"#;
        assert_eq!(named(expression), ["a_seconds_bucket", "x:y_z"].map(str::to_owned).into());
    }
}
