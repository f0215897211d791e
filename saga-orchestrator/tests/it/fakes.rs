//! Both participants over real gRPC, with a real inbox in memory and faults at will.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use brokerage_proto::asset::v1 as asset;
use brokerage_proto::asset::v1::asset_participant_server::{AssetParticipant, AssetParticipantServer};
use brokerage_proto::common::v1::{Side, StepContext, StepReply, Verdict};
use brokerage_proto::order::v1 as order;
use brokerage_proto::order::v1::order_participant_server::{OrderParticipant, OrderParticipantServer};
use brokerage_types::Reason;
use service_kit::executor::do_together;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// How a command fares.
#[derive(Clone, Debug)]
pub enum Mood {
    /// A business rule refuses it.
    Refuses(Reason),
    /// Nobody answers.
    Silent,
    /// It cannot be done, whoever asks how often.
    Broken,
    /// The check asks for patience.
    NotNow,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Row {
    Done,
    Rejected(String),
    Undone(String),
}

/// What the participants know, and how they feel.
#[derive(Default)]
pub struct Fakes {
    inbox: Mutex<HashMap<(String, u32), Row>>,
    moods: Mutex<HashMap<&'static str, Mood>>,
    effects: Mutex<HashMap<&'static str, u32>>,
    /// Orders by id: (side, limit price, status).
    orders: Mutex<HashMap<String, (Side, String, order::OrderStatus)>>,
}

type Reply = Result<Response<StepReply>, Status>;

impl Fakes {
    /// Serves both on a free port, and says where.
    pub async fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder()
            .add_service(OrderParticipantServer::from_arc(Arc::clone(self)))
            .add_service(AssetParticipantServer::from_arc(Arc::clone(self)));
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        uri
    }

    pub fn feel(&self, command: &'static str, mood: Mood) {
        self.moods.lock().unwrap().insert(command, mood);
    }

    pub fn feel_well(&self, command: &'static str) {
        self.moods.lock().unwrap().remove(command);
    }

    /// How often a command took effect, net of compensations it does not count.
    pub fn effects(&self, command: &'static str) -> u32 {
        self.effects.lock().unwrap().get(command).copied().unwrap_or(0)
    }

    pub fn order(&self, order_id: &str, side: Side, limit_price: &str, status: order::OrderStatus) {
        self.orders.lock().unwrap().insert(order_id.to_owned(), (side, limit_price.to_owned(), status));
    }

    fn mood(&self, command: &'static str) -> Option<Mood> {
        self.moods.lock().unwrap().get(command).cloned()
    }

    async fn step(&self, command: &'static str, context: Option<StepContext>) -> Reply {
        let context = context.unwrap();
        let refusal = match self.mood(command) {
            None => None,
            Some(Mood::Refuses(reason)) => Some(reason),
            Some(Mood::Silent) => std::future::pending().await,
            Some(Mood::Broken) => return Err(Status::failed_precondition("broken")),
            Some(Mood::NotNow) => return answer(Verdict::NotNow, ""),
        };
        let key = (context.saga_id, context.step);
        let mut inbox = self.inbox.lock().unwrap();
        let row = inbox.entry(key).or_insert_with(|| match refusal {
            Some(reason) => Row::Rejected(reason.as_str().to_owned()),
            None => {
                *self.effects.lock().unwrap().entry(command).or_default() += 1;
                Row::Done
            }
        });
        match row {
            Row::Done => answer(Verdict::Done, ""),
            Row::Rejected(reason) => answer(Verdict::Rejected, reason),
            Row::Undone(reason) => answer(Verdict::Tombstone, reason),
        }
    }

    fn undo(&self, context: Option<StepContext>, reason: String, is_pivot: bool) -> Reply {
        let context = context.unwrap();
        let mut inbox = self.inbox.lock().unwrap();
        let row = inbox.entry((context.saga_id, context.step)).or_insert_with(|| Row::Undone(reason.clone()));
        match row {
            Row::Done if is_pivot => return answer(Verdict::Refused, ""),
            Row::Done => *row = Row::Undone(reason),
            Row::Rejected(_) | Row::Undone(_) => {}
        }
        match row {
            Row::Done => answer(Verdict::Done, ""),
            Row::Rejected(stored) | Row::Undone(stored) => answer(Verdict::Done, stored),
        }
    }
}

fn answer(verdict: Verdict, reason: &str) -> Reply {
    let now = chrono::Utc::now();
    let database_time = Some(prost_types::Timestamp {
        seconds: now.timestamp(),
        nanos: i32::try_from(now.timestamp_subsec_nanos()).unwrap(),
    });
    let (verdict, reason) = (verdict.into(), reason.to_owned());
    Ok(Response::new(StepReply { verdict, reason, database_time, highest_epoch: 0 }))
}

#[tonic::async_trait]
impl OrderParticipant for Fakes {
    async fn draft(&self, request: Request<order::DraftRequest>) -> Reply {
        self.step("draft", request.into_inner().context).await
    }
    async fn open(&self, request: Request<order::OpenRequest>) -> Reply {
        self.step("open", request.into_inner().context).await
    }
    async fn begin_cancel(&self, request: Request<order::BeginCancelRequest>) -> Reply {
        self.step("begin_cancel", request.into_inner().context).await
    }
    async fn await_drain(&self, request: Request<order::AwaitDrainRequest>) -> Reply {
        self.step("await_drain", request.into_inner().context).await
    }
    async fn confirm_cancel(&self, request: Request<order::ConfirmCancelRequest>) -> Reply {
        self.step("confirm_cancel", request.into_inner().context).await
    }
    async fn reserve_match(&self, request: Request<order::ReserveMatchRequest>) -> Reply {
        self.step("reserve_match", request.into_inner().context).await
    }
    async fn apply_fill(&self, request: Request<order::ApplyFillRequest>) -> Reply {
        self.step("apply_fill", request.into_inner().context).await
    }
    async fn compensate(&self, request: Request<order::CompensateRequest>) -> Reply {
        let request = request.into_inner();
        let kind = request.command.unwrap().kind.unwrap();
        let is_pivot = matches!(kind, order::order_command::Kind::Open(_));
        self.undo(request.context, request.reason, is_pivot)
    }

    async fn do_steps(
        &self,
        request: Request<order::DoStepsRequest>,
    ) -> Result<Response<order::DoStepsReply>, Status> {
        use order::order_step::Kind;
        let steps = request.into_inner().steps.into_iter().map(|step| (step.traceparent, step.kind));
        let outcomes = do_together(steps.collect(), |step: Option<Kind>| async move {
            match step.unwrap() {
                Kind::Draft(step) => self.draft(Request::new(step)).await,
                Kind::Open(step) => self.open(Request::new(step)).await,
                Kind::BeginCancel(step) => self.begin_cancel(Request::new(step)).await,
                Kind::ConfirmCancel(step) => self.confirm_cancel(Request::new(step)).await,
                Kind::ReserveMatch(step) => self.reserve_match(Request::new(step)).await,
                Kind::ApplyFill(step) => self.apply_fill(Request::new(step)).await,
                Kind::Compensate(step) => OrderParticipant::compensate(self, Request::new(step)).await,
            }
        });
        Ok(Response::new(order::DoStepsReply { outcomes: outcomes.await? }))
    }

    async fn get_terms(
        &self,
        request: Request<order::GetTermsRequest>,
    ) -> Result<Response<order::OrderTerms>, Status> {
        let request = request.into_inner();
        let orders = self.orders.lock().unwrap();
        let Some((side, limit_price, status)) = orders.get(&request.order_id) else {
            return Err(Status::not_found("no such order"));
        };
        let customer_id = if *side == Side::Buy { "customer-a" } else { "customer-b" };
        let scope = request.scope.unwrap();
        if !scope.any && !scope.customer_ids.iter().any(|customer| customer == customer_id) {
            return Err(Status::not_found("no such order"));
        }
        Ok(Response::new(order::OrderTerms {
            order_id: request.order_id.clone(),
            customer_id: customer_id.to_owned(),
            instrument: "THYAO".to_owned(),
            base_asset: "THYAO".to_owned(),
            quote_asset: "TRY".to_owned(),
            side: (*side).into(),
            limit_price: limit_price.clone(),
            matchable_quantity: "10".to_owned(),
            status: (*status).into(),
            accept_seq: if *side == Side::Buy { 1 } else { 2 },
            client_order_id: "label".to_owned(),
            read_at: None,
        }))
    }

    async fn get_instrument_terms(
        &self,
        request: Request<order::GetInstrumentTermsRequest>,
    ) -> Result<Response<order::Instrument>, Status> {
        if request.get_ref().symbol != "THYAO" {
            return Err(Status::not_found("no such instrument"));
        }
        let band = order::TickBand { from_price: "0".to_owned(), tick: "0.01".to_owned() };
        Ok(Response::new(order::Instrument {
            symbol: "THYAO".to_owned(),
            base_asset: "THYAO".to_owned(),
            quote_asset: "TRY".to_owned(),
            price_scale: 2,
            quantity_scale: 0,
            quote_ledger_scale: 6,
            tick_bands: vec![band],
            lot: "1".to_owned(),
            state: order::InstrumentState::Open.into(),
            version: 1,
            ..order::Instrument::default()
        }))
    }
}

#[tonic::async_trait]
impl AssetParticipant for Fakes {
    async fn place_hold(&self, request: Request<asset::PlaceHoldRequest>) -> Reply {
        self.step("place_hold", request.into_inner().context).await
    }
    async fn release_hold(&self, request: Request<asset::ReleaseHoldRequest>) -> Reply {
        self.step("release_hold", request.into_inner().context).await
    }
    async fn settle_trade(&self, request: Request<asset::SettleTradeRequest>) -> Reply {
        self.step("settle_trade", request.into_inner().context).await
    }
    async fn compensate(&self, request: Request<asset::CompensateRequest>) -> Reply {
        let request = request.into_inner();
        let kind = request.command.unwrap().kind.unwrap();
        let is_pivot = !matches!(kind, asset::asset_command::Kind::PlaceHold(_));
        self.undo(request.context, request.reason, is_pivot)
    }

    async fn do_steps(
        &self,
        request: Request<asset::DoStepsRequest>,
    ) -> Result<Response<asset::DoStepsReply>, Status> {
        use asset::asset_step::Kind;
        let steps = request.into_inner().steps.into_iter().map(|step| (step.traceparent, step.kind));
        let outcomes = do_together(steps.collect(), |step: Option<Kind>| async move {
            match step.unwrap() {
                Kind::PlaceHold(step) => self.place_hold(Request::new(step)).await,
                Kind::ReleaseHold(step) => self.release_hold(Request::new(step)).await,
                Kind::SettleTrade(step) => self.settle_trade(Request::new(step)).await,
                Kind::Compensate(step) => AssetParticipant::compensate(self, Request::new(step)).await,
            }
        });
        Ok(Response::new(asset::DoStepsReply { outcomes: outcomes.await? }))
    }

    async fn get_customer_terms(
        &self,
        request: Request<asset::GetCustomerTermsRequest>,
    ) -> Result<Response<asset::CustomerTerms>, Status> {
        let request = request.into_inner();
        if request.customer_id == "nobody" {
            return Err(Status::not_found("no such customer"));
        }
        let hold_refusal = match (request.hold, self.mood("place_hold")) {
            (Some(_), Some(Mood::Refuses(reason))) => reason.as_str().to_owned(),
            _ => String::new(),
        };
        Ok(Response::new(asset::CustomerTerms { state: asset::CustomerState::Active.into(), hold_refusal }))
    }
}
