//! Runs one step's statements in a transaction that the caller has begun and will commit.
//!
//! Both peers bring a version of sqlx of their own, so the statements meet them through one small trait.

use serde::{Deserialize, Serialize};

use crate::script::{Statement, Step};

/// What a saga is about.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The saga's, the order's and the hold's number.
    pub id: i64,
    /// Whose order it is.
    pub customer: u32,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every statement had its effect.
    Done,
    /// A row that has to be changed is not there, or not in the right state. Roll back.
    Refused,
}

/// A connection with an open transaction.
pub trait Session {
    /// What can go wrong.
    type Error;
    /// Runs a statement; says how many rows it changed.
    async fn change(&mut self, sql: &'static str, arguments: Vec<String>) -> Result<u64, Self::Error>;
    /// Runs a statement; says what its row holds, if there is one.
    async fn row(
        &mut self,
        sql: &'static str,
        arguments: Vec<String>,
    ) -> Result<Option<Vec<String>>, Self::Error>;
}

/// Runs the statements of `step`; stops at the first that changes nothing.
///
/// # Errors
/// When a statement fails: roll back.
pub async fn run<S: Session>(session: &mut S, step: &Step, order: Order) -> Result<Verdict, S::Error> {
    let mut known = vec![("id", order.id.to_string()), ("customer", order.customer.to_string())];
    for statement in &step.0 {
        let arguments = arguments(statement, &known);
        let changed = if statement.sets.is_empty() {
            session.change(statement.sql, arguments).await? > 0
        } else {
            let row = session.row(statement.sql, arguments).await?;
            let changed = row.is_some();
            known.extend(statement.sets.iter().copied().zip(row.into_iter().flatten()));
            changed
        };
        if !changed {
            return Ok(Verdict::Refused);
        }
    }
    Ok(Verdict::Done)
}

fn arguments(statement: &Statement, known: &[(&'static str, String)]) -> Vec<String> {
    let value =
        |name: &&str| known.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    statement.arguments.iter().map(|name| value(name).unwrap_or_default()).collect()
}

impl Session for sqlx::PgConnection {
    type Error = sqlx::Error;

    async fn change(&mut self, sql: &'static str, arguments: Vec<String>) -> Result<u64, sqlx::Error> {
        let query = arguments.into_iter().fold(sqlx::query(sql), sqlx::query::Query::bind);
        Ok(query.execute(self).await?.rows_affected())
    }

    async fn row(
        &mut self,
        sql: &'static str,
        arguments: Vec<String>,
    ) -> Result<Option<Vec<String>>, sqlx::Error> {
        use sqlx::Row;
        let query = arguments.into_iter().fold(sqlx::query(sql), sqlx::query::Query::bind);
        let Some(row) = query.fetch_optional(self).await? else { return Ok(None) };
        (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>().map(Some)
    }
}

impl Session for sqlx_dtmrs::AnyConnection {
    type Error = sqlx_dtmrs::Error;

    async fn change(&mut self, sql: &'static str, arguments: Vec<String>) -> Result<u64, sqlx_dtmrs::Error> {
        let query = arguments.into_iter().fold(sqlx_dtmrs::query(sql), sqlx_dtmrs::query::Query::bind);
        Ok(query.execute(self).await?.rows_affected())
    }

    async fn row(
        &mut self,
        sql: &'static str,
        arguments: Vec<String>,
    ) -> Result<Option<Vec<String>>, sqlx_dtmrs::Error> {
        use sqlx_dtmrs::Row;
        let query = arguments.into_iter().fold(sqlx_dtmrs::query(sql), sqlx_dtmrs::query::Query::bind);
        let Some(row) = query.fetch_optional(self).await? else { return Ok(None) };
        (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>().map(Some)
    }
}
