//! Repairing a damaged store: what can be read is copied into a new store, and the damaged one is kept.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use memchr::memmem;

use super::Lock;
use super::engine::{Engine, EngineOptions, Recovered, printable};
use super::journals::{Journals, journals_in, remove_dir};
use super::mark::Mark;
use super::opening::{OpenError, missing};
use super::readable::Readable;
use crate::domain::Timestamp;

/// What can be saved of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// The number of rows that can be read.
    pub rows: usize,
    /// The acknowledged commits that are missing, in words, if any are.
    pub missing: Option<String>,
    /// The keys of conversations that the journals name and that no readable row has.
    pub lost: Vec<String>,
    /// The places in the tables that cannot be read.
    pub unreadable: Vec<String>,
}

impl RepairReport {
    /// Whether the store has everything that it should have.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.missing.is_none() && self.unreadable.is_empty() && self.lost.is_empty()
    }
}

/// A store with what can be read of a damaged one, in a directory of its own inside the data directory. Dropping it
/// removes that directory; the damaged store is not changed.
pub struct Repair {
    dir: PathBuf,
    report: RepairReport,
    _lock: Lock,
}

const READING: EngineOptions = EngineOptions { max_files: 64, background: false, salvage: true };
const WRITING: EngineOptions = EngineOptions { max_files: 64, background: true, salvage: false };

impl Repair {
    /// Copies what can be read of the store in a data directory.
    ///
    /// # Errors
    /// [`OpenError`] if another process has the store, if the disk has no room for a copy, or if nothing can be read.
    pub fn begin(dir: &Path) -> Result<Self, OpenError> {
        let (store, work) = (dir.join("store"), dir.join("store.repair"));
        let failed = |error: io::Error| OpenError::failed(&store, &error);
        let mut repair = Self { dir: dir.to_owned(), report: RepairReport::default(), _lock: Lock::take(dir)? };
        for old in [&work, &repair.repaired()] {
            remove_dir(old).map_err(failed)?;
        }
        let journals = Journals::copy(dir).map_err(failed)?;
        fs::create_dir(repair.repaired()).and_then(|()| link_tables(&store, &work)).map_err(failed)?;
        let recovered = recover_journals(&store, &work)?;
        let marked = Mark::open(dir).ok().flatten().map(|mark| mark.sequence());
        let missing = missing(recovered.sequence, recovered.persisted, &journals.sequences, marked, 0);
        let old = recovered.into_engine().map_err(failed)?;
        let copied = copy_rows(&old, &repair.repaired().join("store"))?;
        let lost = lost_rows(&old, &store)?;
        repair.report = RepairReport { missing, lost, ..copied };
        drop(old);
        drop(Mark::create(&repair.repaired(), 0).map_err(failed)?);
        journals.remove().and_then(|()| remove_dir(&work)).map_err(failed)?;
        Ok(repair)
    }

    /// What was found.
    #[must_use]
    pub const fn report(&self) -> &RepairReport {
        &self.report
    }

    /// The data directory of the new store.
    #[must_use]
    pub fn repaired(&self) -> PathBuf {
        self.dir.join("store.repaired")
    }

    /// Puts the new store in the place of the damaged one. Returns where that one is kept, under a name with this time.
    ///
    /// # Errors
    /// What the file system says.
    pub fn replace(self, now: Timestamp) -> io::Result<PathBuf> {
        let (store, kept) = (self.dir.join("store"), self.dir.join(format!("store.damaged-{}", now.as_millis())));
        fs::rename(&store, &kept)?;
        fs::rename(self.repaired().join("store"), &store)?;
        drop(Mark::create(&self.dir, 0)?);
        File::open(&self.dir)?.sync_all()?;
        Ok(kept)
    }
}

impl Drop for Repair {
    fn drop(&mut self) {
        // What remains is removed by the next repair.
        let _ = remove_dir(&self.repaired());
    }
}

/// Links all files but the journals: the engine does not change a file in its place.
fn link_tables(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            link_tables(&path, &place)?;
        } else if path.extension().is_none_or(|extension| extension != "jnl") {
            // A file system without links gets a copy.
            fs::hard_link(&path, &place).or_else(|_| fs::copy(&path, &place).map(drop))?;
        }
    }
    Ok(())
}

/// Copies what can be read into a new store.
fn copy_rows(old: &Engine, to: &Path) -> Result<RepairReport, OpenError> {
    let mut last_change = 0;
    each_page(old, |page| {
        last_change = page.rows.iter().map(|(_, value)| value.change()).fold(last_change, u64::max);
        Ok(())
    })?;
    let new = Recovered::open(to, WRITING)?.start_after(last_change)?;
    let mut report = RepairReport::default();
    each_page(old, |page| {
        report.unreadable.extend(page.unreadable);
        report.rows += page.rows.len();
        let mut batch = new.batch();
        for (key, value) in page.rows {
            batch.copy(key, value);
        }
        batch.commit().map_err(|error| OpenError::failed(to, &error.into_cause()))
    })?;
    Ok(report)
}

fn each_page(old: &Engine, mut visit: impl FnMut(Readable<'_>) -> Result<(), OpenError>) -> Result<(), OpenError> {
    // The keys of rows begin with the letter of their table, those of the engine's own entries with NUL.
    let (mut from, end) = (vec![1], [0xff]);
    loop {
        let page = Readable::read(old, &from, &end, 1000).map_err(|error| OpenError::failed(old.path(), &error))?;
        let Some((last, _)) = page.rows.last() else { return visit(page) };
        from = [last, &[0][..]].concat();
        visit(page)?;
    }
}

/// Opens the tables in `work` with as much of the journals of `store` as the engine can read.
fn recover_journals(store: &Path, work: &Path) -> Result<Recovered, OpenError> {
    let failed = |error: io::Error| OpenError::failed(store, &error);
    let mut recovered = None;
    for (_, journal) in journals_in(store).map_err(failed)? {
        drop(recovered.take());
        let bytes = fs::read(&journal).map_err(failed)?;
        let place = work.join(journal.file_name().unwrap_or_default());
        let try_with = |length: usize| {
            fs::write(&place, bytes.get(..length).unwrap_or(&bytes)).map_err(failed)?;
            Recovered::open(work, READING)
        };
        let (mut readable, mut damaged) = (0, bytes.len());
        let mut result = try_with(damaged);
        while result.is_err() && readable + 1 < damaged {
            let middle = usize::midpoint(readable, damaged);
            if try_with(middle).is_ok() { readable = middle } else { damaged = middle }
        }
        if result.is_err() {
            result = try_with(readable);
        }
        recovered = Some(result?);
    }
    recovered.map_or_else(|| Recovered::open(work, READING), Ok)
}

/// The conversations that the journals name and that the engine does not have.
fn lost_rows(engine: &Engine, store: &Path) -> Result<Vec<String>, OpenError> {
    let failed = |error: io::Error| OpenError::failed(store, &error);
    let mut lost = BTreeSet::new();
    for (_, journal) in journals_in(store).map_err(failed)? {
        let named = main_rows(&fs::read(&journal).map_err(failed)?);
        lost.extend(named.into_iter().filter(|key| matches!(engine.get(key), Ok(None))));
    }
    Ok(lost.iter().map(|key| printable(key)).collect())
}

/// The keys of main rows that these bytes of a journal name. The engine writes keys as they are.
fn main_rows(bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    const TABLE: &[u8] = b"c\0";
    const MAIN: &[u8] = b"\0m~";
    let mut keys = BTreeSet::new();
    for at in memmem::find_iter(bytes, MAIN) {
        let partition = bytes.get(..at).and_then(|before| memmem::rfind(before, TABLE));
        let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~');
        let length = bytes.get(at + 1..).map_or(0, |rest| rest.iter().take_while(|byte| is_key(byte)).count());
        let key = partition.filter(|begin| at - begin < 32).and_then(|begin| bytes.get(begin..at + 1 + length));
        keys.extend(key.map(<[u8]>::to_vec));
    }
    keys
}
