//! The three steps, read from the naive floor's own pgbench script: the peers run its very statements.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// What takes a draft and a hold back, written the same way.
const COMPENSATIONS: &str = include_str!("compensations.sql");

/// What a variable of the script is in SQL. Every argument is sent as text.
const TYPES: &[(&str, &str)] = &[
    ("id", "bigint"),
    ("customer", "text"),
    ("available", "numeric"),
    ("held", "numeric"),
    ("available_seq", "bigint"),
    ("held_seq", "bigint"),
];

/// One statement with numbered parameters.
#[derive(Debug)]
pub struct Statement {
    /// Its text. It lives as long as the program.
    pub sql: &'static str,
    /// The variables that its parameters stand for, in order.
    pub arguments: Vec<&'static str>,
    /// The variables that its one row sets.
    pub sets: Vec<&'static str>,
}

/// One transaction without its BEGIN and COMMIT.
#[derive(Debug)]
pub struct Step(pub Vec<Statement>);

/// What a saga consists of.
#[derive(Debug)]
pub struct Steps {
    /// Writes the order as INIT.
    pub draft: Step,
    /// Moves the money from usable to held.
    pub hold: Step,
    /// Makes the order PENDING.
    pub confirm: Step,
    /// Takes the draft back.
    pub reject: Step,
    /// Takes the hold back.
    pub release: Step,
}

impl Steps {
    /// Reads the naive floor's script from this file.
    ///
    /// # Errors
    /// When it has not three transactions.
    pub fn read(path: &Path) -> Result<Self> {
        let script = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
        Self::of(script)
    }

    fn of(script: String) -> Result<Self> {
        let steps = transactions(script.leak())?;
        let [draft, hold, confirm] = steps.try_into().ok().context("the naive floor has three steps")?;
        let [reject, release] =
            transactions(COMPENSATIONS)?.try_into().ok().context("there are two compensations")?;
        Ok(Self { draft, hold, confirm, reject, release })
    }
}

fn transactions(script: &'static str) -> Result<Vec<Step>> {
    let mut found = Vec::new();
    let mut open: Option<Vec<Statement>> = None;
    for line in script.lines() {
        match (line, &mut open) {
            ("BEGIN;", None) => open = Some(Vec::new()),
            ("COMMIT;", Some(_)) => found.extend(open.take().map(Step)),
            ("BEGIN;", Some(_)) | ("COMMIT;", None) => bail!("BEGIN and COMMIT do not match"),
            (line, Some(statements)) => statements.push(statement(line)?),
            (_, None) => {}
        }
    }
    ensure!(open.is_none(), "a transaction has no end");
    Ok(found)
}

fn statement(line: &'static str) -> Result<Statement> {
    let line = line.trim_end_matches(';');
    let Some(line) = line.strip_suffix("\\gset") else { return Ok(parameters(line, Vec::new())) };
    let (before, columns) = line.split_once("RETURNING ").context("a statement with \\gset returns")?;
    let sets: Vec<_> = columns.split(',').map(str::trim).collect();
    let columns: Vec<_> = sets.iter().map(|column| format!("{column}::text")).collect();
    Ok(parameters(&format!("{before}RETURNING {}", columns.join(", ")), sets))
}

/// Replaces each `:name` by `$n::type`.
fn parameters(text: &str, sets: Vec<&'static str>) -> Statement {
    let (mut sql, mut arguments) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find(':') {
        let (before, after) = rest.split_at(at);
        sql.push_str(before);
        let name_end =
            after[1..].find(|c: char| !c.is_ascii_lowercase() && c != '_').map_or(after.len(), |end| end + 1);
        match TYPES.iter().find(|(name, _)| *name == &after[1..name_end]) {
            Some((name, kind)) => {
                let known = arguments.iter().position(|argument| argument == name);
                let number = known.unwrap_or_else(|| {
                    arguments.push(*name);
                    arguments.len() - 1
                });
                sql.push_str(&format!("${}::{kind}", number + 1));
                rest = &after[name_end..];
            }
            None => {
                // A cast, or a colon within a literal.
                let skipped = if after.starts_with("::") { 2 } else { 1 };
                sql.push_str(&after[..skipped]);
                rest = &after[skipped..];
            }
        }
    }
    sql.push_str(rest);
    Statement { sql: sql.leak(), arguments, sets }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_parameters_and_casts_stay() {
        let statement = parameters("SELECT :id::text, 'saga:' || :id, a::uuid, -:held_seq", Vec::new());
        assert_eq!(statement.sql, "SELECT $1::bigint::text, 'saga:' || $1::bigint, a::uuid, -$2::bigint");
        assert_eq!(statement.arguments, ["id", "held_seq"]);
    }

    #[test]
    fn a_floor_has_three_steps_and_what_stands_around_them_is_left_out() -> Result<()> {
        let floor = "-- Naive: floor\n\\set id 1\nINSERT INTO sagas;\nBEGIN;\nINSERT INTO orders;\nCOMMIT;\nBEGIN;\n\
            UPDATE balances RETURNING available, held \\gset\nCOMMIT;\nBEGIN;\nUPDATE orders;\nCOMMIT;\nUPDATE sagas;";
        let steps = Steps::of(floor.to_owned())?;
        assert_eq!(steps.draft.0.len(), 1);
        assert_eq!(steps.hold.0[0].sets, ["available", "held"]);
        assert_eq!(steps.hold.0[0].sql.trim_end(), "UPDATE balances RETURNING available::text, held::text");
        assert_eq!(steps.confirm.0[0].sql, "UPDATE orders");
        assert!(Steps::of("BEGIN;\nCOMMIT;".to_owned()).is_err());
        Ok(())
    }
}
