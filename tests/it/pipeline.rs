//! Runs the tests of the pipeline, the infrastructure and the scripts, which are in Python.

use std::path::Path;
use std::process::Command;

#[test]
fn the_pipeline_tests_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/test, which makes it", python.display());
    let run = Command::new(python)
        .args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/pipeline"])
        .current_dir(root)
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && report.contains(" passed"), "{report}{}", String::from_utf8_lossy(&run.stderr));
}
