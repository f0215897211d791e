//! What a client's orders must be, from the answers it got: pure, so the client and the checker fold the same way.

use std::collections::BTreeMap;

use brokerage_proto::common::v1::Side;
use brokerage_proto::trading::v1::CancelOrderRequest;
use brokerage_types::Reason;

use super::{Command, Verdict};

/// What an order must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its id, once the client was told.
    pub order_id: Option<String>,
    /// Bought or sold.
    pub is_buy: bool,
    /// Ordered.
    pub quantity: u64,
    /// Filled.
    pub filled: u64,
    /// Where it stands.
    pub state: State,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In the market, or filled.
    Live,
    /// The rest was canceled.
    Canceled,
    /// Never came to market.
    Never,
    /// The client was not told enough to know.
    Doubtful,
}

/// A client's orders by label.
#[derive(Clone, Debug, Default)]
pub struct Book {
    orders: BTreeMap<String, Expected>,
    labels: BTreeMap<String, String>,
}

impl Book {
    /// Every order by label.
    pub fn orders(&self) -> impl Iterator<Item = (&str, &Expected)> {
        self.orders.iter().map(|(label, order)| (label.as_str(), order))
    }

    /// The ids of orders in the market with something left, of one side.
    #[must_use]
    pub fn open(&self, is_buy: bool) -> Vec<&str> {
        let open = self.orders.values().filter(|order| order.is_open() && order.is_buy == is_buy);
        open.filter_map(|order| order.order_id.as_deref()).collect()
    }

    /// Takes an answer in. `Err` says why it cannot be true.
    ///
    /// # Errors
    /// A contradiction with what was answered before.
    pub fn take(&mut self, command: &Command, verdict: Option<&Verdict>) -> Result<(), String> {
        match command {
            Command::Create(request) => {
                let quantity = request.quantity.parse().unwrap_or(0);
                let is_buy = request.side == i32::from(Side::Buy);
                let (order_id, state) = match verdict {
                    Some(Verdict::Done { id, .. }) => (Some(id.clone()), State::Live),
                    Some(Verdict::Refused(_)) => (None, State::Never),
                    None => (None, State::Doubtful),
                };
                if let Some(id) = &order_id {
                    self.labels.insert(id.clone(), request.client_order_id.clone());
                }
                let order = Expected { order_id, is_buy, quantity, filled: 0, state };
                self.orders.insert(request.client_order_id.clone(), order);
                expect(verdict, &[Reason::InsufficientUsable, Reason::GaveUp])
            }
            Command::Cancel(request) => self.take_cancel(request, verdict),
            Command::Match(request) => {
                self.take_match([&request.buy_order_id, &request.sell_order_id], verdict)
            }
        }
    }

    fn take_cancel(&mut self, request: &CancelOrderRequest, verdict: Option<&Verdict>) -> Result<(), String> {
        let label = &request.client_order_id;
        let named = if label.is_empty() { self.by_id(&request.order_id) } else { self.orders.get_mut(label) };
        let Some(order) = named else { return Ok(()) };
        let was_open = order.is_open();
        match verdict {
            None => order.state = State::Doubtful,
            Some(Verdict::Done { .. }) => {
                order.state = State::Canceled;
                if !was_open {
                    return Err(format!(
                        "order {} {label} was canceled with nothing left of it",
                        request.order_id
                    ));
                }
            }
            Some(Verdict::Refused(_)) => {}
        }
        if was_open { expect(verdict, &[Reason::GaveUp]) } else { Ok(()) }
    }

    fn take_match(&mut self, order_ids: [&str; 2], verdict: Option<&Verdict>) -> Result<(), String> {
        let mut all_open = true;
        for order_id in order_ids {
            let Some(order) = self.by_id(order_id) else { return Ok(()) };
            all_open &= order.is_open();
            match verdict {
                None => order.state = State::Doubtful,
                Some(Verdict::Done { quantity, .. }) => {
                    order.filled += quantity;
                    if order.filled > order.quantity || order.state == State::Canceled {
                        return Err(format!(
                            "order {order_id} was filled with {quantity} more than it had left"
                        ));
                    }
                }
                Some(Verdict::Refused(_)) => {}
            }
        }
        if all_open { expect(verdict, &[Reason::GaveUp]) } else { Ok(()) }
    }

    fn by_id(&mut self, order_id: &str) -> Option<&mut Expected> {
        self.orders.get_mut(self.labels.get(order_id)?)
    }
}

impl Expected {
    /// In the market with something left.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Live && self.filled < self.quantity
    }

    /// Whether the row of this order (status and filled quantity) may be this; `None`: there is no row.
    #[must_use]
    pub fn allows(&self, row: Option<(&str, u64)>) -> bool {
        match (self.state, row) {
            (State::Doubtful, _) | (State::Never, None) => true,
            (State::Never, Some((status, filled))) => {
                filled == 0 && matches!(status, "REJECTED" | "CANCELED")
            }
            (State::Canceled, Some((status, filled))) => status == "CANCELED" && filled == self.filled,
            (State::Live, Some((status, filled))) => {
                let wanted = match self.filled {
                    0 => "PENDING",
                    all if all == self.quantity => "MATCHED",
                    _ => "PARTIALLY_MATCHED",
                };
                status == wanted && filled == self.filled
            }
            (State::Canceled | State::Live, None) => false,
        }
    }
}

/// Nobody else touches a client's orders, so a command that can be done is refused for these reasons only.
fn expect(verdict: Option<&Verdict>, reasons: &[Reason]) -> Result<(), String> {
    match verdict {
        Some(Verdict::Refused(reason)) if !reasons.contains(reason) => {
            Err(format!("it was refused with {reason}, though nothing stood against it"))
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(id: &str, quantity: u64) -> Verdict {
        Verdict::Done { id: id.to_owned(), quantity }
    }

    #[test]
    fn answers_fold_into_what_the_orders_must_be() {
        let mut book = Book::default();
        for (id, side, quantity) in [("b", Side::Buy, 2), ("s", Side::Sell, 1), ("x", Side::Sell, 1)] {
            book.take(&Command::create("c", side, quantity), Some(&done(id, 0))).unwrap();
        }
        book.take(&Command::matched("b", "s"), Some(&done("t", 1))).unwrap();
        assert_eq!((book.open(true), book.open(false)), (vec!["b"], vec!["x"]));
        book.take(&Command::cancel("b"), Some(&done("b", 0))).unwrap();
        let of = |id: &str| book.orders().find(|(_, order)| order.order_id.as_deref() == Some(id)).unwrap().1;
        assert!(of("b").allows(Some(("CANCELED", 1))) && !of("b").allows(Some(("CANCELED", 0))));
        assert!(of("s").allows(Some(("MATCHED", 1))) && !of("s").allows(None));
        assert!(of("x").allows(Some(("PENDING", 0))));
    }

    #[test]
    fn an_answer_that_cannot_be_true_is_a_contradiction() {
        let mut book = Book::default();
        book.take(&Command::create("c", Side::Buy, 1), Some(&done("b", 0))).unwrap();
        let refused = Verdict::Refused(Reason::TooLateToCancel);
        assert!(book.take(&Command::cancel("b"), Some(&refused)).is_err());
        assert!(book.take(&Command::cancel("b"), Some(&Verdict::Refused(Reason::GaveUp))).is_ok());
        book.take(&Command::cancel("b"), Some(&done("b", 0))).unwrap();
        assert!(book.take(&Command::cancel("b"), Some(&done("b", 0))).is_err());
    }
}
