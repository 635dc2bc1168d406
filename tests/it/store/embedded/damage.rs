//! Damage on the disk: nothing that was acknowledged is missing without a word.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mcp_scheduler::store::{EmbeddedStore, KeyRange, OpenError, Repair, StoreError};
use mcp_scheduler::time::{Clock as _, SystemClock};
use tempfile::TempDir;

use super::disk::{copy, copy_of, newest_journal, written_part};
use crate::store::suite::{HERE, all, insert, keys_of, put, scanned_keys};

const COMMITS: usize = 30;

fn key(i: usize) -> String {
    format!("m~alice~k{i:02}")
}

async fn fill(store: &EmbeddedStore) {
    for i in 0..COMMITS {
        put(&*store.conversations(), &key(i), &"text ".repeat(100)).await;
    }
}

/// A store that was closed after its last commit.
async fn closed_store() -> TempDir {
    let dir = TempDir::new().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    fill(&store).await;
    store.close();
    dir
}

async fn count(dir: &Path) -> Result<usize, OpenError> {
    let store = EmbeddedStore::open(dir)?;
    let found = all(&*store.conversations()).await.len();
    store.close();
    Ok(found)
}

fn overwrite(path: &Path, at: usize, bytes: &[u8]) {
    let mut file = File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(bytes).unwrap();
}

#[track_caller]
fn assert_damaged(result: Result<usize, OpenError>, what: &str) {
    let error = result.expect_err(what);
    assert!(matches!(error, OpenError::Damaged { .. }), "{what}: {error}");
    assert!(error.to_string().contains("mcp-scheduler repair"), "{what} says what to do: {error}");
}

#[tokio::test]
async fn zeros_in_the_middle_of_the_journal_are_refused_and_left_as_they_are() {
    let original = closed_store().await;
    let end = written_part(&fs::read(newest_journal(original.path())).unwrap());
    for at in [1024, end / 2 / 512 * 512, (end - 2048) / 512 * 512] {
        let dir = copy_of(original.path());
        let journal = newest_journal(dir.path());
        overwrite(&journal, at, &[0; 512]);
        let before = fs::read(&journal).unwrap();
        assert_damaged(count(dir.path()).await, &format!("zeros at {at} of {end}"));
        assert!(fs::read(&journal).unwrap() == before, "the journal was changed");
        assert_damaged(count(dir.path()).await, "opened again");
    }
}

/// The last second before a kill is not under the mark. There the numbers in the journal count.
#[tokio::test]
async fn zeros_before_other_commits_are_refused_before_there_is_a_mark() {
    let dir = TempDir::new().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    fill(&store).await;
    let killed = copy_of(dir.path());
    store.close();
    let journal = newest_journal(killed.path());
    let end = written_part(&fs::read(&journal).unwrap());
    overwrite(&journal, end / 2 / 512 * 512, &[0; 512]);
    assert_damaged(count(killed.path()).await, "zeros in the middle");
}

#[tokio::test]
async fn no_flipped_bit_of_a_journal_makes_a_commit_vanish() {
    let original = closed_store().await;
    let bytes = fs::read(newest_journal(original.path())).unwrap();
    let end = written_part(&bytes);
    let mut refused = 0;
    for (i, at) in (0..end).step_by(end / 60).chain(end - 20..end).enumerate() {
        let dir = copy_of(original.path());
        overwrite(&newest_journal(dir.path()), at, &[bytes[at] ^ (1 << (i % 8))]);
        match count(dir.path()).await {
            Ok(found) => assert_eq!(found, COMMITS, "bit {} of byte {at} of {end}", i % 8),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 50, "only {refused} were noticed");
}

#[tokio::test]
async fn files_that_are_gone_are_missed() {
    let original = closed_store().await;
    let dir = copy_of(original.path());
    fs::remove_file(newest_journal(dir.path())).unwrap();
    assert_damaged(count(dir.path()).await, "the journal is gone");

    let dir = copy_of(original.path());
    fs::remove_file(dir.path().join("store.mark")).unwrap();
    assert_damaged(count(dir.path()).await, "the mark is gone");

    let dir = copy_of(original.path());
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    assert_damaged(count(dir.path()).await, "the store is gone");
    assert!(!dir.path().join("store").exists(), "no empty store takes its place");
    assert_eq!(count(original.path()).await.unwrap(), COMMITS);
}

#[tokio::test]
async fn an_old_copy_of_the_store_under_a_newer_mark_is_refused() {
    let dir = closed_store().await;
    let old = copy_of(dir.path());
    let store = EmbeddedStore::open(dir.path()).unwrap();
    put(&*store.conversations(), "later", "v").await;
    store.close();
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    fs::create_dir(dir.path().join("store")).unwrap();
    copy(&old.path().join("store"), &dir.path().join("store"));
    assert_damaged(count(dir.path()).await, "an old store");
    // Restored as a whole it is complete.
    assert_eq!(count(old.path()).await.unwrap(), COMMITS);
}

#[tokio::test]
async fn a_repair_says_what_is_lost_and_changes_nothing_until_it_is_told() {
    let original = closed_store().await;
    let journal = newest_journal(original.path());
    let end = written_part(&fs::read(&journal).unwrap());
    overwrite(&journal, end / 2 / 512 * 512, &[0; 512]);
    let before = fs::read(&journal).unwrap();

    let repair = Repair::begin(original.path()).unwrap();
    let report = repair.report().clone();
    drop(repair);
    assert!(!report.is_complete() && report.missing.is_some(), "{report:?}");
    assert!(fs::read(&journal).unwrap() == before, "nothing was changed");
    assert_damaged(count(original.path()).await, "not repaired yet");

    let repair = Repair::begin(original.path()).unwrap();
    assert_eq!(repair.report(), &report, "the same again");
    let kept = repair.replace(SystemClock.now()).unwrap();
    let store = EmbeddedStore::open(original.path()).unwrap();
    let saved = keys_of(all(&*store.conversations()).await);
    assert_eq!(saved, (0..saved.len()).map(key).collect::<Vec<_>>(), "the commits before the damage");
    assert!(saved.len() > COMMITS / 3 && saved.len() < COMMITS, "{}", saved.len());
    assert_eq!(report.rows, saved.len());
    assert!(fs::read(kept.join(journal.file_name().unwrap())).unwrap() == before, "the damaged one is kept");
    let lost: Vec<_> = report.lost.iter().map(|place| place.rsplit('/').next().unwrap().to_owned()).collect();
    let readable_names = (saved.len() + 2..COMMITS).map(key);
    assert!(readable_names.into_iter().all(|key| lost.contains(&key)), "{lost:?} of {}", saved.len());
    assert!(saved.iter().all(|key| !lost.contains(key)));
    put(&*store.conversations(), "new", "v").await;
    store.close();
    assert!(Repair::begin(original.path()).unwrap().report().is_complete());
}

#[tokio::test]
async fn a_complete_store_needs_no_repair() {
    let dir = closed_store().await;
    let report = Repair::begin(dir.path()).unwrap().report().clone();
    assert!(report.is_complete() && report.rows == COMMITS, "{report:?}");
    assert_eq!(count(dir.path()).await.unwrap(), COMMITS);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "store, store.mark and lock: {left:?}");
}

/// The etags of a repaired store go on, so a reader from before cannot overwrite what it has not seen.
#[tokio::test]
async fn no_etag_comes_back_after_a_repair() {
    let dir = closed_store().await;
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let before = put(&*store.conversations(), "before", "v").await;
    store.close();
    Repair::begin(dir.path()).unwrap().replace(SystemClock.now()).unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let table = store.conversations();
    assert_eq!(table.get(HERE, "before").await.unwrap().unwrap().etag, before);
    let after = put(&*table, "after", "v").await;
    let number = |etag: &mcp_scheduler::store::Etag| etag.as_str().parse::<u64>().unwrap();
    assert!(number(&after) > number(&before));
    store.close();
}

/// Rows until the engine has written a table; returns their number and the table.
async fn store_with_a_table(dir: &Path) -> (usize, PathBuf) {
    let store = EmbeddedStore::open(dir).unwrap();
    let (table, value, mut rows) = (store.conversations(), "v".repeat(480), 0);
    let tables = dir.join("store/keyspaces/1/tables");
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        assert!(Instant::now() < deadline, "no table was written");
        let group = (rows..rows + 100).map(|i| insert(&format!("d~{i:06}"), &value)).collect();
        table.commit(HERE, group).await.unwrap();
        rows += 100;
        let found = fs::read_dir(&tables).into_iter().flatten().map(|entry| entry.unwrap().path()).next();
        if let Some(found) = found.filter(|path| fs::metadata(path).unwrap().len() > 1 << 20) {
            drop(table);
            store.close();
            return (rows, found);
        }
    }
}

#[tokio::test]
async fn a_bad_bit_in_a_table_hides_only_the_rows_of_its_block() {
    let dir = TempDir::new().unwrap();
    let (rows, table) = store_with_a_table(dir.path()).await;
    let bytes = fs::read(&table).unwrap();
    let at = bytes.len() / 2;
    overwrite(&table, at, &[bytes[at] ^ 4]);
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let found = scanned_keys(&*store.conversations(), &KeyRange::prefix("d~"), rows).await;
    let found: HashSet<_> = found.into_iter().collect();
    let missing: Vec<_> = (0..rows).map(|i| format!("d~{i:06}")).filter(|key| !found.contains(key)).collect();
    assert!((1..=10).contains(&missing.len()), "{} of {rows} are missing", missing.len());
    let mut damaged = 0;
    for key in &missing {
        match store.conversations().get(HERE, key).await {
            Err(StoreError::Corrupt { key: named, .. }) if named.contains(&**key) => damaged += 1,
            // The scan also passes over the row before the block.
            result => assert!(result.is_ok(), "{result:?}"),
        }
    }
    assert!(damaged + 1 >= missing.len(), "{damaged} of {missing:?}");
    put(&*store.conversations(), "others", "go on").await;
    store.close();
}

/// The first block of a table has the entries that the store needs to open.
#[tokio::test]
#[ignore = "takes half a minute"]
async fn hold_a_store_with_damage_at_the_beginning_of_a_table_can_be_repaired() {
    let dir = TempDir::new().unwrap();
    let (rows, table) = store_with_a_table(dir.path()).await;
    overwrite(&table, 100, b"?");
    assert_damaged(count(dir.path()).await, "the beginning of a table");
    let repair = Repair::begin(dir.path()).unwrap();
    assert_eq!(repair.report().unreadable.len(), 1, "{:?}", repair.report());
    let readable = repair.report().rows;
    assert!((rows - 10..rows).contains(&readable), "{readable} of {rows}");
    repair.replace(SystemClock.now()).unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let found = scanned_keys(&*store.conversations(), &KeyRange::prefix("d~"), rows).await;
    assert_eq!(found.len(), readable);
    store.close();
}
