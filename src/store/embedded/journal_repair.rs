//! Repairs a journal whose last write was interrupted by a loss of power.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The unit that a disk writes completely or not at all, in bytes.
const BLOCK: usize = 512;

/// Truncates the newest journal at the first block that was not written, if there is one before the last written block.
/// Returns whether it truncated the file.
///
/// The journal file is longer than its content, and a disk may write the blocks of one write in any order. After a loss
/// of power the end of the last batch can be on the disk while a block before it still contains zeros. The engine
/// (fjall 3.1) reports this as damage, but it drops a batch that is incomplete at the end of the file.
///
/// No acknowledged commit is lost: all bytes up to an acknowledgement have been synced, so no zero block precedes them.
/// A batch contains no zero block of its own, because keys and values are text.
pub(super) fn truncate_torn_tail(store: &Path) -> io::Result<bool> {
    let entries = fs::read_dir(store)?.collect::<io::Result<Vec<_>>>()?;
    let journals = entries.iter().map(fs::DirEntry::path).filter(|path| path.extension().is_some_and(|e| e == "jnl"));
    let Some(newest) = journals.max() else { return Ok(false) };
    let bytes = fs::read(&newest)?;
    let unwritten = |block: &[u8]| block.iter().all(|byte| *byte == 0);
    let written = bytes.chunks(BLOCK).rposition(|block| !unwritten(block)).map_or(0, |last| last + 1);
    let Some(hole) = bytes.chunks(BLOCK).take(written).position(unwritten) else { return Ok(false) };
    let journal = File::options().write(true).open(&newest)?;
    journal.set_len(u64::try_from(hole * BLOCK).unwrap_or(u64::MAX))?;
    journal.sync_all()?;
    Ok(true)
}
