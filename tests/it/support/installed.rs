//! What scripts/test installs for the tests.

use std::path::{Path, PathBuf};

/// This checkout.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Where a file is that scripts/test puts below `target`.
#[track_caller]
pub fn installed(path: &str) -> PathBuf {
    let path = Path::new(ROOT).join(path);
    assert!(path.exists(), "{} is missing: run scripts/test, which makes it", path.display());
    path
}
