//! Runs the tests of the pages for readers, which are in Python: their commands and their links.

use std::path::Path;
use std::process::Command;

#[test]
fn the_commands_of_the_documentation_run_as_they_stand() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/test, which makes it", python.display());
    let run = Command::new(python)
        .args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/docs"])
        .env("PROGRAM", env!("CARGO_BIN_EXE_mcp-scheduler"))
        .current_dir(root)
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && report.contains(" passed"), "{report}{}", String::from_utf8_lossy(&run.stderr));
}
