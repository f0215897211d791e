//! `OrderService`: reads for users, and the commands that need no other service.

use brokerage_proto::order::v1 as proto;
use brokerage_proto::order::v1::order_service_server::OrderService;
use brokerage_types::{OrderId, Symbol};
use service_kit::auth::Principal;
use service_kit::database::Reads;
use service_kit::executor::{Answered, Executor, Once};
use service_kit::fault::{ApiResult, Fault};
use service_kit::page::{Cursor, PageRequest};
use service_kit::validate::Fields;
use tonic::{Request, Response, Status};

use super::{commands, instrument_not_found, order_id_not_found, order_not_found, read, respond, wire};
use crate::domain::command::Command;
use crate::store::books::{OrderBooks, Receipt};
use crate::store::reads;

/// Answers users.
#[derive(Clone)]
pub struct Public {
    executor: Executor<OrderBooks>,
    reads: Reads,
}

impl Public {
    /// Over a service's write path and reads.
    pub fn new(executor: Executor<OrderBooks>, reads: Reads) -> Self {
        Self { executor, reads }
    }

    async fn find_order(&self, request: Request<proto::GetOrderRequest>) -> ApiResult<proto::Order> {
        let principal = Principal::of(&request)?;
        let (key, detail) = read::get_order(&principal, request.get_ref())?;
        let visible = principal.scope().as_sql();
        let view = self.reads.run("read an order", |pool| reads::order(pool, key, visible, detail)).await?;
        Ok(wire::order_view(&view.ok_or_else(order_not_found)?))
    }

    async fn page_orders(
        &self,
        request: Request<proto::ListOrdersRequest>,
    ) -> ApiResult<proto::ListOrdersResponse> {
        let principal = Principal::of(&request)?;
        let request = request.get_ref();
        let filter = read::list_orders(&principal, request)?;
        let page = PageRequest::parse(request.page_size, &request.page_token, &filter)?;
        let after = page.after.as_ref().map(Cursor::read).transpose()?;
        let (sort, limit) = (filter.sort, page.limit());
        let orders = self.reads.run("list orders", |pool| reads::orders(pool, filter, after, limit)).await?;
        let (orders, next_page_token) = page.cut(orders, |order| sort.position(order))?;
        Ok(proto::ListOrdersResponse { orders: orders.iter().map(wire::order).collect(), next_page_token })
    }

    async fn page_trades(
        &self,
        request: Request<proto::ListTradesRequest>,
    ) -> ApiResult<proto::ListTradesResponse> {
        let principal = Principal::of(&request)?;
        let request = request.get_ref();
        let filter = read::list_trades(&principal, request)?;
        let page = PageRequest::parse(request.page_size, &request.page_token, &filter)?;
        let after = page.after.as_ref().map(Cursor::read).transpose()?;
        if let Some(order_id) = filter.order_id.map(OrderId::from) {
            let visible = filter.visible.clone();
            let found =
                self.reads.run("find an order", |pool| reads::is_visible(pool, order_id, visible)).await?;
            if !found {
                return Err(order_id_not_found(order_id).into());
            }
        }
        let limit = page.limit();
        let trades = self.reads.run("list trades", |pool| reads::trades(pool, filter, after, limit)).await?;
        let (trades, next_page_token) = page.cut(trades, reads::TradeView::position)?;
        Ok(proto::ListTradesResponse { trades: trades.iter().map(wire::trade).collect(), next_page_token })
    }

    async fn find_instrument(&self, symbol: &str) -> ApiResult<proto::Instrument> {
        let mut fields = Fields::new();
        let parsed = fields.parse::<Symbol>("symbol", symbol);
        let parsed = fields.finish(parsed)?;
        let listed = self.reads.run("read an instrument", |pool| reads::instrument(pool, parsed)).await?;
        Ok(wire::listed(&listed.ok_or_else(|| instrument_not_found(symbol))?))
    }

    async fn page_instruments(
        &self,
        request: &proto::ListInstrumentsRequest,
    ) -> ApiResult<proto::ListInstrumentsResponse> {
        let page = PageRequest::parse(request.page_size, &request.page_token, &"instruments")?;
        let after: Option<String> = page.after.as_ref().map(Cursor::read).transpose()?;
        let limit = page.limit();
        let listed =
            self.reads.run("list instruments", |pool| reads::instruments(pool, after, limit)).await?;
        let (listed, next_page_token) = page.cut(listed, |listed| listed.definition.symbol.to_string())?;
        let instruments = listed.iter().map(wire::listed).collect();
        Ok(proto::ListInstrumentsResponse { instruments, next_page_token })
    }

    async fn once(
        &self,
        principal: &Principal,
        rpc: &'static str,
        request_id: &str,
        command: Command,
    ) -> ApiResult<(Receipt, bool)> {
        let once = Once { caller: &principal.subject, rpc, request_id };
        let Answered { answer, replayed } = self.executor.once(once, command).await?;
        Ok((receipt(&answer)?, replayed))
    }

    async fn upsert(
        &self,
        request: Request<proto::UpsertInstrumentRequest>,
    ) -> ApiResult<proto::UpsertInstrumentResponse> {
        let principal = Principal::of(&request)?;
        let request = request.get_ref();
        let command = commands::upsert_instrument(request.instrument.as_ref())?;
        match self.once(&principal, "UpsertInstrument", &request.request_id, command).await? {
            (Receipt::Instrument { definition, version }, replayed) => {
                let instrument = Some(wire::instrument(&definition, version));
                Ok(proto::UpsertInstrumentResponse { instrument, replayed })
            }
            (Receipt::Order { .. }, _) => Err(wrong_receipt()),
        }
    }

    async fn suspend(
        &self,
        request: Request<proto::SuspendOrderRequest>,
    ) -> ApiResult<proto::SuspendOrderResponse> {
        let principal = Principal::of(&request)?;
        let request = request.get_ref();
        let wish = commands::suspension(&request.order_id, &request.reason, principal.actor())?;
        let command = Command::SuspendOrder(wish);
        match self.once(&principal, "SuspendOrder", &request.request_id, command).await? {
            (Receipt::Order { status, version }, replayed) => {
                let status = wire::status(status).into();
                Ok(proto::SuspendOrderResponse { status, version, replayed })
            }
            (Receipt::Instrument { .. }, _) => Err(wrong_receipt()),
        }
    }

    async fn resume(
        &self,
        request: Request<proto::ResumeOrderRequest>,
    ) -> ApiResult<proto::ResumeOrderResponse> {
        let principal = Principal::of(&request)?;
        let request = request.get_ref();
        let wish = commands::suspension(&request.order_id, &request.reason, principal.actor())?;
        let command = Command::ResumeOrder(wish);
        match self.once(&principal, "ResumeOrder", &request.request_id, command).await? {
            (Receipt::Order { status, version }, replayed) => {
                let status = wire::status(status).into();
                Ok(proto::ResumeOrderResponse { status, version, replayed })
            }
            (Receipt::Instrument { .. }, _) => Err(wrong_receipt()),
        }
    }
}

fn receipt(answer: &[u8]) -> ApiResult<Receipt> {
    serde_json::from_slice(answer).map_err(|error| Fault::internal("read a stored answer", error).into())
}

fn wrong_receipt() -> service_kit::fault::ApiError {
    Fault::internal("read a stored answer", "it is of another command").into()
}

#[tonic::async_trait]
impl OrderService for Public {
    async fn get_order(
        &self,
        request: Request<proto::GetOrderRequest>,
    ) -> Result<Response<proto::Order>, Status> {
        respond(self.find_order(request).await)
    }

    async fn list_orders(
        &self,
        request: Request<proto::ListOrdersRequest>,
    ) -> Result<Response<proto::ListOrdersResponse>, Status> {
        respond(self.page_orders(request).await)
    }

    async fn list_trades(
        &self,
        request: Request<proto::ListTradesRequest>,
    ) -> Result<Response<proto::ListTradesResponse>, Status> {
        respond(self.page_trades(request).await)
    }

    async fn get_instrument(
        &self,
        request: Request<proto::GetInstrumentRequest>,
    ) -> Result<Response<proto::Instrument>, Status> {
        respond(self.find_instrument(&request.get_ref().symbol).await)
    }

    async fn list_instruments(
        &self,
        request: Request<proto::ListInstrumentsRequest>,
    ) -> Result<Response<proto::ListInstrumentsResponse>, Status> {
        respond(self.page_instruments(request.get_ref()).await)
    }

    async fn upsert_instrument(
        &self,
        request: Request<proto::UpsertInstrumentRequest>,
    ) -> Result<Response<proto::UpsertInstrumentResponse>, Status> {
        respond(self.upsert(request).await)
    }

    async fn suspend_order(
        &self,
        request: Request<proto::SuspendOrderRequest>,
    ) -> Result<Response<proto::SuspendOrderResponse>, Status> {
        respond(self.suspend(request).await)
    }

    async fn resume_order(
        &self,
        request: Request<proto::ResumeOrderRequest>,
    ) -> Result<Response<proto::ResumeOrderResponse>, Status> {
        respond(self.resume(request).await)
    }
}
