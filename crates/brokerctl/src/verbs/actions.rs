//! `brokerctl saga actions`: who did what to which saga, and why.

use brokerage_proto::saga::v1::{ListOperatorActionsRequest, ListOperatorActionsResponse};
use clap::Args;
use comfy_table::Table;

use super::Limit;
use super::saga::status_text;
use crate::api::Api;
use crate::failure::Failure;
use crate::output::{Format, print, table, time};

/// See [`super::saga::SagaVerb::Actions`].
#[derive(Debug, Args)]
pub struct Actions {
    /// Of this saga only.
    #[arg(long, default_value = "")]
    saga_id: String,
    /// By this operator only.
    #[arg(long, default_value = "")]
    actor: String,
    #[command(flatten)]
    limit: Limit,
}

impl Actions {
    pub(super) async fn run(self, mut api: Api, format: Format) -> Result<(), Failure> {
        let mut request = ListOperatorActionsRequest {
            page_size: self.limit.page_size(0),
            page_token: String::new(),
            saga_id: self.saga_id,
            actor: self.actor,
        };
        let mut all = ListOperatorActionsResponse::default();
        loop {
            let page = api.sagas.list_operator_actions(request.clone()).await?.into_inner();
            all.actions.extend(page.actions);
            if !self.limit.wants_more(all.actions.len(), &page.next_page_token) {
                break;
            }
            request.page_size = self.limit.page_size(all.actions.len());
            request.page_token = page.next_page_token;
        }
        print(format, "brokerage.saga.v1.ListOperatorActionsResponse", &all, actions_table)?;
        Ok(())
    }
}

fn actions_table(list: &ListOperatorActionsResponse) -> Table {
    let mut table = table(&["at", "who", "did", "to saga", "which was", "outcome", "why"]);
    for action in &list.actions {
        table.add_row([
            time(action.at.as_ref()),
            action.actor.clone(),
            action.verb.clone(),
            action.saga_id.clone(),
            status_text(action.found()),
            action.outcome.clone(),
            action.reason.clone(),
        ]);
    }
    table
}
