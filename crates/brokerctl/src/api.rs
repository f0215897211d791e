//! Clients of every public service over one connection, with a token and a deadline on each call.

use std::time::Duration;

use anyhow::{Context, Result};
use brokerage_proto::asset::v1::asset_service_client::AssetServiceClient;
use brokerage_proto::asset::v1::customer_service_client::CustomerServiceClient;
use brokerage_proto::asset::v1::event_service_client::EventServiceClient as AssetEventsClient;
use brokerage_proto::order::v1::event_service_client::EventServiceClient as OrderEventsClient;
use brokerage_proto::order::v1::order_service_client::OrderServiceClient;
use brokerage_proto::saga::v1::saga_service_client::SagaServiceClient;
use brokerage_proto::trading::v1::trading_service_client::TradingServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// How long a call may take unless told otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

/// A channel that shows the caller's token.
pub type Authorised = InterceptedService<Channel, Credentials>;

/// Adds the token and the deadline to every call.
#[derive(Clone)]
pub struct Credentials {
    bearer: MetadataValue<Ascii>,
    deadline: Option<Duration>,
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.bearer.clone());
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        Ok(request)
    }
}

/// Every public service. Cheap to clone; clones share the connection.
#[derive(Clone)]
pub struct Api {
    /// Create, cancel, match.
    pub trading: TradingServiceClient<Authorised>,
    /// Orders, trades, instruments.
    pub orders: OrderServiceClient<Authorised>,
    /// Balances and movements.
    pub assets: AssetServiceClient<Authorised>,
    /// Customers.
    pub customers: CustomerServiceClient<Authorised>,
    /// Sagas. No deadline: watching takes as long as it takes.
    pub sagas: SagaServiceClient<Authorised>,
    /// What happens to orders. No deadline either.
    pub order_events: OrderEventsClient<Authorised>,
    /// What happens to accounts and holds. No deadline either.
    pub asset_events: AssetEventsClient<Authorised>,
}

impl Api {
    /// Connects to `server` (`http://host:port`, or `host:port`) when first used, as the holder of `token`.
    ///
    /// # Errors
    /// When the address or the token cannot be sent at all.
    pub fn new(server: &str, token: &str) -> Result<Self> {
        Self::with_deadline(server, token, DEFAULT_DEADLINE)
    }

    /// The same with another deadline for each call.
    ///
    /// # Errors
    /// See [`Api::new`].
    pub fn with_deadline(server: &str, token: &str, deadline: Duration) -> Result<Self> {
        Ok(Self::over(endpoint(server)?.connect_lazy(), credentials(token, Some(deadline))?))
    }

    /// The same services as somebody else, over the same kind of connection.
    fn over(channel: Channel, credentials: Credentials) -> Self {
        let watching = Credentials { deadline: None, ..credentials.clone() };
        let authorised = InterceptedService::new(channel.clone(), credentials);
        let watching = InterceptedService::new(channel, watching);
        Self {
            trading: TradingServiceClient::new(authorised.clone()),
            orders: OrderServiceClient::new(authorised.clone()),
            assets: AssetServiceClient::new(authorised.clone()),
            customers: CustomerServiceClient::new(authorised),
            sagas: SagaServiceClient::new(watching.clone()),
            order_events: OrderEventsClient::new(watching.clone()),
            asset_events: AssetEventsClient::new(watching),
        }
    }
}

/// Where a server is, from what a person types.
///
/// # Errors
/// When it is no address.
pub fn endpoint(server: &str) -> Result<Endpoint> {
    let uri = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let endpoint = Endpoint::from_shared(uri).with_context(|| format!("`{server}` is not an address"))?;
    Ok(endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true))
}

fn credentials(token: &str, deadline: Option<Duration>) -> Result<Credentials> {
    let mut bearer: MetadataValue<Ascii> =
        format!("Bearer {token}").parse().context("the token holds characters that cannot be sent")?;
    bearer.set_sensitive(true);
    Ok(Credentials { bearer, deadline })
}
