//! The suite on the embedded store, and what only a store with a directory has to do.

use mcp_scheduler::store::EmbeddedStore;
use tempfile::TempDir;

use super::suite::{self, TestTable};

mod directory;
mod journal_repair;

suite::table_suite!(crate::store::embedded::lend());

fn lend() -> TestTable {
    let dir = TempDir::new().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    // The store goes before its directory.
    TestTable { table: store.conversations(), keep: Box::new((store, dir)) }
}
