//! A principal: who calls, in which role, and whose things it may see.

use brokerage_types::{Actor, CustomerId, Reason};
use serde::{Deserialize, Serialize};

use crate::fault::{ApiError, ApiResult, Refusal};

/// What a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the brokerage.
    Admin,
    /// A broker; acts for the customers assigned to him.
    Employee,
    /// Trades for himself.
    Customer,
    /// Reads everything, writes nothing.
    Auditor,
    /// A service of the mesh; internal listener only.
    Service,
}

impl Role {
    /// Every role.
    pub const ALL: &[Self] = &[Self::Admin, Self::Employee, Self::Customer, Self::Auditor, Self::Service];
}

/// Whose things a query may return.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's.
    Any,
    /// Only these customers'. Empty means nothing at all.
    Customers(Vec<CustomerId>),
}

impl Scope {
    /// For SQL: `($n::text[] IS NULL OR customer_id = ANY($n))`. `None` is everybody.
    #[must_use]
    pub fn as_sql(&self) -> Option<Vec<String>> {
        match self {
            Self::Any => None,
            Self::Customers(customers) => {
                Some(customers.iter().map(|customer| customer.as_str().to_owned()).collect())
            }
        }
    }

    /// Whether this customer's things are within it.
    #[must_use]
    pub fn contains(&self, customer: &CustomerId) -> bool {
        match self {
            Self::Any => true,
            Self::Customers(customers) => customers.contains(customer),
        }
    }
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who it is; half of every idempotency key.
    pub subject: String,
    /// In which role.
    pub role: Role,
    /// Of a customer: which.
    pub customer_id: Option<CustomerId>,
    /// Of an employee: for whom he may act.
    pub assigned: Vec<CustomerId>,
    actor: Actor,
}

impl Principal {
    /// A principal that stands for no customer.
    #[must_use]
    pub fn new(subject: Actor, role: Role) -> Self {
        Self {
            subject: subject.as_str().to_owned(),
            role,
            customer_id: None,
            assigned: Vec::new(),
            actor: subject,
        }
    }

    /// With the customer that it is.
    #[must_use]
    pub fn with_customer(mut self, customer_id: Option<CustomerId>) -> Self {
        self.customer_id = customer_id;
        self
    }

    /// With the customers that it may act for.
    #[must_use]
    pub fn with_assigned(mut self, assigned: Vec<CustomerId>) -> Self {
        self.assigned = assigned;
        self
    }

    /// Who made this request.
    ///
    /// # Errors
    /// `TOKEN_MISSING` when no authentication layer saw the request.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Refusal> {
        let principal = request.extensions().get::<Self>();
        principal
            .cloned()
            .ok_or_else(|| Refusal::new(Reason::TokenMissing, "the request is not authenticated"))
    }

    /// Whose things it may see.
    #[must_use]
    pub fn scope(&self) -> Scope {
        match self.role {
            Role::Admin | Role::Auditor | Role::Service => Scope::Any,
            Role::Employee => Scope::Customers(self.assigned.clone()),
            Role::Customer => Scope::Customers(self.customer_id.iter().cloned().collect()),
        }
    }

    /// Who did it, for histories and journals.
    #[must_use]
    pub fn actor(&self) -> Actor {
        self.actor.clone()
    }

    /// The customer that a request's `customer_id` field means: a customer may leave it empty and means himself.
    ///
    /// # Errors
    /// `FIELD_REQUIRED` or `FIELD_INVALID`; `CUSTOMER_NOT_FOUND` for a customer outside of the scope, as if there
    /// were none, so that ids cannot be probed.
    pub fn customer_or_self(&self, field: &str) -> ApiResult<CustomerId> {
        if field.is_empty() {
            return match (self.role, &self.customer_id) {
                (Role::Customer, Some(customer)) => Ok(customer.clone()),
                (Role::Admin | Role::Employee | Role::Customer | Role::Auditor | Role::Service, _) => {
                    Err(Refusal::field("customer_id", Reason::FieldRequired, "say whose").into())
                }
            };
        }
        self.visible(field)
    }

    /// What a list's optional `customer_id` filter leaves of the scope: everything if it is empty.
    ///
    /// # Errors
    /// `FIELD_INVALID`; `CUSTOMER_NOT_FOUND` for a customer outside of the scope.
    pub fn scope_of(&self, field: &str) -> ApiResult<Scope> {
        if field.is_empty() { Ok(self.scope()) } else { Ok(Scope::Customers(vec![self.visible(field)?])) }
    }

    fn visible(&self, field: &str) -> ApiResult<CustomerId> {
        let customer = CustomerId::parse(field).map_err(|error| {
            ApiError::from(Refusal::field("customer_id", error.reason(), error.to_string()))
        })?;
        if self.scope().contains(&customer) {
            return Ok(customer);
        }
        Err(Refusal::new(Reason::CustomerNotFound, format!("no customer {customer}"))
            .with("customer_id", customer.as_str())
            .into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> CustomerId {
        CustomerId::parse(text).unwrap()
    }

    fn principal(role: Role) -> Principal {
        let principal = Principal::new(Actor::parse("someone").unwrap(), role);
        match role {
            Role::Customer => principal.with_customer(Some(id("customer-a"))),
            Role::Employee => principal.with_assigned(vec![id("customer-a")]),
            Role::Admin | Role::Auditor | Role::Service => principal,
        }
    }

    fn meant(role: Role, field: &str) -> Result<String, Reason> {
        match principal(role).customer_or_self(field) {
            Ok(customer) => Ok(customer.as_str().to_owned()),
            Err(ApiError::Refusal(refusal)) => Err(refusal.reason),
            Err(ApiError::Fault(fault)) => panic!("{fault}"),
        }
    }

    #[test]
    fn a_customer_means_himself_and_foreign_customers_do_not_exist() {
        let table = [
            (Role::Customer, "", Ok("customer-a")),
            (Role::Customer, "customer-a", Ok("customer-a")),
            (Role::Customer, "customer-b", Err(Reason::CustomerNotFound)),
            (Role::Employee, "", Err(Reason::FieldRequired)),
            (Role::Employee, "customer-a", Ok("customer-a")),
            (Role::Employee, "customer-b", Err(Reason::CustomerNotFound)),
            (Role::Admin, "", Err(Reason::FieldRequired)),
            (Role::Admin, "customer-b", Ok("customer-b")),
            (Role::Admin, "cust omer", Err(Reason::FieldInvalid)),
            (Role::Auditor, "customer-b", Ok("customer-b")),
        ];
        for (role, field, wanted) in table {
            assert_eq!(meant(role, field), wanted.map(str::to_owned), "{role:?} {field:?}");
        }
    }

    #[test]
    fn nobody_assigned_is_nobody_and_not_everybody() {
        let employee = Principal::new(Actor::parse("new").unwrap(), Role::Employee);
        assert_eq!(employee.scope().as_sql(), Some(Vec::new()));
        assert_eq!(principal(Role::Admin).scope().as_sql(), None);
    }
}
