//! The helpers for tests in Python and TypeScript pass their own tests with the real binary.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::installed::{ROOT, installed};
use crate::support::python::{passes, pytest};
use crate::support::service::{BINARY, text};

/// The helpers use the binary of this build. The scheduler is on this machine, whatever proxy the environment names.
const ENVIRONMENT: [(&str, &str); 3] = [("MCP_SCHEDULER", BINARY), ("NO_PROXY", "*"), ("NO_COLOR", "1")];

/// Runs a command, and returns what it prints.
#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command.envs(ENVIRONMENT).output().unwrap();
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    printed
}

#[test]
fn the_helper_for_pytest_passes_its_tests() {
    let mut pytest = pytest();
    pytest.args(["-p", "mcp_scheduler_testing.plugin", "tests"]).envs(ENVIRONMENT);
    pytest.current_dir(Path::new(ROOT).join("clients/python")).env("PYTHONPATH", "src");
    passes(&mut pytest, "6 passed in ");
}

#[test]
fn the_helper_for_vitest_passes_its_tests_and_has_no_error_of_types() {
    // The packages are beside a copy, so that nothing is installed among the sources.
    let (source, packages) = (Path::new(ROOT).join("clients/typescript"), installed("target/clients-typescript"));
    let copy = tempfile::tempdir_in(&packages).unwrap();
    for folder in ["src", "test"] {
        fs::create_dir(copy.path().join(folder)).unwrap();
        for file in fs::read_dir(source.join(folder)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), copy.path().join(folder).join(file.file_name())).unwrap();
        }
    }
    for file in ["package.json", "tsconfig.json", "tsconfig.build.json"] {
        fs::copy(source.join(file), copy.path().join(file)).unwrap();
    }
    let tool = |name: &str| {
        let mut command = Command::new(packages.join("node_modules/.bin").join(name));
        command.current_dir(copy.path());
        command
    };
    run(&mut tool("tsc"));
    run(tool("tsc").args(["--project", "tsconfig.build.json"]));
    assert!(copy.path().join("dist/vitest.js").exists());
    let printed = run(tool("vitest").args(["run", "--reporter=default"]));
    assert!(printed.contains("5 passed"), "{printed}");
}
