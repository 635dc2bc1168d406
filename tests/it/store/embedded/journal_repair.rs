//! A power failure during a write: the store opens, it has every commit that was acknowledged before, and it has the torn
//! commit as a whole or not at all.
//!
//! The tests copy the directory while the store is open. The copy is what the disk holds at a power failure, because every
//! commit is synced before it is acknowledged. Then they damage the end of the copy's journal.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use mcp_scheduler::store::{EmbeddedStore, OpenError, Table};
use tempfile::TempDir;

use super::disk::{copy_of, newest_journal, written_part};
use crate::store::suite::{HERE, all, change, insert, keys_of, put, value_of};

/// The number of commits before the torn one.
const BEFORE: usize = 20;
/// The size of the torn commit in the journal; no test damages more.
const TORN_BYTES: usize = 3 * 30_000;

/// The disk at the power failure, and where the written part of its journal ends.
struct Disk {
    dir: TempDir,
    journal: PathBuf,
    end: u64,
}

impl Disk {
    async fn after_some_commits() -> Self {
        let original = TempDir::new().unwrap();
        let store = EmbeddedStore::open(original.path()).unwrap();
        let table = store.conversations();
        for i in 0..BEFORE {
            let group = vec![insert(&format!("k{i:02}"), "acknowledged"), insert(&format!("k{i:02}~due"), "v")];
            table.commit(HERE, group).await.unwrap();
        }
        let long = "x".repeat(TORN_BYTES / 3);
        let torn = ["torn.a", "torn.b", "torn.c"].map(|key| insert(key, &long));
        table.commit(HERE, torn.to_vec()).await.unwrap();
        let dir = copy_of(original.path());
        drop(table);
        store.close();

        let journal = newest_journal(dir.path());
        let end = written_part(&fs::read(&journal).unwrap());
        assert!(end > TORN_BYTES);
        Self { dir, journal, end: end as u64 }
    }

    fn cut(&self, bytes: u64) {
        File::options().write(true).open(&self.journal).unwrap().set_len(self.end - bytes).unwrap();
    }

    fn overwrite(&self, from: u64, bytes: &[u8]) {
        let mut file = File::options().write(true).open(&self.journal).unwrap();
        file.seek(SeekFrom::Start(from)).unwrap();
        file.write_all(bytes).unwrap();
    }

    /// Opens what is left. Returns whether the torn commit is there.
    async fn open(self, what: &str) -> bool {
        let store = EmbeddedStore::open(self.dir.path()).unwrap_or_else(|e| panic!("{what}: {e}"));
        let table = store.conversations();
        let mut keys = keys_of(all(&*table).await);
        let torn: Vec<String> = keys.extract_if(.., |key| key.starts_with("torn")).collect();
        assert_eq!(keys.len(), BEFORE * 2, "{what}: what was acknowledged before is there");
        assert!(torn.is_empty() || torn.len() == 3, "{what}: {torn:?} is a part of a commit");
        works_on(&*table).await;
        drop(table);
        store.close();

        let store = EmbeddedStore::open(self.dir.path()).unwrap_or_else(|e| panic!("{what}, opened again: {e}"));
        assert_eq!(value_of(&*store.conversations(), "new").await.as_deref(), Some("w"), "{what}");
        store.close();
        !torn.is_empty()
    }
}

/// Checks that the store accepts commits and knows the etags of the rows that it kept.
async fn works_on(table: &dyn Table) {
    let etag = put(table, "new", "v").await;
    change(table, "new", "w", &etag).await;
    let kept = table.get(HERE, "k00").await.unwrap().unwrap();
    change(table, "k00", "changed", &kept.etag).await;
}

#[tokio::test]
async fn a_copy_of_an_open_store_has_every_acknowledged_commit() {
    let disk = Disk::after_some_commits().await;
    assert!(disk.open("untouched").await, "the last commit was acknowledged as well");
}

#[tokio::test]
async fn a_journal_that_was_cut_off_loses_its_last_commit_only() {
    for bytes in [1, 7, 100, 4096, 50_000] {
        let disk = Disk::after_some_commits().await;
        disk.cut(bytes);
        assert!(!disk.open(&format!("{bytes} bytes cut off")).await);
    }
}

#[tokio::test]
async fn a_journal_that_ends_in_zeros_loses_its_last_commit_only() {
    for bytes in [1, 7, 100, 4096, 50_000] {
        let disk = Disk::after_some_commits().await;
        disk.overwrite(disk.end - bytes, &vec![0; usize::try_from(bytes).unwrap()]);
        assert!(!disk.open(&format!("{bytes} bytes zeroed")).await);
    }
}

#[tokio::test]
async fn garbage_after_the_last_commit_loses_nothing() {
    for (what, garbage) in
        [("ones", vec![0xff; 5000]), ("a cycle", (0..=255).cycle().take(5000).collect()), ("one byte", vec![7])]
    {
        let disk = Disk::after_some_commits().await;
        disk.overwrite(disk.end, &garbage);
        assert!(disk.open(&format!("{what} behind the end")).await);
    }
}

/// A disk may write the blocks of one write in any order, so the end of the last commit can be there without its middle.
#[tokio::test]
async fn a_last_commit_with_a_hole_is_lost_and_no_other() {
    for (from_end, bytes) in [(60_000, 4096), (60_000, 1024), (89_000, 80_000), (2048, 1024)] {
        let disk = Disk::after_some_commits().await;
        disk.overwrite(disk.end - from_end, &vec![0; bytes]);
        assert!(!disk.open(&format!("a hole of {bytes} bytes, {from_end} from the end")).await);
    }
}

/// A changed byte is damage, not a torn write: the store does not repair it.
#[tokio::test]
async fn a_damaged_journal_is_reported_and_not_changed() {
    let disk = Disk::after_some_commits().await;
    disk.overwrite(disk.end - 60_000, b"?");
    let before = fs::read(&disk.journal).unwrap();
    let error = EmbeddedStore::open(disk.dir.path()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
    assert!(fs::read(&disk.journal).unwrap() == before, "the journal was changed");
}
