//! Runs the tests of the function app's package, which are in Python as scripts/package is.

use std::process::Command;

#[test]
fn the_package_tests_pass() {
    let run = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "--start-directory", "tests/package"])
        .env("PROGRAM", env!("CARGO_BIN_EXE_mcp-scheduler"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("python3 is installed");
    let report = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{report}");
    assert!(!report.contains("Ran 0 tests"), "none was found");
}
