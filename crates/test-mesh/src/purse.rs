//! Verbs about money and shares.

use brokerage_proto::asset::v1 as wire;
use brokerage_types::Amount;
use tonic::Status;

use crate::person::{Person, fresh};

/// What somebody has of one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Free to use.
    pub usable: String,
    /// Held for open orders.
    pub held: String,
}

/// What a test expects somebody to have.
#[must_use]
pub fn holding(usable: &str, held: &str) -> Holding {
    Holding { usable: usable.to_owned(), held: held.to_owned() }
}

impl Person {
    /// Pays into the account of a customer.
    pub async fn deposits(&self, customer_id: &str, asset: &str, amount: &str) {
        self.tries_to_deposit(deposit(customer_id, asset, amount)).await.unwrap();
    }

    /// The same, with the outcome.
    ///
    /// # Errors
    /// The refusal.
    pub async fn tries_to_deposit(
        &self,
        request: wire::DepositRequest,
    ) -> Result<wire::MovementResponse, Status> {
        self.assets.clone().deposit(request).await.map(tonic::Response::into_inner)
    }

    /// Takes usable money or shares out, if there are any.
    ///
    /// # Errors
    /// The refusal.
    pub async fn tries_to_withdraw(
        &self,
        asset: &str,
        amount: &str,
    ) -> Result<wire::MovementResponse, Status> {
        let request = wire::WithdrawRequest {
            request_id: fresh(),
            customer_id: self.customer_id.clone(),
            asset: asset.to_owned(),
            amount: amount.to_owned(),
        };
        self.assets.clone().withdraw(request).await.map(tonic::Response::into_inner)
    }

    /// What this customer has of an asset. What was never there is nothing.
    pub async fn has(&self, asset: &str) -> Holding {
        let request = wire::ListAssetsRequest {
            customer_id: self.customer_id.clone(),
            asset: asset.to_owned(),
            ..Default::default()
        };
        let listed = self.assets.clone().list_assets(request).await.unwrap().into_inner();
        match listed.balances.as_slice() {
            [] => holding("0", "0"),
            [balance] => {
                let amount = |text: &str| Amount::parse(text).unwrap();
                let sum = amount(&balance.usable).checked_add(amount(&balance.held)).unwrap();
                assert_eq!(sum, amount(&balance.total), "total = usable + held: {balance:?}");
                holding(&balance.usable, &balance.held)
            }
            several => panic!("{asset} is listed more than once: {several:?}"),
        }
    }

    /// Every posting of this customer in an asset, oldest first, page by page.
    pub async fn statement(&self, asset: &str) -> Vec<wire::Posting> {
        let mut request = wire::ListPostingsRequest {
            customer_id: self.customer_id.clone(),
            asset: asset.to_owned(),
            page_size: 7,
            ..Default::default()
        };
        let mut postings = Vec::new();
        loop {
            let page = self.assets.clone().list_postings(request.clone()).await.unwrap().into_inner();
            postings.extend(page.postings);
            if page.next_page_token.is_empty() {
                return postings;
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Creates or changes a customer.
    pub async fn registers(&self, customer_id: &str, state: wire::CustomerState) {
        let customer = Some(customer(customer_id, state));
        let request = wire::UpsertCustomerRequest { request_id: fresh(), customer };
        self.customers.clone().upsert_customer(request).await.unwrap();
    }

    /// Stops a customer from trading.
    pub async fn freezes(&self, customer_id: &str) {
        self.registers(customer_id, wire::CustomerState::Frozen).await;
    }

    /// Lets a frozen customer trade again.
    pub async fn thaws(&self, customer_id: &str) {
        self.registers(customer_id, wire::CustomerState::Active).await;
    }
}

fn deposit(customer_id: &str, asset: &str, amount: &str) -> wire::DepositRequest {
    wire::DepositRequest {
        request_id: fresh(),
        customer_id: customer_id.to_owned(),
        asset: asset.to_owned(),
        amount: amount.to_owned(),
        ..Default::default()
    }
}

fn customer(customer_id: &str, state: wire::CustomerState) -> wire::Customer {
    wire::Customer {
        customer_id: customer_id.to_owned(),
        name: format!("The customer {customer_id}"),
        tier: wire::Tier::Standard.into(),
        state: state.into(),
        version: 0,
    }
}
