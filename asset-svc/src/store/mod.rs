//! SQL of the ledger: what a batch locks and reads, the one statement that it writes, and the reads of the API.
//!
//! Nothing here decides. Holds are placed without locks (`optimistic`); everything else locks what it reads. Lock order within a transaction, after the inbox: holds by id, balances by (owner, asset),
//! customers by id. The executor is the only writer; the kit's sealer adds three columns to journal rows afterwards.

mod balance_check;
mod books;
mod load;
mod optimistic;
pub mod reads;
mod recollection;
mod rows;
mod save;
mod seal;

pub use balance_check::BalanceCheck;
pub use books::AssetBooks;
pub use recollection::Recollection;
pub use seal::Journal;
