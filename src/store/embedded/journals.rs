//! The journals of a store: a copy from before they are opened, and the commits that they contain.
//!
//! The engine (fjall 3.1) cuts a journal at the first place that it cannot read, and says nothing. It does not know
//! whether a torn write lies there, or damage with acknowledged commits behind it. So the journals are copied before
//! the engine opens them, and each commit carries its sequence number as a row with a prefix that no text contains. The
//! numbers are found by searching the bytes, without knowledge of the engine's format.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use memchr::memmem;

/// The value of the row with the sequence number begins with this. 0xff is in no UTF-8 text.
const PREFIX: [u8; 8] = *b"\xff\xfecommit";
const NUMBER: usize = size_of::<u64>();
/// What a disk writes whole or not at all.
const BLOCK: usize = 512;

/// The value of the row with the sequence number of a commit.
pub(super) fn encode_sequence(sequence: u64) -> Vec<u8> {
    [PREFIX, sequence.to_be_bytes()].concat()
}

/// The sequence number in such a value.
pub(super) fn decode_sequence(value: &[u8]) -> Option<u64> {
    value.strip_prefix(&PREFIX)?.first_chunk().map(|number| u64::from_be_bytes(*number))
}

/// The sequence numbers in the journals, in the order in which they were written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sequences {
    /// The first one. `None` in journals of a release that wrote none.
    pub(super) first: Option<u64>,
    pub(super) last: Option<u64>,
    /// Numbers that do not follow the one before them, with that one.
    pub(super) gaps: Vec<(u64, u64)>,
}

impl Sequences {
    fn add(&mut self, sequence: u64) {
        if let Some(last) = self.last.filter(|last| last.checked_add(1) != Some(sequence)) {
            self.gaps.push((last, sequence));
        }
        self.first.get_or_insert(sequence);
        self.last = Some(sequence);
    }
}

/// A copy of the journals of a store.
pub(super) struct Journals {
    store: PathBuf,
    copy: PathBuf,
    pub(super) sequences: Sequences,
}

impl Journals {
    /// Copies the journals of the store in this directory. If a copy is there, an earlier process ended before it knew
    /// that nothing was lost. Then that copy is the truth, and replaces the journals.
    pub(super) fn copy(dir: &Path) -> io::Result<Self> {
        let (store, copy, draft) = (dir.join("store"), dir.join("store.journals"), dir.join("store.journals.new"));
        let mut scanner = Scanner::default();
        if copy.try_exists()? {
            for (_, path) in journals_in(&copy)? {
                scanner.read(&path, |_, _| Ok(()))?;
            }
            let journals = Self { store, copy, sequences: scanner.sequences };
            journals.put_back()?;
            return Ok(journals);
        }
        remove_dir(&draft)?;
        fs::create_dir(&draft)?;
        for (_, path) in journals_in(&store)? {
            scanner.copy(&path, &draft.join(path.file_name().unwrap_or_default()))?;
        }
        fs::rename(&draft, &copy)?;
        Ok(Self { store, copy, sequences: scanner.sequences })
    }

    /// Replaces the journals of the store by the copies, in new files that are synced.
    pub(super) fn put_back(&self) -> io::Result<()> {
        for (_, path) in journals_in(&self.copy)? {
            let name = path.file_name().unwrap_or_default();
            let (draft, place) = (self.store.join("journal.new"), self.store.join(name));
            Scanner::default().copy(&path, &draft)?;
            File::open(&draft)?.sync_all()?;
            fs::rename(&draft, &place)?;
        }
        File::open(&self.store)?.sync_all()
    }

    /// Removes the copy: the store was opened and has lost nothing.
    pub(super) fn remove(self) -> io::Result<()> {
        remove_dir(&self.copy)
    }
}

/// The journals in a directory by their numbers, oldest first.
pub(super) fn journals_in(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut journals = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".jnl"));
        if let Some(number) = name.and_then(|name| name.parse().ok()) {
            journals.push((number, path));
        }
    }
    journals.sort_unstable();
    Ok(journals)
}

/// Cuts the newest journal at the first block that was never written, if there is one before its end.
///
/// The journal file is made longer than its content, and a disk may write the blocks of one write in any order. So the
/// end of the last batch can be there while its middle is still zeros, which the engine takes for damage and refuses.
/// Whether anything acknowledged was behind the cut is decided afterwards, by the sequence numbers.
///
/// Returns whether anything was cut.
pub(super) fn truncate_torn_tail(store: &Path) -> io::Result<bool> {
    let Some((_, newest)) = journals_in(store)?.pop() else { return Ok(false) };
    let bytes = fs::read(&newest)?;
    let unwritten = |block: &[u8]| block == ZEROS.get(..block.len()).unwrap_or_default();
    let written = bytes.chunks(BLOCK).rposition(|block| !unwritten(block)).map_or(0, |last| last + 1);
    let Some(hole) = bytes.chunks(BLOCK).take(written).position(unwritten) else { return Ok(false) };
    let journal = File::options().write(true).open(&newest)?;
    journal.set_len(u64::try_from(hole * BLOCK).unwrap_or(u64::MAX))?;
    journal.sync_all()?;
    Ok(true)
}

const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Removes a directory, if there is one.
pub(super) fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads journals and finds the sequence numbers in them.
#[derive(Default)]
struct Scanner {
    sequences: Sequences,
    /// The end of the bytes before, which a number may have begun in.
    rest: Vec<u8>,
}

impl Scanner {
    const CHUNK: u64 = 1 << 20;

    fn copy(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let mut copy = File::create(to)?;
        let length = self.read(from, |offset, bytes| {
            copy.seek(SeekFrom::Start(offset))?;
            copy.write_all(bytes)
        })?;
        copy.set_len(length)
    }

    /// Reads what was written of a journal and passes it on; returns its length. The unwritten rest is a hole in the
    /// file.
    fn read(&mut self, path: &Path, mut pass: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<u64> {
        let mut file = File::open(path)?;
        let (length, mut end) = (file.metadata()?.len(), 0);
        self.rest.clear();
        while let Some(begin) = next_data(&file, end, length)? {
            end = rustix::fs::seek(&file, rustix::fs::SeekFrom::Hole(begin)).unwrap_or(length).min(length);
            file.seek(SeekFrom::Start(begin))?;
            let mut offset = begin;
            while offset < end {
                let mut bytes = Vec::new();
                let read = (&mut file).take((end - offset).min(Self::CHUNK)).read_to_end(&mut bytes)?;
                if read == 0 {
                    break;
                }
                pass(offset, &bytes)?;
                self.find(&bytes);
                offset += read as u64;
            }
        }
        Ok(length)
    }

    fn find(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let mut searched = 0;
        for at in memmem::find_iter(&self.rest, &PREFIX) {
            if let Some(sequence) = self.rest.get(at..).and_then(decode_sequence) {
                self.sequences.add(sequence);
                searched = at + PREFIX.len() + NUMBER;
            }
        }
        let keep = self.rest.len().saturating_sub(PREFIX.len() + NUMBER - 1).max(searched);
        self.rest.drain(..keep);
    }
}

/// Where the next written part begins. A file system that knows no holes has one part.
fn next_data(file: &File, from: u64, length: u64) -> io::Result<Option<u64>> {
    if from >= length {
        return Ok(None);
    }
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(from)) {
        Ok(begin) => Ok(Some(begin)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::OPNOTSUPP) => Ok(Some(from)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(parts: &[&[u8]]) -> Sequences {
        let mut scanner = Scanner::default();
        for part in parts {
            scanner.find(part);
        }
        scanner.sequences
    }

    #[test]
    fn numbers_are_found_wherever_the_bytes_are_divided() {
        let bytes: Vec<u8> = (1..=3).flat_map(|n| [b"row".to_vec(), encode_sequence(n)].concat()).collect();
        for at in 0..bytes.len() {
            let sequences = found(&[&bytes[..at], &bytes[at..]]);
            assert_eq!(sequences, Sequences { first: Some(1), last: Some(3), gaps: vec![] }, "divided at {at}");
        }
    }

    #[test]
    fn a_missing_number_is_a_gap() {
        let journal = [2, 3, 7, 8].map(encode_sequence).concat();
        assert_eq!(found(&[&journal]), Sequences { first: Some(2), last: Some(8), gaps: vec![(3, 7)] });
        assert_eq!(found(&[b"no numbers"]), Sequences::default());
    }

    #[test]
    fn a_copy_has_the_bytes_and_the_holes_of_its_journal() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        fs::create_dir(&store).unwrap();
        let mut bytes = vec![0; 4 << 20];
        bytes[5000..5016].copy_from_slice(&encode_sequence(9));
        bytes[3 << 20..(3 << 20) + 16].copy_from_slice(&encode_sequence(10));
        let journal = store.join("0.jnl");
        fs::write(&journal, &bytes).unwrap();
        let journals = Journals::copy(dir.path()).unwrap();
        assert_eq!(journals.sequences, Sequences { first: Some(9), last: Some(10), gaps: vec![] });
        fs::write(&journal, "cut").unwrap();
        drop(journals);
        Journals::copy(dir.path()).unwrap().remove().unwrap();
        assert!(fs::read(&journal).unwrap() == bytes, "the copy that was there is put back");
        assert!(!dir.path().join("store.journals").exists());
    }
}
