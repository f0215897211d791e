//! Sends a body as it is, and reads the status from wherever it comes.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use service_kit::auth::{SERVICE_NAME_HEADER, SERVICE_SECRET_HEADER};
use service_kit::settings::DEV_SERVICE_SECRET;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower::{Service, ServiceExt};

use super::frame::{Frame, HEAD_BYTES};
use super::rpc::Door;

/// Nobody needs longer for one message.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a caller stays that will not finish.
const RUDE_PATIENCE: Duration = Duration::from_millis(5);

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// OK, with the message that came; of a stream, with all of them, frames included, but for the first head.
    Good(Bytes),
    /// A gRPC status other than OK, and its words.
    Refused(i32, String),
    /// A refusal below gRPC.
    Http(u16),
    /// The caller left, or the transport ended the call.
    Nothing(String),
}

/// A connection to one listener, and who calls.
#[derive(Clone, Debug)]
pub struct Line {
    channel: Channel,
    identity: HeaderMap,
}

impl Line {
    /// A line to this listener as somebody who may call everything behind that door.
    ///
    /// # Errors
    /// An address or a token that cannot be sent.
    pub fn to(address: SocketAddr, door: Door, token: &str) -> Result<Self> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect_lazy();
        let mut identity = HeaderMap::new();
        match door {
            Door::Public => {
                let bearer = HeaderValue::from_str(&format!("Bearer {token}")).context("write the token")?;
                identity.insert(http::header::AUTHORIZATION, bearer);
            }
            Door::Internal => {
                for (name, value) in
                    [(SERVICE_NAME_HEADER, "orchestrator"), (SERVICE_SECRET_HEADER, DEV_SERVICE_SECRET)]
                {
                    let name = HeaderName::from_bytes(name.as_ref()).context("write the identity")?;
                    identity.insert(name, HeaderValue::from_static(value));
                }
            }
        }
        Ok(Self { channel, identity })
    }

    /// Sends one body, and waits for the whole answer.
    pub async fn send(&self, path: &str, frame: Frame) -> Answer {
        self.hear(path, frame, false).await
    }

    /// The same, but leaves a stream after its first message: some never end.
    pub async fn peek(&self, path: &str, frame: Frame) -> Answer {
        self.hear(path, frame, true).await
    }

    async fn hear(&self, path: &str, frame: Frame, is_first_enough: bool) -> Answer {
        let patience = if frame.is_finished { PATIENCE } else { RUDE_PATIENCE };
        match tokio::time::timeout(patience, self.exchange(path, frame, is_first_enough)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => Answer::Nothing(format!("{error:#}")),
            Err(_) => Answer::Nothing(format!("nothing within {patience:?}")),
        }
    }

    async fn exchange(&self, path: &str, frame: Frame, is_first_enough: bool) -> Result<Answer> {
        let mut request = Request::post(path).body(body(frame)).context("write the call")?;
        request.headers_mut().extend(self.identity.clone());
        let headers = request.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(http::header::TE, HeaderValue::from_static("trailers"));
        let mut channel = self.channel.clone();
        let response = channel.ready().await.context("connect")?.call(request).await.context("call")?;
        if response.status() != StatusCode::OK {
            return Ok(Answer::Http(response.status().as_u16()));
        }
        if let Some(answer) = status(response.headers(), &[]) {
            return Ok(answer);
        }
        let mut body = response.into_body();
        let (mut trailers, mut message) = (HeaderMap::new(), Vec::new());
        while let Some(part) = body.frame().await {
            match part.context("read the answer")?.into_data() {
                Ok(data) => message.extend_from_slice(&data),
                Err(part) => trailers = part.into_trailers().unwrap_or_default(),
            }
            if is_first_enough && has_first(&message) {
                return Ok(Answer::Good(Bytes::from(message.split_off(HEAD_BYTES))));
            }
        }
        Ok(status(&trailers, &message).unwrap_or_else(|| Answer::Nothing("no status came".to_owned())))
    }
}

fn body(frame: Frame) -> Body {
    if frame.is_finished {
        return Body::new(Full::new(frame.bytes));
    }
    let first = stream::iter([Ok::<_, Infallible>(http_body::Frame::data(frame.bytes))]);
    let never = stream::pending::<Result<http_body::Frame<Bytes>, Infallible>>();
    Body::new(StreamBody::new(first.chain(never)))
}

/// Whether a whole message is there, after its head: one byte of flags, four of length.
fn has_first(body: &[u8]) -> bool {
    let Some(length) = body.get(1..HEAD_BYTES).and_then(|bytes| bytes.try_into().ok()) else { return false };
    usize::try_from(u32::from_be_bytes(length)).is_ok_and(|length| body.len() >= HEAD_BYTES + length)
}

fn status(headers: &HeaderMap, body: &[u8]) -> Option<Answer> {
    let code: i32 = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    let words = headers.get("grpc-message").and_then(|words| words.to_str().ok()).unwrap_or_default();
    let message = body.get(HEAD_BYTES..).unwrap_or_default();
    let good = || Answer::Good(Bytes::copy_from_slice(message));
    Some(if code == 0 { good() } else { Answer::Refused(code, words.to_owned()) })
}
