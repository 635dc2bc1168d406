//! Opening a store, and finding out whether it still has everything that was acknowledged.

use std::fmt::Display;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::engine::{Engine, EngineOptions, Recovered};
use super::journals::{Journals, Sequences, remove_dir};
use super::mark::Mark;

/// The reason why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the directory.
    #[error("{0} is in use by another process; stop that one, or set SCHEDULER_DATA_DIR to another directory")]
    Locked(PathBuf),
    /// A newer version of this program has written the store.
    #[error(
        "{path} was written by a newer version (format {found}, this version reads up to {known}); start that version"
    )]
    Newer {
        /// The directory of the store.
        path: PathBuf,
        /// The version of its format.
        found: u32,
        /// The newest version that this program reads.
        known: u32,
    },
    /// Acknowledged commits are missing, or files are damaged.
    #[error(
        "{path} is damaged: {reason}. It was left as it is. Restore a backup of the whole data directory, or run \
         `mcp-scheduler repair` to see what can be saved and what would be lost"
    )]
    Damaged {
        /// The directory of the store.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The directory or the store cannot be read or written.
    #[error("{path} cannot be opened: {reason}")]
    Failed {
        /// The directory of the store.
        path: PathBuf,
        /// The error of the system or of the engine.
        reason: String,
    },
}

impl OpenError {
    pub(super) fn damaged(path: &Path, reason: &dyn Display) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn failed(path: &Path, error: &dyn Display) -> Self {
        Self::Failed { path: path.to_owned(), reason: error.to_string() }
    }
}

/// Opens the store in this directory. `acknowledged` is the number of a commit that it must have, beside the mark.
pub(super) fn open(dir: &Path, options: EngineOptions, acknowledged: u64) -> Result<(Engine, Mark), OpenError> {
    let path = dir.join("store");
    let failed = |error: std::io::Error| OpenError::failed(&path, &error);
    let mark = Mark::open(dir).map_err(|error| OpenError::damaged(&path, &error))?;
    let journals = Journals::copy(dir).map_err(failed)?;
    let opened = Recovered::open(&path, options).and_then(|recovered| {
        let (sequence, persisted) = (recovered.sequence, recovered.persisted);
        let marked = mark.as_ref().map(Mark::sequence);
        match missing(sequence, persisted, &journals.sequences, marked, acknowledged) {
            Some(reason) => Err(OpenError::damaged(&path, &reason)),
            None => Ok(recovered),
        }
    });
    let recovered = match opened {
        Ok(recovered) => recovered,
        Err(error) => {
            // The engine may have truncated them.
            journals.put_back().map_err(failed)?;
            journals.remove().map_err(failed)?;
            return Err(error);
        }
    };
    journals.remove().map_err(failed)?;
    let mark = match mark {
        Some(mark) => mark,
        None => Mark::create(dir, recovered.sequence).map_err(failed)?,
    };
    Ok((recovered.start()?, mark))
}

/// Creates a store, if there is none.
pub(super) fn create(dir: &Path, options: EngineOptions) -> Result<(), OpenError> {
    let path = dir.join("store");
    let failed = |error: std::io::Error| OpenError::failed(&path, &error);
    if path.try_exists().map_err(failed)? {
        return Ok(());
    }
    match Mark::open(dir).map_err(|error| OpenError::damaged(&path, &error))? {
        Some(mark) if mark.sequence() > 0 => {
            return Err(OpenError::damaged(&path, &"it is gone, and store.mark is still there"));
        }
        Some(_) => {}
        None => drop(Mark::create(dir, 0).map_err(failed)?),
    }
    let draft = dir.join("store.new");
    remove_dir(&draft).map_err(failed)?;
    // The engine cannot open a store whose creation was interrupted (fjall 3.1). So the store is created under another
    // name and renamed when it is complete.
    drop(Recovered::open(&draft, options)?.start()?);
    fs::rename(&draft, &path).and_then(|()| File::open(dir)?.sync_all()).map_err(failed)
}

/// Says which acknowledged commits are missing, if any are.
///
/// The recovery found the commits up to `sequence`; those up to `persisted` need no journal. `journals` has the commits
/// that the journals contained before.
pub(super) fn missing(
    sequence: u64,
    persisted: u64,
    journals: &Sequences,
    marked: Option<u64>,
    acknowledged: u64,
) -> Option<String> {
    let Some(marked) = marked else {
        let text = "store.mark is missing, so it is unknown whether the store is complete";
        return (sequence > 0).then(|| text.to_owned());
    };
    let synced = marked.max(acknowledged);
    if sequence < synced {
        return Some(format!("it ends with commit {sequence}, and commit {synced} was acknowledged"));
    }
    // A commit is written after the one before it was synced. So only the last one can be a torn write.
    if let Some(last) = journals.last.filter(|last| sequence + 1 < *last) {
        return Some(format!(
            "its journal cannot be read from commit {} on, and has commits up to {last}",
            sequence + 1
        ));
    }
    let begin = journals.first.map(|first| (persisted, first)).filter(|(before, first)| before + 1 < *first);
    let gap = journals.gaps.iter().copied().find(|(_, next)| persisted + 1 < *next);
    let (before, next) = begin.or(gap)?;
    Some(format!("the commits between {before} and {next} are missing; was a file with the ending .jnl deleted?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journals(first: u64, last: u64, gaps: &[(u64, u64)]) -> Sequences {
        Sequences { first: Some(first), last: Some(last), gaps: gaps.to_vec() }
    }

    #[test]
    fn a_complete_store_misses_nothing() {
        for (sequence, persisted, journals, marked) in [
            (0, 0, Sequences::default(), None),
            (0, 0, Sequences::default(), Some(0)),
            (9, 0, journals(1, 9, &[]), Some(9)),
            (9, 0, journals(1, 9, &[]), Some(3)),
            // The last commit was torn, or was not written.
            (9, 0, journals(1, 10, &[]), Some(9)),
            // The beginning is in tables.
            (9, 5, journals(6, 9, &[]), Some(9)),
            (9, 5, journals(3, 9, &[]), Some(9)),
            (9, 9, Sequences::default(), Some(9)),
            (9, 5, journals(1, 9, &[(2, 4)]), Some(9)),
        ] {
            assert_eq!(missing(sequence, persisted, &journals, marked, 0), None, "{sequence} {persisted} {journals:?}");
        }
    }

    #[test]
    fn every_missing_commit_is_missed() {
        for (sequence, persisted, journals, marked, acknowledged) in [
            (1, 0, journals(1, 1, &[]), None, 0),
            (8, 0, journals(1, 8, &[]), Some(9), 0),
            (8, 0, journals(1, 8, &[]), Some(3), 9),
            (8, 0, journals(1, 10, &[]), Some(3), 0),
            (0, 0, Sequences::default(), Some(1), 0),
            (9, 5, journals(7, 9, &[]), Some(3), 0),
            (9, 0, journals(2, 9, &[]), Some(3), 0),
            (9, 3, journals(1, 9, &[(3, 6)]), Some(3), 0),
        ] {
            let found = missing(sequence, persisted, &journals, marked, acknowledged);
            assert!(found.is_some(), "{sequence} {persisted} {journals:?} {marked:?} {acknowledged}");
        }
    }
}
