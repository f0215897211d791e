//! What the participants' inboxes know of sagas that have begun: read for anti-entropy.
//!
//! Not here: which of them is lost, and what becomes of it (`shell/orphans`).

use std::time::Duration;

use brokerage_proto::common::v1::inbox_participant_client::InboxParticipantClient;
use brokerage_proto::common::v1::{GetIntentsRequest, ListFirstStepsRequest};
use brokerage_proto::saga::v1 as wire;
use brokerage_types::SagaId;
use prost::Message;
use service_kit::channel::{self, PeerChannel};
use service_kit::fault::Fault;
use service_kit::run::{BootError, Kit};
use service_kit::telemetry::TraceParent;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::sagas::command::Participant;
use crate::store::Intent;

/// Both inboxes.
#[derive(Clone)]
pub struct Inboxes {
    order: InboxParticipantClient<PeerChannel>,
    asset: InboxParticipantClient<PeerChannel>,
    deadline: Duration,
}

/// Sagas that have begun.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Their numbers.
    pub saga_ids: Vec<Uuid>,
    /// Where to go on.
    pub cursor: String,
    /// Whether more is there already.
    pub has_more: bool,
}

/// A saga as a participant remembers it.
#[derive(Clone, Debug)]
pub struct Remembered {
    /// Its number.
    pub saga_id: SagaId,
    /// Its process.
    pub kind: String,
    /// Version of its definition.
    pub version: i16,
    /// Who asked for it.
    pub caller: String,
    /// With which request id.
    pub request_id: Uuid,
    /// Over the request.
    pub request_hash: [u8; 32],
    /// Its input.
    pub input: String,
    /// The span of its first driver, if its trace is recorded.
    pub trace: Option<TraceParent>,
}

impl Inboxes {
    /// Prepares the channels; nothing is connected yet.
    ///
    /// # Errors
    /// A peer's address is wrong.
    pub fn connect(kit: &Kit, deadline: Duration) -> Result<Self, BootError> {
        let settings = &kit.settings;
        let limit = settings.limits.internal_message_bytes;
        let client = |uri: &str| -> Result<_, BootError> {
            let channel = channel::connect(uri, &settings.auth, &kit.metrics)?;
            Ok(InboxParticipantClient::new(channel).max_decoding_message_size(limit))
        };
        Ok(Self { order: client(&settings.peers.order)?, asset: client(&settings.peers.asset)?, deadline })
    }

    /// Sagas whose first step one participant has done so long ago, after the cursor.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn begun(
        &self,
        participant: Participant,
        (older_than, horizon): (Duration, Duration),
        cursor: &str,
    ) -> Result<Begun, Fault> {
        let message = ListFirstStepsRequest {
            older_than_ms: u32::try_from(older_than.as_millis()).unwrap_or(u32::MAX),
            horizon_ms: u64::try_from(horizon.as_millis()).unwrap_or(u64::MAX),
            cursor: cursor.to_owned(),
        };
        let mut client = self.client(participant);
        let answer = client.list_first_steps(self.asked(message)).await;
        let answer = answer.map_err(|status| unheard(participant, &status))?.into_inner();
        let saga_ids = answer.saga_ids.iter().filter_map(|text| text.parse().ok()).collect();
        Ok(Begun { saga_ids, cursor: answer.next_cursor, has_more: answer.has_more })
    }

    /// These sagas as one participant remembers them. What it has kept and cannot be read is left out, with a word.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn remembered(
        &self,
        participant: Participant,
        saga_ids: &[Uuid],
    ) -> Result<Vec<Remembered>, Fault> {
        let message = GetIntentsRequest { saga_ids: saga_ids.iter().map(Uuid::to_string).collect() };
        let mut client = self.client(participant);
        let answer = client.get_intents(self.asked(message)).await;
        let answer = answer.map_err(|status| unheard(participant, &status))?.into_inner();
        let read = |kept: &brokerage_proto::common::v1::KeptIntent| {
            let remembered = decode(&kept.saga_id, &kept.intent);
            if remembered.is_none() {
                tracing::error!(
                    saga_id = kept.saga_id,
                    "the intent of lost saga {} cannot be read",
                    kept.saga_id
                );
            }
            remembered
        };
        Ok(answer.intents.iter().filter_map(read).collect())
    }

    fn client(&self, participant: Participant) -> InboxParticipantClient<PeerChannel> {
        match participant {
            Participant::Order => self.order.clone(),
            Participant::Asset => self.asset.clone(),
        }
    }

    fn asked<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.deadline);
        request
    }
}

fn unheard(participant: Participant, status: &Status) -> Fault {
    Fault::unavailable(format!("ask the inbox of {}: {status}", participant.as_str()))
}

/// What travels with a saga's first steps.
#[must_use]
pub fn encode(intent: &Intent) -> Vec<u8> {
    let message = wire::Intent {
        kind: intent.kind.to_owned(),
        version: u32::try_from(intent.version).unwrap_or_default(),
        caller: intent.caller.clone(),
        request_id: intent.request_id.as_bytes().to_vec(),
        request_hash: intent.request_hash.to_vec(),
        input_json: intent.input.clone(),
        traceparent: intent.trace.map(|trace| trace.to_string()).unwrap_or_default(),
    };
    message.encode_to_vec()
}

fn decode(saga_id: &str, bytes: &[u8]) -> Option<Remembered> {
    let message = wire::Intent::decode(bytes).ok()?;
    Some(Remembered {
        saga_id: SagaId::parse(saga_id).ok()?,
        kind: message.kind,
        version: i16::try_from(message.version).ok()?,
        caller: message.caller,
        request_id: Uuid::from_slice(&message.request_id).ok()?,
        request_hash: message.request_hash.try_into().ok()?,
        input: message.input_json,
        trace: TraceParent::parse(&message.traceparent),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sagas::{Input, Kind, create_order};

    #[test]
    fn an_intent_is_read_as_it_was_written_and_is_small() {
        let saga_id = SagaId::from(Uuid::now_v7());
        let input = Input::CreateOrder(create_order::Input {
            order_id: saga_id.uuid().into(),
            customer_id: "customer-a".parse().unwrap(),
            client_order_id: saga_id.to_string().parse().unwrap(),
            instrument: "THYAO".parse().unwrap(),
            base_asset: "THYAO".parse().unwrap(),
            quote_asset: "TRY".parse().unwrap(),
            side: brokerage_types::Side::Buy,
            limit_price: "300.5".parse().unwrap(),
            quantity: "10".parse().unwrap(),
            created_by: "customer-a".parse().unwrap(),
        });
        let intent = Intent {
            saga_id,
            kind: Kind::CreateOrder.as_str(),
            version: 1,
            caller: "customer-a".to_owned(),
            request_id: Uuid::now_v7(),
            request_hash: [7; 32],
            input: serde_json::to_string(&input).unwrap(),
            orders: [None, None],
            conflict_key: None,
            owner: Uuid::nil(),
            trace: None,
        };
        let bytes = encode(&intent);
        println!("{} bytes", bytes.len());
        assert!(bytes.len() <= 448, "{} bytes travel and are kept with each first step", bytes.len());
        let remembered = decode(&saga_id.to_string(), &bytes).unwrap();
        assert_eq!((remembered.saga_id, remembered.request_id), (saga_id, intent.request_id));
        assert_eq!((remembered.input, remembered.request_hash), (intent.input, intent.request_hash));
        assert!(decode("none", &bytes).is_none() && decode(&saga_id.to_string(), b"\xff").is_none());
    }
}
