//! Who may call what: one table for every RPC of every service. What is not in it cannot be called.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Role;

/// Who may call one RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without saying who.
    Open,
    /// These roles.
    Roles(&'static [Role]),
}

const ADMIN: Access = Access::Roles(&[Role::Admin]);
const ADMIN_AUDITOR: Access = Access::Roles(&[Role::Admin, Role::Auditor]);
const ADMIN_EMPLOYEE: Access = Access::Roles(&[Role::Admin, Role::Employee]);
const ADMIN_CUSTOMER: Access = Access::Roles(&[Role::Admin, Role::Customer]);
const TRADERS: Access = Access::Roles(&[Role::Admin, Role::Employee, Role::Customer]);
const PEOPLE: Access = Access::Roles(&[Role::Admin, Role::Employee, Role::Customer, Role::Auditor]);
const ALL: Access = Access::Roles(Role::ALL);
const SERVICE: Access = Access::Roles(&[Role::Service]);

/// Every RPC and who may call it. Whose things a caller sees is another matter: its [scope](super::Scope).
pub const RULES: &[(&str, Access)] = &[
    ("/brokerage.trading.v1.TradingService/CreateOrder", TRADERS),
    ("/brokerage.trading.v1.TradingService/CancelOrder", TRADERS),
    ("/brokerage.trading.v1.TradingService/MatchOrders", ADMIN),
    ("/brokerage.order.v1.OrderService/GetOrder", PEOPLE),
    ("/brokerage.order.v1.OrderService/ListOrders", PEOPLE),
    ("/brokerage.order.v1.OrderService/ListTrades", ALL),
    ("/brokerage.order.v1.OrderService/GetInstrument", ALL),
    ("/brokerage.order.v1.OrderService/ListInstruments", ALL),
    ("/brokerage.order.v1.OrderService/UpsertInstrument", ADMIN),
    ("/brokerage.order.v1.OrderService/SuspendOrder", ADMIN),
    ("/brokerage.order.v1.OrderService/ResumeOrder", ADMIN),
    ("/brokerage.order.v1.EventService/Subscribe", ADMIN_AUDITOR),
    ("/brokerage.order.v1.OrderParticipant/Draft", SERVICE),
    ("/brokerage.order.v1.OrderParticipant/Open", SERVICE),
    ("/brokerage.order.v1.OrderParticipant/BeginCancel", SERVICE),
    ("/brokerage.order.v1.OrderParticipant/AwaitDrain", SERVICE),
    ("/brokerage.order.v1.OrderParticipant/ConfirmCancel", SERVICE),
    ("/brokerage.order.v1.OrderParticipant/ReserveMatch", SERVICE),
    ("/brokerage.order.v1.OrderParticipant/ApplyFill", SERVICE),
    ("/brokerage.order.v1.OrderParticipant/Compensate", SERVICE),
    ("/brokerage.order.v1.OrderParticipant/DoSteps", SERVICE),
    ("/brokerage.order.v1.OrderParticipant/GetTerms", SERVICE),
    ("/brokerage.order.v1.OrderParticipant/GetInstrumentTerms", SERVICE),
    ("/brokerage.asset.v1.AssetService/UpsertAsset", ADMIN),
    ("/brokerage.asset.v1.AssetService/OpenAsset", ADMIN_CUSTOMER),
    ("/brokerage.asset.v1.AssetService/Deposit", ADMIN_EMPLOYEE),
    ("/brokerage.asset.v1.AssetService/Withdraw", ADMIN_CUSTOMER),
    ("/brokerage.asset.v1.AssetService/Transfer", ADMIN),
    ("/brokerage.asset.v1.AssetService/ListAssets", PEOPLE),
    ("/brokerage.asset.v1.AssetService/ListPostings", PEOPLE),
    ("/brokerage.asset.v1.AssetService/GetBalanceAt", PEOPLE),
    ("/brokerage.asset.v1.CustomerService/UpsertCustomer", ADMIN),
    ("/brokerage.asset.v1.CustomerService/GetCustomer", PEOPLE),
    ("/brokerage.asset.v1.CustomerService/ListCustomers", ADMIN_AUDITOR),
    ("/brokerage.asset.v1.EventService/Subscribe", ADMIN_AUDITOR),
    ("/brokerage.asset.v1.AssetParticipant/PlaceHold", SERVICE),
    ("/brokerage.asset.v1.AssetParticipant/ReleaseHold", SERVICE),
    ("/brokerage.asset.v1.AssetParticipant/SettleTrade", SERVICE),
    ("/brokerage.asset.v1.AssetParticipant/Compensate", SERVICE),
    ("/brokerage.asset.v1.AssetParticipant/DoSteps", SERVICE),
    ("/brokerage.asset.v1.AssetParticipant/GetCustomerTerms", SERVICE),
    ("/brokerage.common.v1.InboxParticipant/ListFirstSteps", SERVICE),
    ("/brokerage.common.v1.InboxParticipant/GetIntents", SERVICE),
    ("/brokerage.saga.v1.SagaService/GetSaga", ADMIN_AUDITOR),
    ("/brokerage.saga.v1.SagaService/ListSagas", ADMIN_AUDITOR),
    ("/brokerage.saga.v1.SagaService/WatchSaga", ADMIN_AUDITOR),
    ("/brokerage.saga.v1.SagaService/ExplainSaga", ADMIN_AUDITOR),
    ("/brokerage.saga.v1.SagaService/ListOperatorActions", ADMIN_AUDITOR),
    ("/brokerage.saga.v1.SagaService/RetrySaga", ADMIN),
    ("/brokerage.saga.v1.SagaService/AbortSaga", ADMIN),
    ("/brokerage.saga.v1.SagaService/PauseSaga", ADMIN),
    ("/grpc.health.v1.Health/Check", Access::Open),
    ("/grpc.health.v1.Health/Watch", Access::Open),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Access::Open),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Access::Open),
];

static BY_PATH: LazyLock<HashMap<&str, (&str, Access)>> =
    LazyLock::new(|| RULES.iter().map(|(path, access)| (*path, (*path, *access))).collect());

/// The rule of a path and the path as a constant, or nothing: then it cannot be called.
#[must_use]
pub fn rule(path: &str) -> Option<(&'static str, Access)> {
    BY_PATH.get(path).copied()
}

/// The path as a constant without its slash, as telemetry names it; or nothing.
#[must_use]
pub fn method(path: &str) -> Option<&'static str> {
    rule(path).map(|(path, _)| path.trim_start_matches('/'))
}

/// The service part of `/service/Method`.
#[must_use]
pub fn service_of(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;

    use super::*;

    /// Every RPC in our descriptors.
    fn described() -> BTreeSet<String> {
        let set = prost_types::FileDescriptorSet::decode(brokerage_proto::FILE_DESCRIPTOR_SET).unwrap();
        let mut paths = BTreeSet::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    paths.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
        paths
    }

    #[test]
    fn every_rpc_has_one_rule_and_every_rule_an_rpc() {
        let ruled: BTreeSet<String> = RULES
            .iter()
            .filter(|(path, _)| path.starts_with("/brokerage."))
            .map(|(path, _)| (*path).into())
            .collect();
        assert_eq!(ruled, described());
        assert_eq!(BY_PATH.len(), RULES.len(), "a path has two rules");
    }

    #[test]
    fn participants_are_for_services_only_and_services_command_nothing_public() {
        for (path, access) in RULES.iter().filter(|(path, _)| path.starts_with("/brokerage.")) {
            let Access::Roles(roles) = access else { panic!("{path} is open") };
            if service_of(path).ends_with("Participant") {
                assert_eq!(*roles, [Role::Service], "{path}");
            } else if roles.contains(&Role::Service) {
                assert_eq!(roles.len(), Role::ALL.len(), "{path}");
            }
        }
    }

    #[test]
    fn what_is_not_in_the_table_cannot_be_called() {
        assert_eq!(rule("/brokerage.order.v1.OrderService/DropTables"), None);
        assert_eq!(rule("brokerage.order.v1.OrderService/GetOrder"), None);
        assert_eq!(rule(""), None);
    }

    /// RPC by role, as the roles page has it: admin, employee, customer, auditor, service.
    #[test]
    fn the_table_is_the_roles_page() {
        let page: &[(&str, &str, [bool; 5])] = &[
            ("trading.v1.TradingService", "CreateOrder CancelOrder", [true, true, true, false, false]),
            ("trading.v1.TradingService", "MatchOrders", [true, false, false, false, false]),
            ("order.v1.OrderService", "GetOrder ListOrders", [true, true, true, true, false]),
            ("order.v1.OrderService", "ListTrades GetInstrument ListInstruments", [true; 5]),
            (
                "order.v1.OrderService",
                "UpsertInstrument SuspendOrder ResumeOrder",
                [true, false, false, false, false],
            ),
            (
                "order.v1.OrderParticipant",
                "Draft Open BeginCancel AwaitDrain ConfirmCancel ReserveMatch ApplyFill Compensate DoSteps \
                 GetTerms GetInstrumentTerms",
                [false, false, false, false, true],
            ),
            ("asset.v1.AssetService", "UpsertAsset Transfer", [true, false, false, false, false]),
            ("asset.v1.AssetService", "OpenAsset Withdraw", [true, false, true, false, false]),
            ("asset.v1.AssetService", "Deposit", [true, true, false, false, false]),
            (
                "asset.v1.AssetService",
                "ListAssets ListPostings GetBalanceAt",
                [true, true, true, true, false],
            ),
            ("asset.v1.CustomerService", "UpsertCustomer", [true, false, false, false, false]),
            ("asset.v1.CustomerService", "GetCustomer", [true, true, true, true, false]),
            ("asset.v1.CustomerService", "ListCustomers", [true, false, false, true, false]),
            (
                "asset.v1.AssetParticipant",
                "PlaceHold ReleaseHold SettleTrade Compensate DoSteps GetCustomerTerms",
                [false, false, false, false, true],
            ),
            ("order.v1.EventService", "Subscribe", [true, false, false, true, false]),
            ("asset.v1.EventService", "Subscribe", [true, false, false, true, false]),
            ("common.v1.InboxParticipant", "ListFirstSteps GetIntents", [false, false, false, false, true]),
            (
                "saga.v1.SagaService",
                "GetSaga ListSagas WatchSaga ExplainSaga ListOperatorActions",
                [true, false, false, true, false],
            ),
            ("saga.v1.SagaService", "RetrySaga AbortSaga PauseSaga", [true, false, false, false, false]),
        ];
        let mut checked = BTreeSet::new();
        for (service, methods, allowed) in page {
            for method in methods.split_whitespace() {
                let path = format!("/brokerage.{service}/{method}");
                let Some((_, Access::Roles(roles))) = rule(&path) else { panic!("{path} has no rule") };
                for (role, allowed) in Role::ALL.iter().zip(allowed) {
                    assert_eq!(roles.contains(role), *allowed, "{path} as {role:?}");
                }
                checked.insert(path);
            }
        }
        assert_eq!(checked, described(), "the page is complete");
    }
}
