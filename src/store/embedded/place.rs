//! Where the files of an open store are, and whether they still are there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::journals::journals_in;
use crate::sync::lock;

/// The directory of an open store and its newest journal.
///
/// The system lets a process write to a file that was deleted, so the writes to a store that is gone succeed. They are
/// lost when the process ends.
pub(super) struct Place {
    dir: PathBuf,
    id: FileId,
    journal: Mutex<JournalFile>,
}

/// Device and inode.
type FileId = (u64, u64);

struct JournalFile {
    number: u64,
    path: PathBuf,
    id: FileId,
}

impl Place {
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        Ok(Self { dir: dir.to_owned(), id: file_id(dir)?, journal: Mutex::new(JournalFile::newest(dir)?) })
    }

    /// Whether the files still have their names. Cheap enough for every commit.
    pub(super) fn check(&self) -> io::Result<()> {
        let mut journal = lock(&self.journal);
        match fs::metadata(&journal.path) {
            Ok(found) if id_of(&found) == journal.id => Ok(()),
            Ok(_) => Err(gone(&journal.path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.find_newest(&mut journal),
            Err(error) => Err(error),
        }
    }

    /// The same, and whether the journal that is written now is there.
    pub(super) fn check_all(&self) -> io::Result<()> {
        if file_id(&self.dir)? != self.id {
            return Err(gone(&self.dir));
        }
        self.find_newest(&mut lock(&self.journal))?;
        self.check()
    }

    /// The engine removes a journal that it needs no more, and has begun a later one by then.
    fn find_newest(&self, journal: &mut JournalFile) -> io::Result<()> {
        let newest = JournalFile::newest(&self.dir)?;
        if newest.number < journal.number || file_id(&self.dir)? != self.id {
            return Err(gone(&journal.path));
        }
        if newest.number > journal.number {
            *journal = newest;
        }
        Ok(())
    }
}

impl JournalFile {
    fn newest(dir: &Path) -> io::Result<Self> {
        let journals = journals_in(dir).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => gone(dir),
            _ => error,
        })?;
        let (number, path) = journals.into_iter().next_back().ok_or_else(|| gone(&dir.join("*.jnl")))?;
        let id = file_id(&path)?;
        Ok(Self { number, path, id })
    }
}

fn id_of(found: &fs::Metadata) -> FileId {
    (found.dev(), found.ino())
}

fn file_id(path: &Path) -> io::Result<FileId> {
    match fs::metadata(path) {
        Ok(found) => Ok(id_of(&found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(gone(path)),
        Err(error) => Err(error),
    }
}

fn gone(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{} was moved, replaced or deleted", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(journals: &[&str]) -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("store")).unwrap();
        for name in journals {
            fs::write(dir.path().join("store").join(name), "").unwrap();
        }
        let place = Place::of(&dir.path().join("store")).unwrap();
        (dir, place)
    }

    fn is_there(place: &Place) -> (bool, bool) {
        (place.check().is_ok(), place.check_all().is_ok())
    }

    #[test]
    fn later_journals_may_take_the_place_of_earlier_ones() {
        let (dir, place) = store(&["9.jnl"]);
        assert_eq!(is_there(&place), (true, true));
        fs::write(dir.path().join("store/10.jnl"), "").unwrap();
        assert_eq!(is_there(&place), (true, true));
        fs::remove_file(dir.path().join("store/9.jnl")).unwrap();
        assert_eq!(is_there(&place), (true, true));
    }

    #[test]
    fn the_newest_journal_is_missed() {
        let (dir, place) = store(&["9.jnl", "10.jnl"]);
        fs::remove_file(dir.path().join("store/10.jnl")).unwrap();
        assert_eq!(is_there(&place), (false, false));
    }

    #[test]
    fn a_replaced_file_or_directory_is_not_the_same() {
        let (dir, place) = store(&["9.jnl"]);
        fs::write(dir.path().join("store/new"), "").unwrap();
        fs::rename(dir.path().join("store/new"), dir.path().join("store/9.jnl")).unwrap();
        assert_eq!(is_there(&place), (false, false));
        let (dir, place) = store(&["9.jnl"]);
        fs::rename(dir.path().join("store"), dir.path().join("away")).unwrap();
        assert_eq!(is_there(&place), (false, false));
        fs::create_dir(dir.path().join("store")).unwrap();
        fs::write(dir.path().join("store/9.jnl"), "").unwrap();
        assert_eq!(is_there(&place), (false, false));
        fs::remove_dir_all(dir.path()).unwrap();
        assert_eq!(is_there(&place), (false, false));
    }
}
