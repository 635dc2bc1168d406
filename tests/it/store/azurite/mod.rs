//! The suite on Azure Table Storage, played by Azurite, and tests of what only a storage account does.

use super::suite::{self, TestTable};
use crate::support::azurite;

mod clock;
mod costs;
mod identity;
mod network;
mod queue;
mod shared_transactions;
mod signature;

suite::table_suite!(crate::store::azurite::test_table());

fn test_table() -> TestTable {
    let store = azurite::store();
    TestTable { table: store.conversations(), keep: Box::new(store) }
}
