//! The files of a store.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A copy of a data directory. As the original it is for its owner alone.
pub fn copy_of(dir: &Path) -> TempDir {
    let copied = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
    copy(dir, copied.path());
    copied
}

pub fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            let bytes = fs::read(entry.path()).unwrap();
            let mut file = File::create(to).unwrap();
            file.write_all(&bytes[..written_part(&bytes)]).unwrap();
            file.set_len(bytes.len() as u64).unwrap();
        }
    }
}

/// The journal is made longer than what is in it: from here on there are only zeros.
pub fn written_part(bytes: &[u8]) -> usize {
    const ZEROS: [u8; 4096] = [0; 4096];
    let pages = bytes.chunks(ZEROS.len()).rposition(|page| page != &ZEROS[..page.len()]).map_or(0, |page| page + 1);
    let pages = &bytes[..bytes.len().min(pages * ZEROS.len())];
    pages.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

pub fn newest_journal(dir: &Path) -> PathBuf {
    let entries = fs::read_dir(dir.join("store")).unwrap().map(|entry| entry.unwrap().path());
    let journals = entries.filter(|path| path.extension().is_some_and(|extension| extension == "jnl"));
    journals.max().expect("the store has a journal")
}
