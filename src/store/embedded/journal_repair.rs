//! A journal whose last write was torn by the loss of power.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// What a disk writes whole or not at all.
const BLOCK: usize = 512;

/// Cuts the newest journal at the first block that was never written, if there is one before its end.
///
/// The journal file is made longer than its content, and a disk may write the blocks of one write in
/// any order: so the end of the last batch can be there and its middle still be zeros, which the
/// engine (fjall 3.1) takes for damage. What follows such a block was not acknowledged, because
/// everything up to an acknowledgement has been synced; the engine drops a batch that is cut short.
/// No batch has a block of zeros in it by itself: keys and values are text.
///
/// Returns whether anything was cut.
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
