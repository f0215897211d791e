//! `brokerctl saga …`

use brokerage_proto::saga::v1::{
    AbortSagaRequest, GetSagaRequest, ListSagasRequest, ListSagasResponse, PauseSagaRequest,
    RetrySagaRequest, Saga, SagaStatus, WatchSagaRequest,
};
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;

use super::actions::Actions;
use super::{Limit, why};
use crate::api::Api;
use crate::cli::Connection;
use crate::failure::Failure;
use crate::output::{Format, card, print, say, short, table, time};

/// What can be done with sagas.
#[derive(Debug, Subcommand)]
pub enum SagaVerb {
    /// List sagas, newest first.
    List(List),
    /// Show one saga with every step and attempt.
    Show {
        /// The saga.
        saga_id: String,
    },
    /// Show a saga at every change until it has ended.
    Watch {
        /// The saga.
        saga_id: String,
    },
    /// Say what a saga waits for, and what to do about it.
    Why {
        /// The saga.
        saga_id: String,
    },
    /// Let a parked saga try again now.
    Retry {
        /// The saga.
        saga_id: String,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Park a saga until somebody retries or aborts it.
    Pause {
        /// The saga.
        saga_id: String,
        /// Why, for the record.
        #[arg(long)]
        reason: String,
    },
    /// List what operators did, newest first.
    Actions(Actions),
    /// Give a saga up, if its pivot has not run.
    Abort {
        /// The saga.
        saga_id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// A status, as typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[expect(missing_docs, reason = "the words of the proto file")]
pub enum StatusArg {
    Running,
    Compensating,
    Completed,
    RolledBack,
    Parked,
}

impl From<StatusArg> for SagaStatus {
    fn from(status: StatusArg) -> Self {
        match status {
            StatusArg::Running => Self::Running,
            StatusArg::Compensating => Self::Compensating,
            StatusArg::Completed => Self::Completed,
            StatusArg::RolledBack => Self::RolledBack,
            StatusArg::Parked => Self::Parked,
        }
    }
}

/// See [`SagaVerb::List`].
#[derive(Debug, Args)]
pub struct List {
    /// Any of these statuses.
    #[arg(long = "status", value_enum)]
    statuses: Vec<StatusArg>,
    /// One kind only, such as create_order.
    #[arg(long, default_value = "")]
    kind: String,
    /// Sagas of this order only.
    #[arg(long, default_value = "")]
    order_id: String,
    #[command(flatten)]
    limit: Limit,
}

impl SagaVerb {
    /// Calls the server and prints the answer.
    ///
    /// # Errors
    /// What the server refused, or why it could not be asked.
    pub async fn run(self, connection: &Connection) -> Result<(), Failure> {
        let mut api = Api::new(&connection.server, &connection.token)?;
        let format = connection.output;
        match self {
            Self::List(args) => args.run(api, format).await,
            Self::Show { saga_id } => {
                let saga = api.sagas.get_saga(GetSagaRequest { saga_id }).await?.into_inner();
                show(format, &saga)
            }
            Self::Watch { saga_id } => {
                let mut changes = api.sagas.watch_saga(WatchSagaRequest { saga_id }).await?.into_inner();
                while let Some(saga) = changes.message().await? {
                    show(format, &saga)?;
                }
                Ok(())
            }
            Self::Why { saga_id } => why::run(api, format, saga_id).await,
            Self::Actions(args) => args.run(api, format).await,
            Self::Pause { saga_id, reason } => {
                let answer = api.sagas.pause_saga(PauseSagaRequest { saga_id, reason }).await?.into_inner();
                print(format, "brokerage.saga.v1.PauseSagaResponse", &answer, |answer| was(answer.status()))?;
                Ok(())
            }
            Self::Retry { saga_id, reason } => {
                let answer = api.sagas.retry_saga(RetrySagaRequest { saga_id, reason }).await?.into_inner();
                print(format, "brokerage.saga.v1.RetrySagaResponse", &answer, |answer| was(answer.status()))?;
                Ok(())
            }
            Self::Abort { saga_id, reason } => {
                let answer = api.sagas.abort_saga(AbortSagaRequest { saga_id, reason }).await?.into_inner();
                print(format, "brokerage.saga.v1.AbortSagaResponse", &answer, |answer| was(answer.status()))?;
                Ok(())
            }
        }
    }
}

impl List {
    async fn run(self, mut api: Api, format: Format) -> Result<(), Failure> {
        let mut request = ListSagasRequest {
            page_size: self.limit.page_size(0),
            page_token: String::new(),
            statuses: self.statuses.iter().map(|status| SagaStatus::from(*status).into()).collect(),
            kind: self.kind,
            order_id: self.order_id,
        };
        let mut all = ListSagasResponse::default();
        loop {
            let page = api.sagas.list_sagas(request.clone()).await?.into_inner();
            all.sagas.extend(page.sagas);
            if !self.limit.wants_more(all.sagas.len(), &page.next_page_token) {
                break;
            }
            request.page_size = self.limit.page_size(all.sagas.len());
            request.page_token = page.next_page_token;
        }
        print(format, "brokerage.saga.v1.ListSagasResponse", &all, sagas_table)?;
        Ok(())
    }
}

pub(super) fn status_text(status: SagaStatus) -> String {
    short(status.as_str_name(), "SAGA_STATUS_")
}

fn was(status: SagaStatus) -> Table {
    card(&[("it was", status_text(status))])
}

fn show(format: Format, saga: &Saga) -> Result<(), Failure> {
    print(format, "brokerage.saga.v1.Saga", saga, saga_card)?;
    if format == Format::Table {
        say(format!("\n{}\n", steps_table(saga)));
    }
    Ok(())
}

fn saga_card(saga: &Saga) -> Table {
    card(&[
        ("saga", saga.saga_id.clone()),
        ("kind", format!("{} v{}", saga.kind, saga.definition_version)),
        ("status", status_text(saga.status())),
        ("reason", saga.reason.clone()),
        ("caller", saga.caller.clone()),
        ("request", saga.request_id.clone()),
        ("input", saga.input_json.clone()),
        ("epoch", saga.epoch.to_string()),
        ("driven by", saga.owner.clone()),
        ("created", time(saga.created_at.as_ref())),
        ("ended", time(saga.ended_at.as_ref())),
    ])
}

fn sagas_table(list: &ListSagasResponse) -> Table {
    let mut table = table(&["saga", "kind", "status", "reason", "caller", "created", "ended"]);
    for saga in &list.sagas {
        table.add_row([
            saga.saga_id.clone(),
            saga.kind.clone(),
            status_text(saga.status()),
            saga.reason.clone(),
            saga.caller.clone(),
            time(saga.created_at.as_ref()),
            time(saga.ended_at.as_ref()),
        ]);
    }
    table
}

/// One line for each recorded call, and one for a step that was not called yet.
fn steps_table(saga: &Saga) -> Table {
    let mut table = table(&["step", "name", "at service", "is", "call", "answer", "reason", "at"]);
    for step in &saga.steps {
        let head = [
            step.step.to_string(),
            step.name.clone(),
            step.participant.clone(),
            short(step.kind().as_str_name(), "STEP_KIND_"),
        ];
        if step.attempts.is_empty() {
            table.add_row(head.clone());
        }
        for attempt in &step.attempts {
            let direction = if attempt.compensation { "compensate" } else { "do" };
            let call = format!("{direction} {}", attempt.attempt);
            let rest = [call, attempt.reply.clone(), attempt.reason.clone(), time(attempt.at.as_ref())];
            table.add_row(head.iter().cloned().chain(rest));
        }
    }
    table
}
