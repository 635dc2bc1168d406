//! The high-water mark: the sequence number of the last commit that is known to be on the disk.
//!
//! It is a file beside the store, so damage to the store does not change it. A store that ends below its mark has lost
//! commits that were acknowledged.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::private_files::write_private;

/// The file with the mark.
pub(super) struct Mark {
    file: File,
    written: u64,
}

impl Mark {
    /// The mark of the store in this directory. `None` if there is none yet.
    pub(super) fn open(dir: &Path) -> io::Result<Option<Self>> {
        let mut file = match File::options().read(true).write(true).open(path(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result?,
        };
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let written = parse(&text).ok_or_else(|| io::Error::other("store.mark is not a mark of this program"))?;
        Ok(Some(Self { file, written }))
    }

    /// Creates a mark. It is on the disk when this returns. A process that is killed meanwhile leaves none, or all of it.
    pub(super) fn create(dir: &Path, sequence: u64) -> io::Result<Self> {
        write_private(&path(dir), text(sequence).as_bytes())?;
        Self::open(dir)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    pub(super) const fn sequence(&self) -> u64 {
        self.written
    }

    /// Raises the mark to the number of a commit that is on the disk.
    pub(super) fn raise(&mut self, sequence: u64) -> io::Result<()> {
        if sequence <= self.written {
            return Ok(());
        }
        self.put(sequence)?;
        self.file.sync_data()
    }

    /// The text has a fixed length below that of a sector, which a disk writes as a whole.
    fn put(&mut self, sequence: u64) -> io::Result<()> {
        self.file.write_all_at(text(sequence).as_bytes(), 0)?;
        self.written = sequence;
        Ok(())
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("store.mark")
}

fn text(sequence: u64) -> String {
    let number = format!("{sequence:020}");
    format!("{number} {:08x}\n", crc32fast::hash(number.as_bytes()))
}

fn parse(found: &str) -> Option<u64> {
    let sequence = found.get(..20)?.parse().ok()?;
    (found == text(sequence)).then_some(sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_only_rises() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Mark::open(dir.path()).unwrap().is_none());
        let mut mark = Mark::create(dir.path(), 7).unwrap();
        mark.raise(u64::MAX - 1).unwrap();
        mark.raise(9).unwrap();
        assert_eq!(Mark::open(dir.path()).unwrap().unwrap().sequence(), u64::MAX - 1);
    }

    #[test]
    fn a_damaged_mark_is_an_error() {
        for damaged in ["", "7", "00000000000000000007 00000000\n", &text(7)[..28], &text(7).replace('7', "8")] {
            assert_eq!(parse(damaged), None, "{damaged}");
        }
        assert_eq!(parse(&text(7)), Some(7));
    }
}
