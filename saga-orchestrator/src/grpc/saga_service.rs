//! SagaService: reads for operators, and watching. What they do is in `operate`.

use std::pin::Pin;
use std::time::Duration;

use brokerage_proto::saga::v1 as wire;
use brokerage_proto::saga::v1::saga_service_server::SagaService;
use brokerage_types::{OrderId, Reason, SagaId};
use futures::Stream;
use service_kit::fault::{ApiResult, Refusal};
use service_kit::page::PageRequest;
use service_kit::validate::Fields;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status as WireStatus};

use super::operate::Asked;
use super::{Desk, show, waiting};
use crate::engine::decide::Status;
use crate::sagas::Kind;
use crate::store::{Cursor, Filter, SagaRow, Verb};

/// A watcher looks at the database so often even if it hears nothing.
const LOOK: Duration = Duration::from_secs(1);
/// How many statuses a filter may name.
const STATUSES_MAX: usize = 5;

/// The service.
pub struct SagaApi {
    desk: Desk,
}

impl SagaApi {
    /// Works at this desk.
    #[must_use]
    pub fn new(desk: Desk) -> Self {
        Self { desk }
    }
}

impl Desk {
    pub(super) async fn row(&self, saga_id: &str) -> ApiResult<SagaRow> {
        let mut fields = Fields::new();
        let saga_id = fields.parse::<SagaId>("saga_id", saga_id);
        let saga_id = fields.finish(saga_id)?;
        let row = self.store.saga(saga_id).await?;
        row.ok_or_else(|| {
            Refusal::new(Reason::SagaNotFound, format!("no saga {saga_id}"))
                .with("saga_id", saga_id.to_string())
                .into()
        })
    }

    /// A saga with everything that was noted of it.
    async fn shown(&self, row: &SagaRow) -> ApiResult<wire::Saga> {
        let entries = self.store.entries(row.saga_id.into()).await?;
        let mut saga = show::saga(row)?;
        saga.steps = show::steps(row, &entries);
        Ok(saga)
    }

    async fn list(&self, request: wire::ListSagasRequest) -> ApiResult<wire::ListSagasResponse> {
        let filter = filter(&request)?;
        let page = PageRequest::parse(request.page_size, &request.page_token, &filter)?;
        let after = page.after.as_ref().map(service_kit::page::Cursor::read::<Cursor>).transpose()?;
        let rows = self.store.list(&filter, after, page.limit()).await?;
        let (rows, next_page_token) = page.cut(rows, |row| Cursor(row.saga_id))?;
        let sagas = rows.iter().map(show::saga).collect::<ApiResult<Vec<_>>>()?;
        Ok(wire::ListSagasResponse { sagas, next_page_token })
    }

    /// Sends the saga now and at every change, until it has ended or nobody listens.
    async fn follow(self, saga_id: SagaId, listener: mpsc::Sender<Result<wire::Saga, WireStatus>>) {
        let mut changes = self.changes.listen();
        let mut last = None;
        loop {
            let shown = async {
                let row = self.row(&saga_id.to_string()).await?;
                self.shown(&row).await
            };
            let shown = match shown.await {
                Ok(shown) => shown,
                Err(error) => return drop(listener.send(Err(error.into())).await),
            };
            let has_ended = shown.ended_at.is_some();
            if last.as_ref() != Some(&shown) {
                // Somebody who watches and does not read must not keep the process.
                let sent = tokio::select! {
                    () = self.kit.shutdown.cancelled() => return,
                    sent = listener.send(Ok(shown.clone())) => sent,
                };
                if sent.is_err() {
                    return;
                }
                last = Some(shown);
            }
            if has_ended {
                return;
            }
            tokio::select! {
                () = self.kit.shutdown.cancelled() => return,
                () = listener.closed() => return,
                () = waiting::changed(&mut changes, saga_id, LOOK) => {}
            }
        }
    }
}

fn filter(request: &wire::ListSagasRequest) -> ApiResult<Filter> {
    let mut fields = Fields::new();
    let mut statuses = Vec::new();
    for wire in request.statuses.iter().take(STATUSES_MAX + 1) {
        statuses.extend(fields.choice("statuses", *wire, show::status_of).map(Status::code));
    }
    if request.statuses.len() > STATUSES_MAX {
        fields.violate("statuses", Reason::FieldInvalid, format!("at most {STATUSES_MAX}"));
    }
    if !request.kind.is_empty() && Kind::parse(&request.kind).is_none() {
        let kinds = Kind::ALL.map(Kind::as_str).join(", ");
        fields.violate("kind", Reason::FieldInvalid, format!("must be one of {kinds}"));
    }
    let order_id = fields.optional::<OrderId>("order_id", &request.order_id);
    let order_id = fields.finish(order_id)?;
    let kind = (!request.kind.is_empty()).then(|| request.kind.clone());
    Ok(Filter { statuses, kind, order_id: order_id.map(Into::into) })
}

#[tonic::async_trait]
impl SagaService for SagaApi {
    type WatchSagaStream = Pin<Box<dyn Stream<Item = Result<wire::Saga, WireStatus>> + Send>>;

    async fn get_saga(
        &self,
        request: Request<wire::GetSagaRequest>,
    ) -> Result<Response<wire::Saga>, WireStatus> {
        let row = self.desk.row(&request.get_ref().saga_id).await?;
        Ok(Response::new(self.desk.shown(&row).await?))
    }

    async fn list_sagas(
        &self,
        request: Request<wire::ListSagasRequest>,
    ) -> Result<Response<wire::ListSagasResponse>, WireStatus> {
        self.desk.list(request.into_inner()).await.map(Response::new).map_err(WireStatus::from)
    }

    async fn watch_saga(
        &self,
        request: Request<wire::WatchSagaRequest>,
    ) -> Result<Response<Self::WatchSagaStream>, WireStatus> {
        let row = self.desk.row(&request.get_ref().saga_id).await?;
        let (listener, stream) = mpsc::channel(1);
        let following = self.desk.clone().follow(row.saga_id.into(), listener);
        self.desk.kit.tasks.spawn(following);
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn explain_saga(
        &self,
        request: Request<wire::ExplainSagaRequest>,
    ) -> Result<Response<wire::SagaExplanation>, WireStatus> {
        let explained = self.desk.explain(&request.get_ref().saga_id).await;
        explained.map(Response::new).map_err(WireStatus::from)
    }

    async fn list_operator_actions(
        &self,
        request: Request<wire::ListOperatorActionsRequest>,
    ) -> Result<Response<wire::ListOperatorActionsResponse>, WireStatus> {
        self.desk.actions(request.into_inner()).await.map(Response::new).map_err(WireStatus::from)
    }

    async fn retry_saga(
        &self,
        request: Request<wire::RetrySagaRequest>,
    ) -> Result<Response<wire::RetrySagaResponse>, WireStatus> {
        let asked = Asked::new(&request, Verb::Retry, |retry| (&retry.saga_id, &retry.reason))?;
        let found = self.desk.operate(asked).await?;
        Ok(Response::new(wire::RetrySagaResponse { status: show::status(found).into() }))
    }

    async fn abort_saga(
        &self,
        request: Request<wire::AbortSagaRequest>,
    ) -> Result<Response<wire::AbortSagaResponse>, WireStatus> {
        let asked = Asked::new(&request, Verb::Abort, |abort| (&abort.saga_id, &abort.reason))?;
        let found = self.desk.operate(asked).await?;
        Ok(Response::new(wire::AbortSagaResponse { status: show::status(found).into() }))
    }

    async fn pause_saga(
        &self,
        request: Request<wire::PauseSagaRequest>,
    ) -> Result<Response<wire::PauseSagaResponse>, WireStatus> {
        let asked = Asked::new(&request, Verb::Pause, |pause| (&pause.saga_id, &pause.reason))?;
        let found = self.desk.operate(asked).await?;
        Ok(Response::new(wire::PauseSagaResponse { status: show::status(found).into() }))
    }
}
