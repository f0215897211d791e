//! What the file alone says: every order's state, the book, and what cannot be played.
//!
//! Pure, and independent of how the messages are played, so that the comparison at the end has two sides.

use std::collections::BTreeMap;

use brokerage_types::{OrderStatus, Side};

use super::message::{FilePrice, Kind, Message, Reference};

/// An order as the file leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileOrder {
    /// Its side.
    pub side: Side,
    /// Its limit.
    pub price: FilePrice,
    /// Ordered.
    pub size: u64,
    /// Executed.
    pub executed: u64,
    /// Canceled, in part or at the end.
    pub canceled: u64,
    /// Whether it was deleted.
    pub deleted: bool,
}

impl FileOrder {
    /// What is still open.
    #[must_use]
    pub fn leaves(&self) -> u64 {
        self.size - self.executed - self.canceled
    }

    /// What it is.
    #[must_use]
    pub fn status(&self) -> OrderStatus {
        if self.deleted || (self.leaves() == 0 && self.canceled > 0) {
            OrderStatus::Canceled
        } else if self.leaves() == 0 {
            OrderStatus::Matched
        } else if self.executed > 0 {
            OrderStatus::PartiallyMatched
        } else {
            OrderStatus::Pending
        }
    }
}

/// Why a message is not played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Skip {
    /// The order was in the book before the file begins: there is nothing to cancel or match.
    BeforeFile,
    /// The order was never visible: it is not in the file and rests in no book of ours.
    Hidden,
    /// An auction's trade: no order of the file takes part.
    CrossTrade,
    /// Continuous trading only.
    TradingHalt,
    /// The API has no partial cancellation yet. The file's outcome cannot be reached.
    NotSupported,
    /// The file contradicts itself. Its outcome cannot be reached.
    Contradiction,
}

impl Skip {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::BeforeFile => "the order was in the book before the file begins",
            Self::Hidden => "the order was hidden: no order of the file, no book of ours",
            Self::CrossTrade => "an auction's trade: no order of the file takes part",
            Self::TradingHalt => "halts are not played",
            Self::NotSupported => "partial cancellation is not supported yet",
            Self::Contradiction => "the file contradicts itself",
        }
    }

    /// Whether the outcome can no longer be the file's.
    #[must_use]
    pub fn is_failure(self) -> bool {
        match self {
            Self::NotSupported | Self::Contradiction => true,
            Self::BeforeFile | Self::Hidden | Self::CrossTrade | Self::TradingHalt => false,
        }
    }
}

/// The file, folded.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    /// Every order created in the file.
    pub orders: BTreeMap<Reference, FileOrder>,
    /// Every execution of such an order: size and price.
    pub executions: Vec<(u64, FilePrice)>,
    /// What is played, in the file's order.
    pub playable: Vec<Message>,
    /// What is not, counted.
    pub skipped: BTreeMap<(Kind, Skip), usize>,
}

/// Folds the messages in their order.
#[must_use]
pub fn fold(messages: &[Message]) -> Folded {
    let mut folded = Folded::default();
    for message in messages {
        match folded.apply(message) {
            Ok(()) => folded.playable.push(*message),
            Err(skip) => *folded.skipped.entry((message.kind, skip)).or_default() += 1,
        }
    }
    folded
}

impl Folded {
    fn apply(&mut self, message: &Message) -> Result<(), Skip> {
        match message.kind {
            Kind::New => self.create(message),
            Kind::PartialCancel => {
                let order = self.live(message)?;
                order.canceled += message.size;
                Err(Skip::NotSupported)
            }
            Kind::Delete => {
                let order = self.live(message)?;
                if order.leaves() != message.size {
                    return Err(Skip::Contradiction);
                }
                order.canceled += message.size;
                order.deleted = true;
                Ok(())
            }
            Kind::Execute => {
                self.live(message)?.executed += message.size;
                self.executions.push((message.size, message.price));
                Ok(())
            }
            Kind::ExecuteHidden => Err(Skip::Hidden),
            Kind::Cross => Err(Skip::CrossTrade),
            Kind::Halt => Err(Skip::TradingHalt),
        }
    }

    fn create(&mut self, message: &Message) -> Result<(), Skip> {
        let order = FileOrder {
            side: message.side,
            price: message.price,
            size: message.size,
            executed: 0,
            canceled: 0,
            deleted: false,
        };
        if self.orders.contains_key(&message.reference) {
            return Err(Skip::Contradiction);
        }
        self.orders.insert(message.reference, order);
        Ok(())
    }

    /// The order a message is about, if it can be about it.
    fn live(&mut self, message: &Message) -> Result<&mut FileOrder, Skip> {
        let order = self.orders.get_mut(&message.reference).ok_or(Skip::BeforeFile)?;
        let fits =
            order.side == message.side && order.price == message.price && order.leaves() >= message.size;
        if fits { Ok(order) } else { Err(Skip::Contradiction) }
    }

    /// The book: open size and number of orders at each price of each side.
    #[must_use]
    pub fn book(&self) -> BTreeMap<(Side, FilePrice), (u64, usize)> {
        let mut book = BTreeMap::new();
        for order in self.orders.values().filter(|order| order.leaves() > 0) {
            let level: &mut (u64, usize) = book.entry((order.side, order.price)).or_default();
            level.0 += order.leaves();
            level.1 += 1;
        }
        book
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::parse;
    use super::*;

    #[test]
    fn an_order_follows_from_its_messages() {
        let text =
            "1,1,7,100,10000,1\n2,4,7,40,10000,1\n3,1,8,5,10100,-1\n4,3,7,60,10000,1\n5,1,9,3,9900,1\n";
        let folded = fold(&parse(text).unwrap());
        let of = |reference| &folded.orders[&reference];
        assert_eq!((of(7).status(), of(7).executed, of(7).leaves()), (OrderStatus::Canceled, 40, 0));
        assert_eq!((of(8).status(), of(8).leaves()), (OrderStatus::Pending, 5));
        assert_eq!(folded.executions, [(40, FilePrice(10_000))]);
        assert_eq!(
            folded.book(),
            BTreeMap::from([
                ((Side::Buy, FilePrice(9_900)), (3, 1)),
                ((Side::Sell, FilePrice(10_100)), (5, 1))
            ])
        );
        assert_eq!(folded.playable.len(), 5);
        assert!(folded.skipped.is_empty());
    }

    #[test]
    fn nothing_is_skipped_without_a_reason() {
        for (line, kind, skip) in [
            ("2,3,99,1,10000,1", Kind::Delete, Skip::BeforeFile),
            ("2,4,99,1,10000,1", Kind::Execute, Skip::BeforeFile),
            ("2,5,0,1,10000,1", Kind::ExecuteHidden, Skip::Hidden),
            ("2,6,0,1,10000,1", Kind::Cross, Skip::CrossTrade),
            ("2,7,0,0,-1,-1", Kind::Halt, Skip::TradingHalt),
            ("2,2,7,1,10000,1", Kind::PartialCancel, Skip::NotSupported),
            ("2,4,7,101,10000,1", Kind::Execute, Skip::Contradiction),
            ("2,3,7,99,10000,1", Kind::Delete, Skip::Contradiction),
            ("2,1,7,1,10000,1", Kind::New, Skip::Contradiction),
            ("2,3,7,100,10000,-1", Kind::Delete, Skip::Contradiction),
        ] {
            let folded = fold(&parse(&format!("1,1,7,100,10000,1\n{line}")).unwrap());
            assert_eq!(folded.skipped, BTreeMap::from([((kind, skip), 1)]), "{line}");
            assert_eq!(folded.playable.len(), 1, "{line}");
        }
    }

    #[test]
    fn the_sample_can_be_played_to_its_end() {
        let folded = fold(&parse(include_str!("../../samples/sample_flow.csv")).unwrap());
        let skipped = BTreeMap::from([
            ((Kind::Delete, Skip::BeforeFile), 2),
            ((Kind::Execute, Skip::BeforeFile), 1),
            ((Kind::ExecuteHidden, Skip::Hidden), 2),
        ]);
        assert_eq!(folded.skipped, skipped);
        for status in
            [OrderStatus::Pending, OrderStatus::PartiallyMatched, OrderStatus::Matched, OrderStatus::Canceled]
        {
            assert!(folded.orders.values().any(|order| order.status() == status), "{status}");
        }
    }
}
