//! The suite on the embedded store, and tests of what only a store in a directory does.

use mcp_scheduler::store::EmbeddedStore;
use tempfile::TempDir;

use super::suite::{self, TestTable};

mod damage;
mod directory;
mod disk;
mod journal_repair;
mod size;

suite::table_suite!(crate::store::embedded::test_table());

fn test_table() -> TestTable {
    let dir = TempDir::new().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    // The store is dropped before its directory.
    TestTable { table: store.conversations(), keep: Box::new((store, dir)) }
}
