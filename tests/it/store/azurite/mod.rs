//! The suite on Azure Table Storage, as far as Azurite is like it, and what only a storage account
//! behind a network has to do.

use super::suite::{self, TestTable};
use crate::support::azurite;

mod costs;
mod identity;
mod network;
mod queue;
mod signature;

suite::table_suite!(crate::store::azurite::lend());

fn lend() -> TestTable {
    let store = azurite::store();
    TestTable { table: store.conversations(), keep: Box::new(store) }
}
