//! What the finished package must be like is written in Python, as scripts/package is; this runs it.

use std::process::Command;

#[test]
fn what_is_packaged_is_what_the_host_can_start() {
    let run = Command::new("python3")
        .args(["-B", "-m", "unittest", "discover", "--start-directory", "tests/package"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("python3 is installed");
    let report = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{report}");
    assert!(!report.contains("Ran 0 tests"), "none was found");
}
