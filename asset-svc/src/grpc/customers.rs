//! CustomerService: customers live here until identity is built.

use brokerage_proto::asset::v1 as wire;
use brokerage_proto::asset::v1::customer_service_server::CustomerService;
use service_kit::auth::Principal;
use service_kit::database::Reads;
use service_kit::executor::Executor;
use service_kit::fault::ApiResult;
use service_kit::page::PageRequest;
use tonic::{Request, Response, Status};

use super::answer::of_customer;
use super::assets::once;
use super::{no_customer, parse};
use crate::store::{AssetBooks, reads};

/// The handlers.
pub struct Customers {
    /// The write path.
    pub executor: Executor<AssetBooks>,
    /// The read path.
    pub reads: Reads,
}

impl Customers {
    async fn do_upsert_customer(
        &self,
        request: Request<wire::UpsertCustomerRequest>,
    ) -> ApiResult<wire::UpsertCustomerResponse> {
        let principal = Principal::of(&request)?;
        let request = request.into_inner();
        let command = parse::upsert_customer(&request)?;
        let key = ("UpsertCustomer", request.request_id.as_str());
        let (answer, replayed) =
            once::<wire::UpsertCustomerResponse>(&self.executor, &principal, key, command).await?;
        Ok(wire::UpsertCustomerResponse { replayed, ..answer })
    }

    async fn do_get_customer(&self, request: Request<wire::GetCustomerRequest>) -> ApiResult<wire::Customer> {
        let principal = Principal::of(&request)?;
        let customer = principal.customer_or_self(&request.get_ref().customer_id)?;
        let (id, visible) = (customer.clone(), principal.scope().as_sql());
        let found = self.reads.run("get a customer", |pool| reads::customer(pool, id, visible)).await?;
        Ok(of_customer(&found.ok_or_else(|| no_customer(&customer))?))
    }

    async fn do_list_customers(
        &self,
        request: Request<wire::ListCustomersRequest>,
    ) -> ApiResult<wire::ListCustomersResponse> {
        let visible = Principal::of(&request)?.scope().as_sql();
        let request = request.into_inner();
        let page = PageRequest::parse(request.page_size, &request.page_token, &"ListCustomers")?;
        let after = page.after.as_ref().map(|cursor| cursor.read::<String>()).transpose()?;
        let limit = page.limit();
        let found =
            self.reads.run("list customers", |pool| reads::customers(pool, visible, after, limit)).await?;
        let (customers, next_page_token) = page.cut(found, |customer| customer.customer_id.to_string())?;
        let customers = customers.iter().map(of_customer).collect();
        Ok(wire::ListCustomersResponse { customers, next_page_token })
    }
}

#[tonic::async_trait]
impl CustomerService for Customers {
    async fn upsert_customer(
        &self,
        request: Request<wire::UpsertCustomerRequest>,
    ) -> Result<Response<wire::UpsertCustomerResponse>, Status> {
        self.do_upsert_customer(request).await.map(Response::new).map_err(Status::from)
    }

    async fn get_customer(
        &self,
        request: Request<wire::GetCustomerRequest>,
    ) -> Result<Response<wire::Customer>, Status> {
        self.do_get_customer(request).await.map(Response::new).map_err(Status::from)
    }

    async fn list_customers(
        &self,
        request: Request<wire::ListCustomersRequest>,
    ) -> Result<Response<wire::ListCustomersResponse>, Status> {
        self.do_list_customers(request).await.map(Response::new).map_err(Status::from)
    }
}
