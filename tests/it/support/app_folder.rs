//! The function app, staged in a folder as the host needs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The folder with `host.json`, the functions and the program.
pub struct AppFolder {
    path: PathBuf,
    _made: Option<TempDir>,
}

impl AppFolder {
    /// The packaged app in the folder `PACKAGED_APP`, or one staged in the same way with the program of this build.
    #[allow(clippy::disallowed_methods)] // a setting of the tests, not of the service
    pub fn get() -> Self {
        if let Some(packaged) = std::env::var_os("PACKAGED_APP") {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(packaged);
            assert!(path.join("host.json").is_file(), "PACKAGED_APP is {}: run scripts/package", path.display());
            return Self { path, _made: None };
        }
        Self::harness()
    }

    /// An app in its own folder, which a test may change. The folder is removed when this is dropped.
    pub fn harness() -> Self {
        let made = tempfile::tempdir().unwrap();
        let path = made.path().join("app");
        let staged = Command::new("python3")
            .args(["-B", "scripts/package.py", env!("CARGO_BIN_EXE_mcp-scheduler"), "--stage"])
            .arg(&path)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("python3 is installed");
        assert!(staged.status.success(), "{}", String::from_utf8_lossy(&staged.stderr));
        Self { path, _made: Some(made) }
    }

    pub fn path(&self) -> PathBuf {
        self.path.clone()
    }
}
