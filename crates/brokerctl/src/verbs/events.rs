//! `brokerctl events`: follows the log of a service, across restarts of everything.

use std::time::Duration;

use brokerage_proto::common::v1::{SubscribeRequest, SubscribeResponse};
use clap::{Args, ValueEnum};
use tonic::{Code, Status, Streaming};

use crate::api::Api;
use crate::cli::Connection;
use crate::failure::Failure;
use crate::output::{Format, json, say, time};

/// Before going on from the last cursor after a stream has ended.
const PAUSE: Duration = Duration::from_millis(500);

/// Whose events.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Log {
    /// Orders, trades and instruments.
    Order,
    /// Accounts, the journal, holds and customers.
    Asset,
}

/// See [`crate::cli`].
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Whose events.
    #[arg(value_enum)]
    log: Log,
    /// Go on behind this cursor; every line of JSON output has one. Default: from the beginning.
    #[arg(long, default_value = "", conflicts_with = "from_end")]
    cursor: String,
    /// Only what happens from now on.
    #[arg(long)]
    from_end: bool,
    /// Only events of these kinds of things, such as order or hold.
    #[arg(long = "type")]
    aggregate_types: Vec<String>,
    /// End when all that has happened so far is printed. Default: go on.
    #[arg(long)]
    until_caught_up: bool,
}

impl EventsArgs {
    /// Prints events as they come.
    ///
    /// # Errors
    /// What the server refused. A server that goes away is waited for.
    pub async fn run(self, connection: &Connection) -> Result<(), Failure> {
        let mut api = Api::new(&connection.server, &connection.token)?;
        let mut request = SubscribeRequest {
            cursor: self.cursor,
            from_end: self.from_end,
            aggregate_types: self.aggregate_types,
        };
        loop {
            let why = match subscribe(&mut api, self.log, request.clone()).await {
                Ok(mut stream) => loop {
                    match stream.message().await {
                        Ok(Some(heard)) => {
                            request.cursor.clone_from(&heard.cursor);
                            show(connection.output, &heard)?;
                            if self.until_caught_up && heard.caught_up {
                                return Ok(());
                            }
                        }
                        Ok(None) => break None,
                        Err(status) => break Some(status),
                    }
                },
                Err(status) => Some(status),
            };
            match why {
                Some(status) if !is_passing(&status) => return Err(status.into()),
                Some(status) => eprintln!("going on from the last cursor: {}", status.message()),
                None => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn subscribe(
    api: &mut Api,
    log: Log,
    request: SubscribeRequest,
) -> Result<Streaming<SubscribeResponse>, Status> {
    let answer = match log {
        Log::Order => api.order_events.subscribe(request).await?,
        Log::Asset => api.asset_events.subscribe(request).await?,
    };
    Ok(answer.into_inner())
}

/// Whether the same question may be answered in a moment. A connection that was cut has several codes.
fn is_passing(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::ResourceExhausted | Code::Unknown | Code::Cancelled)
}

fn show(format: Format, heard: &SubscribeResponse) -> anyhow::Result<()> {
    let Some(event) = &heard.event else { return Ok(()) };
    match format {
        Format::Json => say(json("brokerage.common.v1.SubscribeResponse", heard)?),
        Format::Table => {
            let (at, kind, name) = (time(event.created_at.as_ref()), &event.aggregate_type, &event.r#type);
            say(format!(
                "{at}  {name}  {kind} {} #{}  {}",
                event.aggregate_id, event.seq, event.payload_json
            ));
        }
    }
    Ok(())
}
