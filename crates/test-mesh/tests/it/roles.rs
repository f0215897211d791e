//! Who may call what, over the wire; and that nobody sees a saga step from outside.

use std::collections::BTreeSet;

use brokerage_types::Reason;
use service_kit::auth::Role;
use service_kit::auth::rules::{Access, RULES};
use test_mesh::{Brokerage, Identity, call, every_path, expect_refusal};
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// The users of the dev profile.
const USERS: &[(&str, Role)] = &[
    ("token-admin", Role::Admin),
    ("token-employee", Role::Employee),
    ("token-customer-a", Role::Customer),
    ("token-customer-b", Role::Customer),
    ("token-auditor", Role::Auditor),
];

fn is_participant(path: &str) -> bool {
    path.contains("Participant/")
}

/// The listener of the pair (orchestrator, order-svc, asset-svc) that serves this path's package.
fn of<'b>(listeners: [&'b Channel; 3], path: &str) -> &'b Channel {
    let [orchestrator, order, asset] = listeners;
    if path.starts_with("/brokerage.order.") {
        order
    } else if path.starts_with("/brokerage.asset.") || is_inbox(path) {
        asset
    } else {
        orchestrator
    }
}

/// Whoever has an inbox serves its reads, all in the same way.
fn is_inbox(path: &str) -> bool {
    path.starts_with("/brokerage.common.v1.InboxParticipant/")
}

fn roles_of(path: &str) -> &'static [Role] {
    match RULES.iter().find(|(ruled, _)| *ruled == path) {
        Some((_, Access::Roles(roles))) => roles,
        Some((_, Access::Open)) => panic!("{path} is open to everybody"),
        None => panic!("{path} has no rule"),
    }
}

#[tokio::test]
async fn every_public_rpc_answers_the_roles_that_may_call_it_and_no_others() {
    let brokerage = Brokerage::start().await;
    let before = (brokerage.snapshot().await, brokerage.saga_count().await);
    let mut allowed_calls = 0;
    for path in every_path().iter().filter(|path| !is_participant(path)) {
        let listener = of(brokerage.public(), path);
        let nobody = call(&Identity::Nobody.on(listener), path).await;
        assert_eq!(expect_refusal(nobody, Reason::TokenMissing).code, Code::Unauthenticated, "{path}");
        for (token, role) in USERS {
            let answer = call(&Identity::user(token).on(listener), path).await;
            if roles_of(path).contains(role) {
                let code = answer.err().map_or(Code::Ok, |status| status.code());
                assert!(
                    !matches!(code, Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented),
                    "{path} as {role:?}: {code:?}"
                );
                assert!(!matches!(code, Code::Internal | Code::Unknown), "{path} as {role:?}: {code:?}");
                allowed_calls += 1;
            } else {
                let refusal = expect_refusal(answer, Reason::RoleNotAllowed);
                assert_eq!(refusal.code, Code::PermissionDenied, "{path} as {role:?}");
                assert_eq!(refusal.metadata("method"), Some(path.as_str()));
            }
        }
    }
    assert!(allowed_calls > 60, "only {allowed_calls} calls were allowed");
    brokerage.snapshot().await.is(&before.0, "empty messages");
    assert_eq!(brokerage.saga_count().await, before.1);
    brokerage.audit().await;
}

#[tokio::test]
async fn a_saga_step_does_not_exist_on_a_public_listener() {
    let brokerage = Brokerage::start().await;
    let callers = [Identity::Nobody, Identity::user("token-admin"), Identity::orchestrator()];
    for path in every_path().iter().filter(|path| is_participant(path)) {
        for identity in &callers {
            for listener in brokerage.public() {
                let status = call(&identity.on(listener), path).await.expect_err("steps are not public");
                assert_eq!(status.code(), Code::Unimplemented, "{path} as {identity:?}");
            }
        }
    }
    brokerage.audit().await;
}

#[tokio::test]
async fn a_saga_step_wants_the_services_secret() {
    let brokerage = Brokerage::start().await;
    let before = brokerage.snapshot().await;
    let strangers = [
        Identity::Nobody,
        Identity::user("token-admin"),
        Identity::Orchestrator("guessed".to_owned()),
        Identity::Orchestrator(String::new()),
    ];
    for path in every_path().iter().filter(|path| is_participant(path)) {
        let listener = of(brokerage.internal(), path);
        for identity in &strangers {
            let answer = call(&identity.on(listener), path).await;
            let refusal = expect_refusal(answer, Reason::ServiceSecretInvalid);
            assert_eq!(refusal.code, Code::Unauthenticated, "{path} as {identity:?}");
        }
        let known = call(&Identity::orchestrator().on(listener), path).await;
        let code = known.err().map_or(Code::Ok, |status| status.code());
        // An inbox may be asked for nothing in particular; a step cannot be nothing.
        let expected = if is_inbox(path) { Code::Ok } else { Code::InvalidArgument };
        assert_eq!(code, expected, "{path}: an empty message reaches the handler");
    }
    brokerage.snapshot().await.is(&before, "steps that say nothing");
    brokerage.audit().await;
}

#[tokio::test]
async fn a_public_rpc_does_not_exist_on_an_internal_listener() {
    let brokerage = Brokerage::start().await;
    for path in every_path().iter().filter(|path| !is_participant(path)) {
        for identity in [Identity::user("token-admin"), Identity::orchestrator()] {
            for listener in brokerage.internal() {
                let status = call(&identity.on(listener), path).await.expect_err("it is served outside");
                assert_eq!(status.code(), Code::Unimplemented, "{path} as {identity:?}");
            }
        }
    }
    brokerage.audit().await;
}

/// What reflection answers to one question.
async fn reflect(listener: &Channel, question: MessageRequest) -> Result<MessageResponse, Status> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut client = ServerReflectionClient::new(listener.clone());
    let mut answers = client.server_reflection_info(tokio_stream::iter([request])).await?.into_inner();
    let answer = answers.next().await.expect("an answer to each question")?;
    Ok(answer.message_response.expect("something in it"))
}

#[tokio::test]
async fn reflection_shows_every_public_service_and_no_saga_step() {
    let brokerage = Brokerage::start().await;
    let services: BTreeSet<String> =
        every_path().iter().map(|path| path.split('/').nth(1).unwrap().to_owned()).collect();
    let mut shown = BTreeSet::new();
    for listener in brokerage.public() {
        let answer = reflect(listener, MessageRequest::ListServices(String::new())).await.unwrap();
        let MessageResponse::ListServicesResponse(listed) = answer else { panic!("{answer:?}") };
        shown.extend(listed.service.into_iter().map(|service| service.name));
        for hidden in services.iter().filter(|name| name.ends_with("Participant")) {
            let answer = reflect(listener, MessageRequest::FileContainingSymbol(hidden.clone())).await;
            let is_shown = matches!(answer, Ok(MessageResponse::FileDescriptorResponse(_)));
            assert!(!is_shown, "{hidden} can be looked up");
        }
    }
    for service in services {
        assert_eq!(shown.contains(&service), !service.ends_with("Participant"), "{service}: {shown:?}");
    }
    brokerage.audit().await;
}
