//! The seeded defects, and for each the test that has to notice it.
//!
//! A defect is a condition `defect::is_seeded("name")` in the code of its package; see `docs/reliability.md`.

mod kit;
mod services;

/// Which program of a package holds a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suite {
    /// The tests beside the code.
    Unit,
    /// The tests in `tests/it`, against the real thing.
    Service,
}

/// A test, by its exact name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Catcher {
    /// Its package; the defect is there as well.
    pub package: &'static str,
    /// Its program.
    pub suite: Suite,
    /// Its path within the program.
    pub test: &'static str,
}

/// One mistake.
#[derive(Clone, Copy, Debug)]
pub struct Defect {
    /// As the environment names it.
    pub name: &'static str,
    /// What goes wrong.
    pub breaks: &'static str,
    /// What notices it.
    pub catcher: Catcher,
}

const KIT: &str = "service-kit";
const ASSET: &str = "asset-svc";
const ORDER: &str = "order-svc";
const ORCHESTRATOR: &str = "saga-orchestrator";

const fn unit(package: &'static str, name: &'static str, breaks: &'static str, test: &'static str) -> Defect {
    Defect { name, breaks, catcher: Catcher { package, suite: Suite::Unit, test } }
}

const fn service(
    package: &'static str,
    name: &'static str,
    breaks: &'static str,
    test: &'static str,
) -> Defect {
    Defect { name, breaks, catcher: Catcher { package, suite: Suite::Service, test } }
}

/// Every defect.
pub fn all() -> impl Iterator<Item = &'static Defect> {
    [kit::DEFECTS, services::MONEY, services::ORDERS, services::SAGAS].into_iter().flatten()
}

/// Every package with a defect, and its directory.
pub const PACKAGES: [(&str, &str); 4] = [
    (KIT, "crates/service-kit"),
    (ASSET, "asset-svc"),
    (ORDER, "order-svc"),
    (ORCHESTRATOR, "saga-orchestrator"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The names in `is_seeded("…")` of every file below.
    fn seeded(dir: &Path, names: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                seeded(&path, names);
            } else if !path.ends_with("service-kit/src/defect.rs") {
                let text = fs::read_to_string(&path).unwrap_or_default();
                names.extend(
                    text.split("is_seeded(\"")
                        .skip(1)
                        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())),
                );
            }
        }
    }

    #[test]
    fn every_defect_is_in_its_package_and_every_seed_in_the_table() {
        for (package, dir) in PACKAGES {
            let mut found = BTreeSet::new();
            seeded(&crate::process::root().join(dir).join("src"), &mut found);
            let of_package = all().filter(|defect| defect.catcher.package == package);
            let listed: BTreeSet<String> = of_package.map(|defect| defect.name.to_owned()).collect();
            assert_eq!(found, listed, "{package}");
        }
    }

    #[test]
    fn there_are_at_least_twenty_defects_and_no_two_share_a_name() {
        let names: BTreeSet<&str> = all().map(|defect| defect.name).collect();
        assert_eq!(names.len(), all().count());
        assert!(names.len() >= 20);
    }
}
