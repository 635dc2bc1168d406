//! Programs that others wrote get in with nothing but the address of the service, and with a token in a header.
//!
//! The test runs once more in a network of its own, which has loopback alone: no program reaches the internet, and each
//! has the ports to which it lets the browser return.

use std::path::Path;
use std::process::Command;

use crate::support::app::{BareApi, CLIENT, KEY};
use crate::support::installed::{ROOT, installed};
use crate::support::internet;
use crate::support::service::text;

/// What tests/mcp-clients/programs.json says of the programs that this run checks.
const CHECKED: &str = "MCP_PROGRAMS";

#[test]
fn programs_of_others_get_in() {
    run_in_a_network_of_its_own("tested");
}

#[test]
#[ignore = "make clients installs these programs, which are large, and runs this"]
fn large_programs_of_others_get_in() {
    run_in_a_network_of_its_own("by `make clients`");
}

fn run_in_a_network_of_its_own(checked: &str) {
    let script =
        "ip link set lo up && exec \"$1\" --ignored --exact --nocapture mcp::programs::in_a_network_of_its_own";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .env(CHECKED, checked)
        .output()
        .expect("unshare is missing; install util-linux");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let hint = "this test needs user namespaces (kernel.apparmor_restrict_unprivileged_userns=0) and iproute2";
    assert!(output.status.success() && out.contains("1 passed"), "{hint}\n{out}\n{err}");
    print!("{out}");
}

#[allow(clippy::disallowed_methods)] // the other test tells it about the programs, which no setting of the service does
#[tokio::test(flavor = "multi_thread")]
#[ignore = "programs_of_others_get_in runs it"]
async fn in_a_network_of_its_own() {
    let checked = std::env::var(CHECKED).expect("run the other test");
    let api = BareApi { documents: internet::documents().await, ..BareApi::new() }.start().await;
    let mut command = Command::new(installed("target/mcp-clients/node_modules/node/bin/node"));
    command.arg(Path::new(ROOT).join("tests/mcp-clients/check.mjs"));
    command.args([&format!("http://{}", api.address), CLIENT, KEY, &checked]);
    let status = tokio::task::spawn_blocking(move || command.status().unwrap()).await.unwrap();
    assert!(status.success(), "{status}");
}
