//! A second, simpler ledger to compare with: it keeps a list of fills per order and works everything out from it.
//!
//! Units are 10⁻⁸ throughout. Nothing here is shared with the service but the names of commands and reasons.

use std::collections::BTreeMap;

use asset_svc::domain::command::{
    Command, Deposit, Direction, PlaceHold, ReleaseHold, SettleTrade, Transfer, UpsertCustomer, Withdraw,
};
use asset_svc::domain::customer::{State, Tier};
use asset_svc::domain::ledger::House;
use brokerage_types::{Actor, Amount, AssetCode, CustomerId, HoldId, Price, Quantity, Reason, Side, TradeId};
use uuid::Uuid;

use crate::asks::{ASSETS, Ask, CENT, CUSTOMERS, ONE, RATES};
use crate::model_order::{Order, product};

/// (bid, ask) and (lots, ticks).
type Meeting = ((usize, usize), (i128, i128));

/// The simple ledger.
#[derive(Debug, Clone)]
pub struct Model {
    /// Names the customers and the holds of this run.
    run: u64,
    asked: u128,
    usable: BTreeMap<(usize, usize), i128>,
    tiers: [usize; CUSTOMERS],
    frozen: [bool; CUSTOMERS],
    orders: Vec<Order>,
    /// What the house and the world outside have.
    pub house: [i128; 3],
    pub outside: [i128; 3],
}

/// A command, who steps it (saga and whether it is to be undone), and what must come of it.
pub struct Expected {
    pub saga_id: Uuid,
    pub undo: bool,
    pub command: Command,
    pub outcome: Result<(), Reason>,
}

impl Model {
    pub fn new(run: u64) -> Self {
        Self {
            run,
            asked: 0,
            usable: BTreeMap::new(),
            tiers: [0; CUSTOMERS],
            frozen: [false; CUSTOMERS],
            orders: Vec::new(),
            house: [0; 3],
            outside: [0; 3],
        }
    }

    pub fn customer(&self, who: usize) -> CustomerId {
        CustomerId::parse(&format!("model-{}-{who}", self.run)).unwrap()
    }

    /// (usable, held).
    pub fn has(&self, who: usize, asset: usize) -> (i128, i128) {
        let mine = |order: &&Order| order.who == who && order.held_asset() == asset;
        let held = self.orders.iter().filter(mine).map(Order::needs).sum();
        (self.usable.get(&(who, asset)).copied().unwrap_or_default(), held)
    }

    /// Decides what is asked, and says what the service must answer.
    pub fn ask(&mut self, ask: &Ask) -> Expected {
        self.asked += 1;
        let fresh = Uuid::from_u128((u128::from(self.run) << 64) | (0x7000 << 48) | self.asked);
        let expected = |saga_id, command, outcome| Expected { saga_id, undo: false, command, outcome };
        match *ask {
            Ask::Deposit { who, asset, lots } => {
                let amount = lots * ASSETS[asset].1;
                let command = self.deposit(who, asset, amount);
                expected(fresh, command, Ok(()))
            }
            Ask::Withdraw { who, asset, lots } => {
                let amount = lots * ASSETS[asset].1;
                let outcome = if self.frozen[who] {
                    Err(Reason::CustomerFrozen)
                } else {
                    self.spend(who, asset, amount)
                };
                if outcome.is_ok() {
                    self.outside[asset] += amount;
                }
                let (customer, asset) = (self.customer(who), code(asset));
                let command = Withdraw { customer, asset, amount: money(amount), actor: actor() };
                expected(fresh, Command::Withdraw(command), outcome)
            }
            Ask::Transfer { who, asset, lots, to_customer } => {
                let amount = lots * ASSETS[asset].1;
                let outcome = self.transfer(who, asset, amount, to_customer);
                let command = Transfer {
                    customer: self.customer(who),
                    house: House::Inventory,
                    direction: if to_customer {
                        Direction::HouseToCustomer
                    } else {
                        Direction::CustomerToHouse
                    },
                    asset: code(asset),
                    amount: money(amount),
                    reason: "the model".to_owned(),
                    actor: actor(),
                };
                expected(fresh, Command::Transfer(command), outcome)
            }
            Ask::Place { who, buy, share, lots, ticks } => {
                let (command, outcome) = self.place(fresh, (who, buy, share), (lots, ticks));
                expected(fresh, command, outcome)
            }
            Ask::Release { hold } => {
                let hold_id = self.close(hold, fresh);
                expected(fresh, Command::ReleaseHold(ReleaseHold { hold_id }), Ok(()))
            }
            Ask::Undo { hold } => self.undo(hold, fresh),
            Ask::Settle { sensible, buy, sell, lots, ticks } => {
                let anything = ((buy, sell), (lots, ticks));
                let meant = if sensible { self.crossing((buy, sell), (lots, ticks)) } else { None };
                let (orders, terms) = meant.unwrap_or(anything);
                let (command, outcome) = self.settle(fresh, orders, terms);
                expected(fresh, command, outcome)
            }
            Ask::Become { who, tier, frozen } => {
                (self.tiers[who], self.frozen[who]) = (tier, frozen);
                let state = if frozen { State::Frozen } else { State::Active };
                let command = UpsertCustomer {
                    customer: self.customer(who),
                    name: "A model".to_owned(),
                    tier: Tier::ALL[tier],
                    state,
                };
                expected(fresh, Command::UpsertCustomer(command), Ok(()))
            }
        }
    }

    fn deposit(&mut self, who: usize, asset: usize, amount: i128) -> Command {
        self.gain(who, asset, amount);
        self.outside[asset] -= amount;
        let (customer, asset) = (self.customer(who), code(asset));
        Command::Deposit(Deposit { customer, asset, amount: money(amount), external: None, actor: actor() })
    }

    fn transfer(&mut self, who: usize, asset: usize, amount: i128, to_customer: bool) -> Result<(), Reason> {
        if to_customer {
            self.gain(who, asset, amount);
            self.house[asset] -= amount;
        } else {
            self.spend(who, asset, amount)?;
            self.house[asset] += amount;
        }
        Ok(())
    }

    fn gain(&mut self, who: usize, asset: usize, amount: i128) {
        *self.usable.entry((who, asset)).or_default() += amount;
    }

    fn spend(&mut self, who: usize, asset: usize, amount: i128) -> Result<(), Reason> {
        let usable = self.usable.entry((who, asset)).or_default();
        if *usable < amount {
            return Err(Reason::InsufficientUsable);
        }
        *usable -= amount;
        Ok(())
    }

    fn place(
        &mut self,
        id: Uuid,
        (who, buy, share): (usize, bool, usize),
        (lots, ticks): (i128, i128),
    ) -> (Command, Result<(), Reason>) {
        let mut order = Order {
            id: HoldId::from(id),
            who,
            buy,
            share,
            quantity: lots * ASSETS[share].1,
            limit: ticks * CENT,
            ppm: i128::from(RATES[self.tiers[who]]),
            fills: Vec::new(),
            open: true,
            placed: true,
        };
        let command = self.command_of(&order);
        let outcome = if self.frozen[who] {
            Err(Reason::CustomerFrozen)
        } else {
            self.spend(who, order.held_asset(), order.needs())
        };
        if outcome.is_err() {
            (order.open, order.placed) = (false, false);
        }
        self.orders.push(order);
        (command, outcome)
    }

    fn command_of(&self, order: &Order) -> Command {
        Command::PlaceHold(PlaceHold {
            hold_id: order.id,
            customer: self.customer(order.who),
            side: if order.buy { Side::Buy } else { Side::Sell },
            base: code(order.share),
            quote: code(0),
            limit: Price::from_units(order.limit).unwrap(),
            quantity: Quantity::from_units(order.quantity).unwrap(),
        })
    }

    /// Releases what is left of an order, if there is such an order and it is open.
    fn close(&mut self, hold: usize, unknown: Uuid) -> HoldId {
        let Some(order) = self.orders.get_mut(hold) else { return HoldId::from(unknown) };
        let (id, who, asset, left) = (order.id, order.who, order.held_asset(), order.needs());
        order.open = false;
        self.gain(who, asset, left);
        id
    }

    fn undo(&mut self, hold: usize, fresh: Uuid) -> Expected {
        let id = self.close(hold, fresh);
        // Compensating a hold that nobody ever asked for writes its tombstone.
        let command = match self.orders.get(hold) {
            Some(order) => self.command_of(order),
            None => self.command_of(&Order {
                id,
                who: 0,
                buy: true,
                share: 1,
                quantity: ONE,
                limit: ONE,
                ppm: 0,
                fills: Vec::new(),
                open: false,
                placed: false,
            }),
        };
        Expected { saga_id: id.uuid(), undo: true, command, outcome: Ok(()) }
    }

    /// Two open orders that cross, a price between their limits, and a quantity that rarely is one lot too large.
    fn crossing(&self, (buy, sell): (usize, usize), (lots, ticks): (i128, i128)) -> Option<Meeting> {
        let open = |buy: bool| {
            let orders = self.orders.iter().enumerate();
            orders.filter(move |(_, order)| {
                order.placed && order.open && order.leaves() > 0 && order.buy == buy
            })
        };
        let bids: Vec<_> = open(true).collect();
        let (bid_at, bid) = *bids.get(buy.checked_rem(bids.len())?)?;
        let meets =
            |order: &Order| order.who != bid.who && order.share == bid.share && order.limit <= bid.limit;
        let asks: Vec<_> = open(false).filter(|(_, order)| meets(order)).collect();
        let (ask_at, ask) = *asks.get(sell.checked_rem(asks.len())?)?;
        let left = bid.leaves().min(ask.leaves()) / ASSETS[bid.share].1;
        let room = (bid.limit - ask.limit) / CENT + 1;
        Some(((bid_at, ask_at), (1 + lots % (left + 1), ask.limit / CENT + ticks % room)))
    }

    fn settle(
        &mut self,
        id: Uuid,
        (buy, sell): (usize, usize),
        (lots, ticks): (i128, i128),
    ) -> (Command, Result<(), Reason>) {
        // Whoever settles names the orders as they are, or names two that are not there.
        let bid = self.orders.get(buy).cloned();
        let ask = self.orders.get(sell).cloned();
        let share = bid.as_ref().map_or(1, |order| order.share);
        let (quantity, price) = (lots * ASSETS[share].1, ticks * CENT);
        let named = |order: &Option<Order>, otherwise: usize| {
            order.as_ref().map_or((HoldId::from(id), otherwise), |order| (order.id, order.who))
        };
        let ((buy_hold, buyer), (sell_hold, seller)) = (named(&bid, 0), named(&ask, 1));
        let command = Command::SettleTrade(SettleTrade {
            trade_id: TradeId::from(id),
            buy_hold,
            sell_hold,
            buyer: self.customer(buyer),
            seller: self.customer(seller),
            base: code(share),
            quote: code(0),
            quantity: Quantity::from_units(quantity).unwrap(),
            price: Price::from_units(price).unwrap(),
        });
        if buyer == seller {
            return (command, Err(Reason::SelfTrade));
        }
        let outcome = self.may_settle(bid.as_ref(), ask.as_ref(), (share, quantity, price));
        if outcome.is_ok() {
            self.book(buy, sell, quantity, price);
        }
        (command, outcome)
    }

    fn may_settle(
        &self,
        bid: Option<&Order>,
        ask: Option<&Order>,
        (share, quantity, price): (usize, i128, i128),
    ) -> Result<(), Reason> {
        let sides = [(bid, true), (ask, false)];
        for (order, buy) in sides {
            let order = order.filter(|order| order.placed).ok_or(Reason::HoldNotFound)?;
            if order.buy != buy || order.share != share {
                return Err(Reason::HoldMismatch);
            }
        }
        let orders = sides.map(|(order, _)| order);
        if orders.iter().flatten().any(|order| self.frozen[order.who]) {
            return Err(Reason::CustomerFrozen);
        }
        for order in orders.into_iter().flatten() {
            if !order.open || order.leaves() == 0 {
                return Err(Reason::HoldClosed);
            } else if quantity > order.leaves() {
                return Err(Reason::HoldInsufficient);
            } else if (order.buy && price > order.limit) || (!order.buy && price < order.limit) {
                return Err(Reason::PriceOutsideLimits);
            }
        }
        Ok(())
    }

    fn book(&mut self, buy: usize, sell: usize, quantity: i128, price: i128) {
        let mut fees = 0;
        let mut fill = |order: &mut Order| {
            let (held, charged) = (order.needs(), order.charged());
            order.fills.push((quantity, price));
            let fee = order.charged() - charged;
            fees += fee;
            (order.who, order.share, held - order.needs(), fee)
        };
        let (buyer, share, freed, buy_fee) = fill(&mut self.orders[buy]);
        let (seller, _, _, sell_fee) = fill(&mut self.orders[sell]);
        let traded = product(price, quantity);
        self.gain(buyer, share, quantity);
        self.gain(buyer, 0, freed - traded - buy_fee);
        self.gain(seller, 0, traded - sell_fee);
        self.house[0] += fees;
    }
}

pub fn code(asset: usize) -> AssetCode {
    AssetCode::parse(ASSETS[asset].0).unwrap()
}

pub fn money(units: i128) -> Amount {
    Amount::from_units(units).unwrap()
}

pub fn actor() -> Actor {
    Actor::parse("admin").unwrap()
}
