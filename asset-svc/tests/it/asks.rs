//! What the model and the service are asked: sequences that mostly make sense.

use proptest::prelude::*;

pub const ONE: i128 = 100_000_000;
pub const CENT: i128 = ONE / 100;
pub const CUSTOMERS: usize = 3;
/// Code, and the size of the smallest lot. The first is what the others are paid with.
pub const ASSETS: [(&str, i128); 3] = [("TRY", CENT), ("THYAO", ONE), ("GARAN", ONE / 10_000)];
pub const RATES: [u32; 4] = [0, 250, 1_500, 1_000_000];

/// Something that somebody asks for. Holds are named by their place in the order of asking.
#[derive(Debug, Clone)]
pub enum Ask {
    Deposit {
        who: usize,
        asset: usize,
        lots: i128,
    },
    Withdraw {
        who: usize,
        asset: usize,
        lots: i128,
    },
    Transfer {
        who: usize,
        asset: usize,
        lots: i128,
        to_customer: bool,
    },
    Place {
        who: usize,
        buy: bool,
        share: usize,
        lots: i128,
        ticks: i128,
    },
    Release {
        hold: usize,
    },
    Undo {
        hold: usize,
    },
    /// `sensible`: of two open orders that cross, rather than of any two.
    Settle {
        sensible: bool,
        buy: usize,
        sell: usize,
        lots: i128,
        ticks: i128,
    },
    Become {
        who: usize,
        tier: usize,
        frozen: bool,
    },
}

/// Sequences that mostly make sense: everybody has something to begin with, and many orders meet.
pub fn asks(length: usize) -> impl Strategy<Value = Vec<Ask>> {
    let who = 0..CUSTOMERS;
    let hold = 0..16_usize;
    let ask = prop_oneof![
        1 => (who.clone(), 0..3_usize, 1..200_000_i128).prop_map(|(who, asset, lots)| Ask::Deposit { who, asset, lots }),
        1 => (who.clone(), 0..3_usize, 1..500_000_i128).prop_map(|(who, asset, lots)| Ask::Withdraw { who, asset, lots }),
        1 => (who.clone(), 0..3_usize, 1..9_999_i128, any::<bool>())
            .prop_map(|(who, asset, lots, to_customer)| Ask::Transfer { who, asset, lots, to_customer }),
        6 => (who.clone(), any::<bool>(), 1..3_usize, 1..900_i128, 1..400_i128)
            .prop_map(|(who, buy, share, lots, ticks)| Ask::Place { who, buy, share, lots, ticks }),
        1 => hold.clone().prop_map(|hold| Ask::Release { hold }),
        1 => hold.clone().prop_map(|hold| Ask::Undo { hold }),
        9 => (prop::bool::weighted(0.7), hold.clone(), hold, 1..600_i128, 1..400_i128)
            .prop_map(|(sensible, buy, sell, lots, ticks)| Ask::Settle { sensible, buy, sell, lots, ticks }),
        1 => (who, 0..3_usize, prop::bool::weighted(0.2)).prop_map(|(who, tier, frozen)| Ask::Become { who, tier, frozen }),
    ];
    prop::collection::vec(ask, length..=length)
}

/// What makes everybody a customer with something of everything.
pub fn beginnings() -> Vec<Ask> {
    let customers = (0..CUSTOMERS).map(|who| Ask::Become { who, tier: who, frozen: false });
    let money = (0..CUSTOMERS * ASSETS.len()).map(|nth| Ask::Deposit {
        who: nth % CUSTOMERS,
        asset: nth / CUSTOMERS,
        lots: if nth < CUSTOMERS { 300_000 } else { 1_500 },
    });
    customers.chain(money).collect()
}
