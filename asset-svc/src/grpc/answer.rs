//! Domain values as wire messages, and the encoding in which one-service answers are remembered.

use brokerage_proto::asset::v1 as wire;
use chrono::{DateTime, Utc};
use prost::Message;

use crate::domain::asset::Asset;
use crate::domain::balance::Holding;
use crate::domain::customer::{Customer, State, Tier};
use crate::domain::decide::Answer;
use crate::store::reads::StatementLine;

/// The bytes that a repeated command gets again. `replayed` is set when they are.
#[must_use]
pub fn encode(answer: &Answer) -> Vec<u8> {
    match answer {
        Answer::Step => Vec::new(),
        Answer::Asset(asset) => {
            wire::UpsertAssetResponse { asset: Some(of_asset(asset)), replayed: false }.encode_to_vec()
        }
        Answer::Opened(holding) => {
            wire::OpenAssetResponse { balance: Some(of_holding(holding)), replayed: false }.encode_to_vec()
        }
        Answer::Moved(tx_id, holding) => wire::MovementResponse {
            tx_id: tx_id.to_string(),
            balance: Some(of_holding(holding)),
            replayed: false,
        }
        .encode_to_vec(),
        Answer::Customer(customer) => {
            wire::UpsertCustomerResponse { customer: Some(of_customer(customer)), replayed: false }
                .encode_to_vec()
        }
    }
}

pub(super) fn of_asset(asset: &Asset) -> wire::Asset {
    wire::Asset {
        asset: asset.asset.to_string(),
        ledger_scale: asset.ledger_scale,
        transfer_scale: asset.transfer_scale,
    }
}

pub(super) fn of_holding(holding: &Holding) -> wire::Balance {
    wire::Balance {
        asset: holding.asset.to_string(),
        total: holding.total.to_string(),
        usable: holding.usable.to_string(),
        held: holding.held.to_string(),
        version: holding.version,
    }
}

pub(super) fn of_customer(customer: &Customer) -> wire::Customer {
    wire::Customer {
        customer_id: customer.customer_id.to_string(),
        name: customer.name.clone(),
        tier: of_tier(customer.tier).into(),
        state: of_state(customer.state).into(),
        version: customer.version,
    }
}

pub(super) const fn of_state(state: State) -> wire::CustomerState {
    match state {
        State::Active => wire::CustomerState::Active,
        State::Frozen => wire::CustomerState::Frozen,
    }
}

const fn of_tier(tier: Tier) -> wire::Tier {
    match tier {
        Tier::Standard => wire::Tier::Standard,
        Tier::Premium => wire::Tier::Premium,
        Tier::Vip => wire::Tier::Vip,
    }
}

pub(super) fn of_line(asset: &str, line: StatementLine) -> wire::Posting {
    wire::Posting {
        tx_id: line.tx_id.to_string(),
        kind: line.tx_kind,
        asset: asset.to_owned(),
        // The journal and the wire number a customer's accounts alike.
        account: i32::from(line.kind),
        amount: line.amount.to_string(),
        balance_after: line.balance_after.to_string(),
        account_seq: line.account_seq,
        created_at: Some(timestamp(line.created_at)),
        caused_by: line.caused_by,
    }
}

fn timestamp(at: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(at.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}
