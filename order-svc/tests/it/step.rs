//! Saga steps as tests send them.

use brokerage_proto::common::v1::StepContext;
use brokerage_proto::order::v1 as proto;
use brokerage_proto::order::v1::order_command::Kind;
use uuid::Uuid;

/// One step of one saga.
#[derive(Clone, Debug)]
pub struct Step {
    pub saga: Uuid,
    pub number: u32,
    pub command: Kind,
}

impl Step {
    pub fn draft(draft: &proto::Draft) -> Step {
        Step { saga: draft.order_id.parse().unwrap(), number: 0, command: Kind::Draft(draft.clone()) }
    }

    pub fn open(draft: &proto::Draft) -> Step {
        let command = proto::Open { order_id: draft.order_id.clone(), instrument: draft.instrument.clone() };
        Step { saga: draft.order_id.parse().unwrap(), number: 2, command: Kind::Open(command) }
    }

    pub fn begin_cancel(saga: Uuid, order_id: &str) -> Step {
        let command =
            proto::BeginCancel { order_id: order_id.to_owned(), requested_by: "customer-a".to_owned() };
        Step { saga, number: 0, command: Kind::BeginCancel(command) }
    }

    pub fn confirm_cancel(saga: Uuid, order_id: &str) -> Step {
        let command = proto::ConfirmCancel { order_id: order_id.to_owned() };
        Step { saga, number: 3, command: Kind::ConfirmCancel(command) }
    }

    pub fn reserve(buy: &proto::Draft, sell: &proto::Draft, quantity: &str) -> Step {
        let saga = Uuid::now_v7();
        let command = proto::ReserveMatch {
            trade_id: saga.to_string(),
            instrument: buy.instrument.clone(),
            buy_order_id: buy.order_id.clone(),
            sell_order_id: sell.order_id.clone(),
            quantity: quantity.to_owned(),
            price: "100".to_owned(),
        };
        Step { saga, number: 0, command: Kind::ReserveMatch(command) }
    }

    /// The fill of a reservation.
    pub fn fill_of(reserve: &Step) -> Step {
        let Kind::ReserveMatch(deal) = reserve.command.clone() else {
            panic!("{reserve:?} reserves nothing")
        };
        let command = proto::ApplyFill {
            trade_id: deal.trade_id,
            instrument: deal.instrument,
            buy_order_id: deal.buy_order_id,
            sell_order_id: deal.sell_order_id,
            quantity: deal.quantity,
            price: deal.price,
        };
        Step { saga: reserve.saga, number: 2, command: Kind::ApplyFill(command) }
    }

    pub fn context(&self) -> Option<StepContext> {
        let saga_id = self.saga.to_string();
        Some(StepContext {
            saga_id,
            step: self.number,
            epoch: 1,
            not_after: None,
            attempt: 1,
            intent: Vec::new(),
        })
    }
}
